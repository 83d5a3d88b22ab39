"""Frames into memory of another dtype, or with zeros around, in one pass; channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.machine_code import loop

Array = np.ndarray[Any, Any]


@loop
def copy_rows(x: Array, y: Array, top: int, left: int, fill: int) -> None:
    """[N, H, W·C] into [N, H', W'·C], ``top`` rows and ``left`` values further, cut where it ends; else ``fill``."""
    height, width = x.shape[1], x.shape[2]
    begin, end = min(max(left, 0), y.shape[2]), max(min(left + width, y.shape[2]), 0)
    for n in range(x.shape[0]):
        for i in range(y.shape[1]):
            row = y[n, i]
            if i < top or i >= top + height or begin >= end:
                row[:] = fill
                continue
            row[:begin] = fill
            row[end:] = fill
            given, sent = x[n, i - top, begin - left : end - left], row[begin:end]
            for k in range(sent.shape[0]):
                sent[k] = given[k]


@loop
def halve(x: Array, y: Array, offset: int) -> None:
    """Whole numbers x + offset below 2^16 as bytes: y[0] the higher, y[1] the lower."""
    higher, lower = y[0], y[1]
    for n in range(x.shape[0]):
        number = np.int32(x[n]) + np.int32(offset)
        higher[n] = np.uint8(number >> 8)
        lower[n] = np.uint8(number & 255)


@loop
def join(x: Array, y: Array, offset: Array) -> None:
    """y[n, c] = 256 x[0, n, c] + x[1, n, c] + offset[c] in double precision, in which it is exact."""
    for n in range(y.shape[0]):
        higher, lower, sent = x[0, n], x[1, n], y[n]
        for c in range(sent.shape[0]):
            sent[c] = 256 * np.float64(higher[c]) + np.float64(lower[c]) + offset[c]
