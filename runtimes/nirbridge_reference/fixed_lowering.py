"""What a node does → stage in precision "fixed": docs/fixed_point.md has the equations."""

from __future__ import annotations

from functools import partial

import numpy as np

from nirbridge.primitives import pooling
from nirbridge.primitives.integers import DECAY_BITS, IntegerForm, clip, toward_zero
from nirbridge.runtime import Array, PlannedNode
from nirbridge.runtime.stepping import integer_form_of
from nirbridge_reference.lowering import FUNCTIONS, pool, table
from nirbridge_reference.stages import Stage, Stepwise

FIXED_LOWERING = table({**FUNCTIONS, "mean pool": pool(pooling.whole_means)}, np.int64)
"""Integers go through as they are, but for the mean."""


@FIXED_LOWERING.register("step", "lanes")
def _neuron(planned: PlannedNode, batch: int, dt: float) -> Stage:
    """The one normal form of all neurons."""
    form = integer_form_of(planned, dt)
    shape = (batch, *planned.output_shape)
    current = {} if form.keep_current is None else {"i": np.zeros(shape, np.int64)}
    return Stepwise(partial(integer_step, form), {**current, "v": np.broadcast_to(form.v_init, shape)})


def integer_step(form: IntegerForm, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step of :class:`~nirbridge.primitives.integers.IntegerForm` on int64 [B, *shape]; with a synapse (i, v)."""
    *current, v = state
    if form.keep_current is not None:
        x = clip(decayed(current[0], form.keep_current) + x)
        current = [x]
    u = clip(decayed(v, form.keep) + form.gain * x)
    if form.threshold is None or form.weight is None or form.amount is None:
        return u, (*current, u)
    y, v = np.zeros_like(u), u
    for threshold, weight, amount in zip(form.threshold, form.weight, form.amount, strict=True):
        fires = u >= threshold if form.at_least else u > threshold
        y = np.where(fires, weight, y)
        v = np.where(fires, u - amount if form.subtract else form.v_reset, v)
    return y, (*current, clip(v))


def decayed(state: Array, kept: Array) -> Array:
    """tz(state·k/4096): rounded toward zero."""
    return toward_zero(state * kept, DECAY_BITS)
