"""The mixing of time steps on one chunk, and the gradient of its weights."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums

Array = NDArray[Any]
BLOCK = 512
"""Neurons at a time: every step's row is read for every step, from the first-level cache."""


@compiled
def combine(weights: Array, source: Array, first: int, target: Array, row: int, start: int, size: int) -> None:
    """target[row + r, start + i] = Σ_k weights[r, k] source[k, first + i] for i in 0..size, summed from k = 0 up."""
    for cut in range(0, size, BLOCK):
        count = min(BLOCK, size - cut)
        for r in range(weights.shape[0]):
            _sum_rows(weights[r], source, first + cut, target[row + r, start + cut : start + cut + count])


@compiled
def _sum_rows(weights: Array, source: Array, first: int, out: Array) -> None:
    """out[i] = Σ_k weights[k] source[k, first + i]."""
    steps, size = weights.shape[0], out.shape[0]
    last, done = first + size, 0
    if steps < 4:
        w0, a0 = weights[0], source[0, first:last]
        for i in range(size):
            out[i] = w0 * a0[i]
        done = 1
    while done + 4 <= steps:
        w0, w1, w2, w3 = weights[done], weights[done + 1], weights[done + 2], weights[done + 3]
        a0, a1 = source[done, first:last], source[done + 1, first:last]
        a2, a3 = source[done + 2, first:last], source[done + 3, first:last]
        if done == 0:
            for i in range(size):
                out[i] = ((w0 * a0[i] + w1 * a1[i]) + w2 * a2[i]) + w3 * a3[i]
        else:
            for i in range(size):
                out[i] = (((out[i] + w0 * a0[i]) + w1 * a1[i]) + w2 * a2[i]) + w3 * a3[i]
        done += 4
    while done < steps:
        w0, a0 = weights[done], source[done, first:last]
        for i in range(size):
            out[i] = out[i] + w0 * a0[i]
        done += 1


@compiled_sums
def _dots(a: Array, b0: Array, b1: Array, b2: Array, b3: Array) -> tuple[Any, Any, Any, Any]:
    """Σ_i a[i] b[i] for four b."""
    s0 = s1 = s2 = s3 = a.dtype.type(0)
    for i in range(a.shape[0]):
        s0 += a[i] * b0[i]
        s1 += a[i] * b1[i]
        s2 += a[i] * b2[i]
        s3 += a[i] * b3[i]
    return s0, s1, s2, s3


@compiled
def add_weight_gradients(sums: Array, grad: Array, row: int, source: Array, first: int, size: int) -> None:
    """sums[r, k] += Σ_i grad[row + r, i] source[k, first + i]."""
    steps = sums.shape[1]
    for cut in range(0, size, BLOCK):
        begin, last = first + cut, first + min(cut + BLOCK, size)
        for r in range(sums.shape[0]):
            given = grad[row + r, cut : cut + last - begin]
            for k in range(0, steps, 4):
                # The last three may be the same row again, whose sums are left out.
                k1, k2, k3 = min(k + 1, steps - 1), min(k + 2, steps - 1), min(k + 3, steps - 1)
                b0, b1 = source[k, begin:last], source[k1, begin:last]
                b2, b3 = source[k2, begin:last], source[k3, begin:last]
                found = _dots(given, b0, b1, b2, b3)
                sums[r, k] += found[0]
                if k + 1 < steps:
                    sums[r, k1] += found[1]
                if k + 2 < steps:
                    sums[r, k2] += found[2]
                if k + 3 < steps:
                    sums[r, k3] += found[3]
