"""Convolutions of neurons that send one spike in a window at most: each adds its weights to the sums of one step.

So a window costs about what one of its steps does.  Values lie in memory as [N, H, W, C], all channels of a place
together; the sums of a place, of all steps, are formed in the first-level cache.  What both passes share is written out
in both: calls that begin and hand on the sums of a place made them take 1.2 to 1.9 times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge.machine_code import loop
from nirbridge_norse.fused.windows import Whole, decide

Array = np.ndarray[Any, Any]


class Rows(NamedTuple):
    """Which outputs, and how they reach back.

    Attributes:
        first, last: rows of the output, the last one not.
        columns: of the output.
        down, along: (stride, padding before, dilation) of rows and of columns.
    """

    first: int
    last: int
    columns: int
    down: tuple[int, int, int]
    along: tuple[int, int, int]


SUMS = np.empty(0, np.uint8), Whole(np.empty(0), np.empty((0, 0), np.float32), np.empty(0), False)
"""The last arguments of :func:`each` where sums are wanted."""


@loop
def across(x: Array, y: Array, weight: Array, bias: Array, rows: Rows) -> None:
    """y[t, n, p, q, o] = bias[o] + Σ weight[a, b, c, o] over places a, b and channels c whose spike is at step t.

    Args:
        x: [N, H, W, C] steps of the spikes; the number of steps for none.
        y: [steps, N·rows·columns·O].
        weight: [kernel rows, kernel columns, C, O].
        bias: [O].
        rows: of the output.
    """
    (count, height, width, channels), (tall, wide, _, sent) = x.shape, weight.shape
    steps = y.shape[0]
    sums, spiking = np.empty((steps, sent), y.dtype), np.empty(channels + 1, np.int64)
    to = 0
    for n in range(count):
        for p in range(rows.first, rows.last):
            for q in range(rows.columns):
                for t in range(steps):
                    place = sums[t]
                    for o in range(sent):
                        place[o] = bias[o]
                for a in range(tall):
                    i = p * rows.down[0] - rows.down[1] + a * rows.down[2]
                    if i < 0 or i >= height:
                        continue
                    for b in range(wide):
                        j = q * rows.along[0] - rows.along[1] + b * rows.along[2]
                        if j < 0 or j >= width:
                            continue
                        given, factors, found = x[n, i, j], weight[a, b], 0
                        for c in range(channels):
                            spiking[found] = c
                            found += given[c] < steps
                        for k in range(found):
                            c = spiking[k]
                            place, factor = sums[given[c]], factors[c]
                            for o in range(sent):
                                place[o] += factor[o]
                for t in range(steps):
                    place, out = sums[t], y[t, to : to + sent]
                    for o in range(sent):
                        out[o] = place[o]
                to += sent


@loop
def each(x: Array, y: Array, weight: Array, bias: Array, rows: Rows, step: Array, whole: Whole) -> None:
    """The same of each channel alone, y[t, n, p, q, c]: weight [kernel rows, kernel columns, C], bias [C].

    Where there is ``step`` [N·rows·columns·C], sums go no further than to the neurons behind them, which decide on it.
    """
    (count, height, width, channels), (tall, wide, _) = x.shape, weight.shape
    steps = y.shape[0]
    sums = np.empty((steps + 1, channels), y.dtype)  # the last for no spike
    u = np.empty(channels, np.float32)
    to = 0
    for n in range(count):
        for p in range(rows.first, rows.last):
            for q in range(rows.columns):
                for t in range(steps):
                    place = sums[t]
                    for c in range(channels):
                        place[c] = bias[c]
                for a in range(tall):
                    i = p * rows.down[0] - rows.down[1] + a * rows.down[2]
                    if i < 0 or i >= height:
                        continue
                    for b in range(wide):
                        j = q * rows.along[0] - rows.along[1] + b * rows.along[2]
                        if j < 0 or j >= width:
                            continue
                        given, factor = x[n, i, j], weight[a, b]
                        for c in range(channels):
                            sums[given[c], c] += factor[c]
                if step.shape[0]:
                    decide(sums, u, step[to : to + channels], whole)
                else:
                    for t in range(steps):
                        place, out = sums[t], y[t, to : to + channels]
                        for c in range(channels):
                            out[c] = place[c]
                to += channels
