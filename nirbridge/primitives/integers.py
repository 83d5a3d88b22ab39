"""Precision "fixed": its numbers, the one normal form of its neurons, and what speaks against parameters.

See docs/fixed_point.md for the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.sparse import entries

Array = NDArray[Any]
STATE_LIMIT = 2**23 - 1
"""Largest magnitude of a 24-bit state."""
DECAY_BITS = 12
DECAY_ONE = 1 << DECAY_BITS
"""A decay is a multiple of 1/DECAY_ONE."""
_CLOSE = 1e-6
"""Relative difference up to which R·dt/tau counts as 1: both are quotients of rounded numbers."""
_QUANTIZE = "Run 'nirbridge quantize' first"


class Reason(NamedTuple):
    """What speaks against a node, and what to do."""

    found: str
    next_step: str = _QUANTIZE


Reasons = Iterator[Reason]


class IntegerForm(NamedTuple):
    r"""Every neuron of precision "fixed": an optional synapse, a membrane, and lanes or none.

    .. math::
        i &= clip(tz(i \, k_i / 4096) + x) \quad \text{where there is a synapse; else } i = x \\
        u &= clip(tz(v \, k / 4096) + gain \cdot i) \\
        y &= weight_{s^*}, \; v = clip(u - amount_{s^*}) \text{ or } v_{reset}, \quad s^* = \max\{s : u > threshold_s\}

    All are int64 and broadcast to the neurons; tz rounds toward zero, clip is to ±(2^23 - 1).

    Attributes:
        keep: k of the membrane, of 4096.
        gain: factor on the input.
        v_init: membrane before the first step.
        v_reset: membrane after a spike that does not subtract.
        keep_current: k of the synapse; None for a neuron without one.
        threshold: (S, ...) of the lanes, ascending; None for a neuron that sends its membrane.
        weight: (S, ...) what a lane sends.
        amount: (S, ...) what a spike subtracts.
        subtract: whether a spike takes the lane's amount off, instead of setting v_reset.
        at_least: whether a lane fires at its threshold too.
    """

    keep: Array
    gain: Array
    v_init: Array
    v_reset: Array
    keep_current: Array | None = None
    threshold: Array | None = None
    weight: Array | None = None
    amount: Array | None = None
    subtract: bool = False
    at_least: bool = False

    def subtracting(self, amount: Any) -> IntegerForm:
        """The same neuron, of which a spike takes ``amount`` off."""
        return self._replace(amount=whole(amount)[None], subtract=True)


def leak_steps(dt: float, tau: Any) -> NDArray[np.int64]:
    """δ = round(4096·dt/tau), by which a leaky state loses δ/4096 a step."""
    return whole(DECAY_ONE * dt / np.asarray(tau, dtype=np.float64))


def kept(dt: float, tau: Any) -> NDArray[np.int64]:
    """k = 4096 - δ."""
    return DECAY_ONE - leak_steps(dt, tau)


def whole(value: Any) -> NDArray[np.int64]:
    """A field that holds whole numbers as int64."""
    return np.rint(np.asarray(value, dtype=np.float64)).astype(np.int64)


def clip(state: Any) -> Any:
    """A state has 24 bits and stays at its end: ±(2^23 - 1)."""
    return state.clip(-STATE_LIMIT, STATE_LIMIT)


def toward_zero(value: Any, bits: int) -> Any:
    """value/2^bits rounded toward zero, of int64 or of whole numbers in float64.

    A right shift rounds down, so negative integers go up first.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind == "i":
        return (value + ((value >> 63) & ((1 << bits) - 1))) >> bits
    return (value * 2.0**-bits).trunc()


def whole_fields(node: Any, *names: str, limit: int | None = None) -> Reasons:
    """Why fields do not hold integers up to ``limit`` in magnitude."""
    for name in names:
        array = entries(getattr(node, name)).astype(np.float64)
        broken = array[array != np.rint(array)]
        if broken.size:
            yield Reason(f"{name} holds {broken.flat[0]:g}, which is no integer")
        elif limit is not None and array.size and np.abs(array).max() > limit:
            yield Reason(f"{name} holds {int(array.flat[np.abs(array).argmax()])}, beyond the 24-bit state of ±{limit}")


def leak_fits(node: Any, name: str, dt: float) -> Reasons:
    """Why the time constant is too short for dt."""
    if (leak_steps(dt, getattr(node, name)) > DECAY_ONE).any():
        yield Reason(f"dt/{name} is {np.max(dt / np.asarray(getattr(node, name))):g}, above 1")


def unit_gain(node: Any, factor: str, tau: str, dt: float) -> Reasons:
    """Why factor·dt/tau is not 1, as it must be."""
    gain = np.asarray(getattr(node, factor), dtype=np.float64) * dt / np.asarray(getattr(node, tau), dtype=np.float64)
    if (np.abs(gain - 1) > _CLOSE).any():
        worst = gain.flat[np.abs(gain - 1).argmax()]
        yield Reason(f"{factor}·dt/{tau} is {worst:g}, not 1, at dt = {dt:g} s")


def no_rest(node: Any) -> Reasons:
    """Why the membrane does not decay to 0."""
    if np.any(node.v_leak):
        furthest = np.asarray(node.v_leak).flat[np.abs(node.v_leak).argmax()]
        yield Reason(f"v_leak holds {furthest:g}, not 0", "Move it into threshold, reset and bias")
