"""The passes of LM-HT over [T, N]: the mixing of the steps, and the neuron behind it, in registers.

I[t] = Σ_j Ω[t, j] x[j];  u = λ v + I;  y = z q, z the highest k in 0..levels with u >= k q (or 0);  v = u - z q. Its
membrane carries no gradient back, so that both passes go from the first step to the last.

The number of steps is known when a pass is compiled: it is that of ``weights``, Ω row by row. Chunks (first, last,
group) are runs of neurons that share their parameters.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled
from nirbridge.neurons.fused.lanes import (
    Lanes,
    Numbers,
    Total,
    both_widths,
    floor,
    for_neurons,
    plus_product,
    rows_of,
    where,
)

Array = NDArray[Any]


@compiled
def forward(
    x: Array, y: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, weights: tuple[Any, ...],
    chunks: Array,
) -> None:  # fmt: skip
    """Fills ``y``."""
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        q = quantum[group]
        _fire(x, y, first, last, (v_init[group], decay[group], q, x.dtype.type(1) / q, levels), weights)


@compiled
def backward(
    x: Array, grad: Array, out: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, low: Array,
    high: Array, weights: tuple[Any, ...], sums: Array, chunks: Array,
) -> None:  # fmt: skip
    """g_u[t] = g_y[t] within low <= u <= high, else 0; g_x[j] = Σ_t Ω[t, j] g_u[t] into ``out``.

    ``sums`` (G, 1 + T T) receive Σ g_u[t] v[t-1], the gradient of λ, and Σ g_u[t] x[j], that of Ω.
    """
    found = np.empty(sums.shape[1])
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        q = quantum[group]
        numbers = (v_init[group], decay[group], q, x.dtype.type(1) / q, levels, low[group], high[group])
        _back(x, grad, out, first, last, numbers, weights, found)
        sums[group] += found


class _Neurons:
    """Some neurons, whose steps are taken one after the other."""

    def __init__(self, lanes: Lanes, numbers: list[Any], weights: list[Any], inputs: list[Numbers]) -> None:
        steps = len(inputs)
        self.lanes, self.inputs = lanes, inputs
        self.v, self.decay, self.q, self.per_quantum, self.levels = (lanes.every(each) for each in numbers)
        self.omega = [[lanes.every(weights[t * steps + j]) for j in range(steps)] for t in range(steps)]

    def charge(self, t: int) -> Numbers:
        """u = λ v + Σ_j Ω[t, j] x[j], summed from j = 0 up."""
        mixed = self.omega[t][0] * self.inputs[0]
        for weight, current in zip(self.omega[t][1:], self.inputs[1:], strict=True):
            mixed = plus_product(mixed, weight, current)
        return self.decay * self.v + mixed

    def fire(self, u: Numbers) -> Numbers:
        """z q, and v = u - z q; the operations of :func:`nirbridge.neurons.fused.steps.fire_uniform`."""
        one, zero = self.lanes.constant(1.0), self.lanes.constant(0.0)
        k = floor(u * self.per_quantum)
        k = where(u >= (k + one) * self.q, k + one, k)
        k = where(u < k * self.q, k - one, k)
        k = where(k < zero, zero, k)
        value = where(k > self.levels, self.levels, k) * self.q
        self.v = u - value
        return value


@intrinsic  # type: ignore[untyped-decorator]
def _fire(context: Any, x: Any, y: Any, first: Any, last: Any, numbers: Any, weights: Any) -> Any:
    """One chunk forward; ``numbers``: v_init, decay, q, 1 / q, levels."""
    steps = isqrt(len(weights))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        inputs, outputs = (rows_of(context, builder, x, array, steps) for array in arguments[:2])
        constants, omega = (cgutils.unpack_tuple(builder, each) for each in arguments[4:])

        def body(lanes: Lanes, index: Any) -> None:
            neurons = _Neurons(lanes, constants, omega, [lanes.load(row, index) for row in inputs])
            for t in range(steps):
                lanes.store(neurons.fire(neurons.charge(t)), outputs[t], index)

        for_neurons(both_widths(context, builder, x.dtype), arguments[2], arguments[3], body)
        return context.get_dummy_value()

    return types.void(x, y, first, last, numbers, weights), generate


@intrinsic  # type: ignore[untyped-decorator]
def _back(
    context: Any, x: Any, grad: Any, out: Any, first: Any, last: Any, numbers: Any, weights: Any, found: Any
) -> Any:
    """One chunk backward; ``numbers`` as forward, then low and high; ``found`` (1 + T T) are the sums of the chunk."""
    steps = isqrt(len(weights))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        inputs, grads, outs = (rows_of(context, builder, x, array, steps) for array in arguments[:3])
        constants, omega = (cgutils.unpack_tuple(builder, each) for each in arguments[5:7])
        widths = both_widths(context, builder, x.dtype)
        in_decay = Total(widths)
        in_omega = [[Total(widths) for _ in range(steps)] for _ in range(steps)]

        def body(lanes: Lanes, index: Any) -> None:
            neurons = _Neurons(lanes, constants[:5], omega, [lanes.load(row, index) for row in inputs])
            low, high = (lanes.every(each) for each in constants[5:])
            zero, g_x = lanes.constant(0.0), []
            for t in range(steps):
                before, u = neurons.v, neurons.charge(t)
                g_u = where((u >= low) & (u <= high), lanes.load(grads[t], index), zero)
                in_decay.add_product(g_u, before)
                for j in range(steps):
                    in_omega[t][j].add_product(g_u, neurons.inputs[j])
                    weight = neurons.omega[t][j]
                    if t == 0:
                        g_x.append(weight * g_u)
                    else:
                        g_x[j] = plus_product(g_x[j], weight, g_u)
                neurons.fire(u)
            for row, each in zip(outs, g_x, strict=True):
                lanes.store(each, row, index)

        for_neurons(widths, arguments[3], arguments[4], body)
        sums = context.make_array(found)(context, builder, arguments[7]).data
        for k, total in enumerate((in_decay, *(each for row in in_omega for each in row))):
            builder.store(total.result(), builder.gep(sums, [ir.Constant(ir.IntType(64), k)]))
        return context.get_dummy_value()

    return types.void(x, grad, out, first, last, numbers, weights, found), generate
