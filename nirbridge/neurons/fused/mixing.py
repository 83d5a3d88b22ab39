"""The mixing of time steps on one chunk, and the gradient of its weights."""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums

Array = NDArray[Any]
BLOCK = 512
"""Neurons at a time: every step's row is read for every step, from the first-level cache."""


@intrinsic  # type: ignore[untyped-decorator]
def _plus_product(context: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a b, rounded once: one instruction, and the same bits wherever it stands."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, a, b = arguments
        return builder.fma(a, b, total)

    return total(total, a, b), generate


@compiled
def combine(weights: Array, source: Array, first: int, target: Array, row: int, start: int, size: int) -> None:
    """target[row + r, start + i] = Σ_k weights[r, k] source[k, first + i] for i in 0..size, summed from k = 0 up."""
    rows, steps = weights.shape
    fours = steps - steps % 4
    for cut in range(0, size, BLOCK):
        count = min(BLOCK, size - cut)
        begin, last, put, end = first + cut, first + cut + count, start + cut, start + cut + count
        for k in range(0, fours, 4):
            a0, a1 = source[k, begin:last], source[k + 1, begin:last]
            a2, a3 = source[k + 2, begin:last], source[k + 3, begin:last]
            for r in range(rows):
                _sum_four(weights[r, k : k + 4], a0, a1, a2, a3, target[row + r, put:end], k > 0)
        for k in range(fours, steps):
            a0 = source[k, begin:last]
            for r in range(rows):
                _sum_one(weights[r, k], a0, target[row + r, put:end], k > 0)


@compiled
def _sum_four(w: Array, a0: Array, a1: Array, a2: Array, a3: Array, out: Array, adds: bool) -> None:
    """out = Σ_k w[k] a_k, after what is there where it ``adds``."""
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    if adds:
        for i in range(out.shape[0]):
            total = _plus_product(_plus_product(out[i], w0, a0[i]), w1, a1[i])
            out[i] = _plus_product(_plus_product(total, w2, a2[i]), w3, a3[i])
    else:
        for i in range(out.shape[0]):
            total = _plus_product(w0 * a0[i], w1, a1[i])
            out[i] = _plus_product(_plus_product(total, w2, a2[i]), w3, a3[i])


@compiled
def _sum_one(weight: Any, a: Array, out: Array, adds: bool) -> None:
    """out = weight a, after what is there where it ``adds``."""
    if adds:
        for i in range(out.shape[0]):
            out[i] = _plus_product(out[i], weight, a[i])
    else:
        for i in range(out.shape[0]):
            out[i] = weight * a[i]


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
    rows, steps = sums.shape
    for cut in range(0, size, BLOCK):
        begin, last, put, end = first + cut, first + min(cut + BLOCK, size), cut, min(cut + BLOCK, size)
        for k in range(0, steps, 4):
            # The last three may be the same row again, whose sums are left out.
            k1, k2, k3 = min(k + 1, steps - 1), min(k + 2, steps - 1), min(k + 3, steps - 1)
            b0, b1 = source[k, begin:last], source[k1, begin:last]
            b2, b3 = source[k2, begin:last], source[k3, begin:last]
            for r in range(rows):
                found = _dots(grad[row + r, put:end], b0, b1, b2, b3)
                sums[r, k] += found[0]
                if k + 1 < steps:
                    sums[r, k1] += found[1]
                if k + 2 < steps:
                    sums[r, k2] += found[2]
                if k + 3 < steps:
                    sums[r, k3] += found[3]
