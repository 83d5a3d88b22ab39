"""What a node does → stage in precision "fixed": docs/fixed_point.md has the equations."""

from __future__ import annotations

import numpy as np

from nirbridge.ir import spec_of
from nirbridge.primitives.integers import DECAY_BITS, IntegerForm, clip, toward_zero
from nirbridge.runtime import Array, LoweringTable, PlannedNode
from nirbridge_reference import linear, windows
from nirbridge_reference.lowering import FUNCTIONS, Lowering, delay, stateless, windowed, windowed_step
from nirbridge_reference.stages import Stage, Stepwise

FIXED_LOWERING: LoweringTable[Lowering] = LoweringTable("reference")

for _name, _function in {**FUNCTIONS, "mean pool": linear.integer_average_pool}.items():
    FIXED_LOWERING.register(_name)(stateless(_function, np.int64))  # integers go through as they are, but for the mean
FIXED_LOWERING.register("temporal mix")(windowed(windows.temporal_mix))
FIXED_LOWERING.register("window")(windowed_step(integers=True))
FIXED_LOWERING.register("first spike pool")(windowed(windows.first_spike_pool))


@FIXED_LOWERING.register("delay")
def _delay(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return delay(planned, batch, dt, np.int64)


@FIXED_LOWERING.register("step", "lanes")
def _neuron(planned: PlannedNode, batch: int, dt: float) -> Stage:
    """The one normal form of all neurons."""
    integers = spec_of(planned.node).integers
    assert integers is not None
    assert integers.form is not None
    form = integers.form(planned.node, dt)
    if planned.reset_amount is not None:
        form = form.subtracting(planned.reset_amount)
    shape = (batch, *planned.output_shape)
    zero: Array = np.zeros(shape, np.int64)

    def step(x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, *after = integer_step(form, x, *state)
        return y, tuple(after)

    start = np.broadcast_to(form.v_init, shape)
    if form.keep_current is not None:
        return Stepwise(step, {"i": zero, "v": start})
    return Stepwise(lambda x, state: _without_current(step(x, (zero, *state))), {"v": start})


def _without_current(found: tuple[Array, tuple[Array, ...]]) -> tuple[Array, tuple[Array, ...]]:
    """Nothing reads the current of a neuron without a synapse."""
    y, (_, v) = found
    return y, (v,)


def integer_step(form: IntegerForm, x: Array, i: Array, v: Array) -> tuple[Array, Array, Array]:
    """One step of :class:`~nirbridge.primitives.integers.IntegerForm` on int64 [B, *shape]: (y, i, v)."""
    if form.keep_current is not None:
        i = clip(decayed(i, form.keep_current) + x)
        x = i
    u = clip(decayed(v, form.keep) + form.gain * x)
    if form.threshold is None or form.weight is None or form.amount is None:
        return u, i, u
    y, v = np.zeros_like(u), u
    for threshold, weight, amount in zip(form.threshold, form.weight, form.amount, strict=True):
        fires = u >= threshold if form.at_least else u > threshold
        y = np.where(fires, weight, y)
        v = np.where(fires, u - amount if form.subtract else form.v_reset, v)
    return y, i, clip(v)


def decayed(state: Array, kept: Array) -> Array:
    """tz(state·k/4096): rounded toward zero."""
    return toward_zero(state * kept, DECAY_BITS)
