"""Compiled synapses and pools, frame by frame, for values in memory as [N, H, W, C]: all channels of a place together.

A value of 0 costs a comparison.  The sums of an output begin with its bias and go through the inputs in the order of
memory, whatever is 0 among them and however many frames there are: the same bits in every block, step and batch.

Arrays are copied value by value: for an assignment to a slice numba compiles its error message, which takes seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.machine_code import fusing_loop, loop

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]


@fusing_loop
def matrix(x: Array, y: Array, weight: Array, bias: Array) -> None:
    """y[n, o] = bias[o] + Σ_i weight[i, o] x[n, i]."""
    for n in range(x.shape[0]):
        for o in range(y.shape[1]):
            y[n, o] = bias[o]
        for i in range(x.shape[1]):
            value = y.dtype.type(x[n, i])
            if value != 0:
                for o in range(y.shape[1]):
                    y[n, o] += weight[i, o] * value


@fusing_loop
def convolution(x: Array, y: Array, weight: Array, bias: Array, rows: Array, columns: Array) -> None:
    """Every input adds its kernel to the outputs around it.

    Args:
        x: [N, H, W, C].
        y: [N, P, Q·O].
        weight: [kernel rows, C, taps·O]; the rows stand from the last to the first, and so do the taps along a row,
            those together that an input reaches outputs through.
        bias: [Q·O].
        rows: of each input row the first output row that it reaches, how many, and the kernel row of the first.
        columns: of each input column likewise, all times O.
    """
    frames, height, width, channels = x.shape
    below, across, taps = y.shape[1], y.shape[2], weight.shape[2]
    data, sums, factors = x.reshape(-1), y.reshape(-1), weight.reshape(-1)
    for n in range(frames):
        for p in range(below):
            for q in range(across):
                y[n, p, q] = bias[q]
        for i in range(height):
            top, reached, kernel = rows[i, 0], rows[i, 1], rows[i, 2]
            for j in range(width):
                left, size, tap = columns[j, 0], columns[j, 1], columns[j, 2]
                at = ((n * height + i) * width + j) * channels
                for c in range(channels):
                    value = y.dtype.type(data[at + c])
                    if value != 0:
                        for a in range(reached):
                            to, by = ((n * below) + top + a) * across + left, ((kernel + a) * channels + c) * taps + tap
                            sent, factor = sums[to : to + size], factors[by : by + size]
                            for k in range(size):
                                sent[k] += factor[k] * value


@loop
def pool(x: Array, y: Array, kernel: Pair, stride: Pair, padding: Pair, largest: bool) -> None:
    """The sum, or the largest, of each window, row by row; padding counts as 0, or never wins."""
    frames, height, width, channels = x.shape
    data, sums = x.reshape(-1), y.reshape(-1)
    for n in range(frames):
        for p in range(y.shape[1]):
            top, bottom = max(p * stride[0] - padding[0], 0), min(p * stride[0] - padding[0] + kernel[0], height)
            for q in range(y.shape[2]):
                left, right = max(q * stride[1] - padding[1], 0), min(q * stride[1] - padding[1] + kernel[1], width)
                to = ((n * y.shape[1] + p) * y.shape[2] + q) * channels
                sent = sums[to : to + channels]
                if top >= bottom or left >= right:
                    sent[:] = 0
                    continue
                at = ((n * height + top) * width + left) * channels
                for c in range(channels):
                    sent[c] = data[at + c]
                for i in range(top, bottom):
                    for j in range(left + 1 if i == top else left, right):
                        at = ((n * height + i) * width + j) * channels
                        row = data[at : at + channels]
                        if largest:
                            for c in range(channels):
                                sent[c] = row[c] if (row[c] > sent[c]) | (row[c] != row[c]) else sent[c]
                        else:
                            for c in range(channels):
                                sent[c] += row[c]
