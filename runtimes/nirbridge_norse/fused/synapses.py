"""Compiled synapses and pools, frame by frame, for values in memory as [N, H, W, C]: all channels of a place together.

A value of 0 costs a comparison.  The sums of an output begin with its bias and go through the inputs in the order of
memory, whatever is 0 among them and however many frames there are: the same bits in every block, step and batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge_norse.fused.caching import compiled

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]


@compiled
def matrix(x: Array, y: Array, weight: Array, bias: Array) -> None:
    """y[n, o] = bias[o] + Σ_i weight[i, o] x[n, i]."""
    for n in range(x.shape[0]):
        y[n] = bias
        for i in range(x.shape[1]):
            value = y.dtype.type(x[n, i])
            if value != 0:
                for o in range(y.shape[1]):
                    y[n, o] += weight[i, o] * value


@compiled
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
    for n in range(x.shape[0]):
        for p in range(y.shape[1]):
            y[n, p] = bias
        for i in range(x.shape[1]):
            top, reached, kernel = rows[i, 0], rows[i, 1], rows[i, 2]
            for j in range(x.shape[2]):
                left, size, tap = columns[j, 0], columns[j, 1], columns[j, 2]
                for c in range(x.shape[3]):
                    value = y.dtype.type(x[n, i, j, c])
                    if value != 0:
                        for a in range(reached):
                            sent, factors = y[n, top + a, left : left + size], weight[kernel + a, c, tap : tap + size]
                            for k in range(size):
                                sent[k] += factors[k] * value


@compiled
def pool(x: Array, y: Array, kernel: Pair, stride: Pair, padding: Pair, largest: bool) -> None:
    """The sum, or the largest, of each window, row by row; padding counts as 0, or never wins."""
    for n in range(x.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                sent = y[n, p, q]
                top, left = p * stride[0] - padding[0], q * stride[1] - padding[1]
                empty = True
                for i in range(max(top, 0), min(top + kernel[0], x.shape[1])):
                    for j in range(max(left, 0), min(left + kernel[1], x.shape[2])):
                        row = x[n, i, j]
                        if empty:
                            sent[:] = row
                            empty = False
                        elif largest:
                            for c in range(row.shape[0]):
                                sent[c] = row[c] if (row[c] > sent[c]) | (row[c] != row[c]) else sent[c]
                        else:
                            for c in range(row.shape[0]):
                                sent[c] += row[c]
                if empty:
                    sent[:] = 0
