"""The mixing of time steps on one chunk, and the gradient of its weights."""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums

Array = NDArray[Any]
BLOCK = 1024
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
    steps = weights.shape[1]
    fours = steps - steps % 4
    for cut in range(0, size, BLOCK):
        count = min(BLOCK, size - cut)
        begin, last, put = first + cut, first + cut + count, start + cut
        for k in range(0, fours, 4):
            a0, a1 = source[k, begin:last], source[k + 1, begin:last]
            a2, a3 = source[k + 2, begin:last], source[k + 3, begin:last]
            _sum_four(weights, k, a0, a1, a2, a3, target, row, put)
        for k in range(fours, steps):
            _sum_one(weights, k, source[k, begin:last], target, row, put)


@compiled
def _sum_four(
    weights: Array, k: int, a0: Array, a1: Array, a2: Array, a3: Array, target: Array, row: int, put: int
) -> None:
    """target[row + r, put + i] = Σ_j weights[r, k + j] a_j[i], after what is there where k > 0."""
    for r in range(weights.shape[0]):
        w0, w1, w2, w3 = weights[r, k], weights[r, k + 1], weights[r, k + 2], weights[r, k + 3]
        out = target[row + r, put : put + a0.shape[0]]
        if k > 0:
            for i in range(out.shape[0]):
                total = _plus_product(_plus_product(out[i], w0, a0[i]), w1, a1[i])
                out[i] = _plus_product(_plus_product(total, w2, a2[i]), w3, a3[i])
        else:
            for i in range(out.shape[0]):
                total = _plus_product(w0 * a0[i], w1, a1[i])
                out[i] = _plus_product(_plus_product(total, w2, a2[i]), w3, a3[i])


@compiled
def _sum_one(weights: Array, k: int, a: Array, target: Array, row: int, put: int) -> None:
    """target[row + r, put + i] = weights[r, k] a[i], after what is there where k > 0."""
    for r in range(weights.shape[0]):
        weight, out = weights[r, k], target[row + r, put : put + a.shape[0]]
        if k > 0:
            for i in range(out.shape[0]):
                out[i] = _plus_product(out[i], weight, a[i])
        else:
            for i in range(out.shape[0]):
                out[i] = weight * a[i]


@compiled
def add_weight_gradients(sums: Array, grad: Array, row: int, source: Array, first: int, size: int) -> None:
    """sums[r, k] += Σ_i grad[row + r, i] source[k, first + i]."""
    steps = sums.shape[1]
    for cut in range(0, size, BLOCK):
        begin, last = first + cut, first + min(cut + BLOCK, size)
        for k in range(0, steps, 4):
            # The last three may be the same row again, whose sums are left out.
            k1, k2, k3 = min(k + 1, steps - 1), min(k + 2, steps - 1), min(k + 3, steps - 1)
            b0, b1 = source[k, begin:last], source[k1, begin:last]
            b2, b3 = source[k2, begin:last], source[k3, begin:last]
            _add_four_dots(sums, k, grad, row, cut, b0, b1, b2, b3)


@compiled_sums
def _add_four_dots(
    sums: Array, k: int, grad: Array, row: int, put: int, b0: Array, b1: Array, b2: Array, b3: Array
) -> None:
    """sums[r, k + j] += Σ_i grad[row + r, put + i] b_j[i], as far as there are columns."""
    for r in range(sums.shape[0]):
        a = grad[row + r, put : put + b0.shape[0]]
        s0 = s1 = s2 = s3 = a.dtype.type(0)
        for i in range(a.shape[0]):
            s0 += a[i] * b0[i]
            s1 += a[i] * b1[i]
            s2 += a[i] * b2[i]
            s3 += a[i] * b3[i]
        sums[r, k] += s0
        if k + 1 < sums.shape[1]:
            sums[r, k + 1] += s1
        if k + 2 < sums.shape[1]:
            sums[r, k + 2] += s2
        if k + 3 < sums.shape[1]:
            sums[r, k + 3] += s3
