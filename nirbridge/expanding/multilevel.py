"""MultiLevelLIF in core NIR: one Threshold a lane, differences of lanes, and a cycle for the membrane."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, CannotExpandError, Fragment, above, full, is_throughout, scale
from nirbridge.ir import MultiLevelLIF, Shape

_CLOSED = (
    "resets to a value at >=: core NIR sets a membrane only where it lies above a threshold, and not where it meets it"
)
_DECAY = "its decay is neither 1 throughout nor between 0 and 1 throughout, which an IF or a LIF could say"
KICK = 2.0**64
"""What resets a membrane that is not in use; inputs below it in size cannot keep it from that."""


def single_step(name: str, node: MultiLevelLIF) -> Fragment:
    r"""Exact for one step from fresh states, for every neuron.

    With lanes ascending by threshold, :math:`f_s = [gain \, x > \theta_s - decay \, v_{init}]` and
    :math:`y = \sum_s (w_s - w_{s-1}) f_s` with :math:`w_{-1} = 0`.
    """
    fragment = Fragment(name)
    start = np.asarray(node.decay, dtype=np.float64) * node.v_init
    drive = fragment.enter("drive", scale(node.gain, node.shape))
    _send(fragment, node, _lanes(fragment, node, drive, start))
    return fragment


def every_step(name: str, node: MultiLevelLIF, dt: float, approximate: bool) -> Fragment:
    r"""Exact for any number of steps.

    1. decay 0: there is no memory, see :func:`single_step`.
    2. reset "subtract": a cycle carries the membrane.  ``name.membrane`` is :math:`u = gain \, x + decay \, v[t-1]`,
       ``name.after`` is :math:`v = u - \sum_s (r_s - r_{s-1}) f_s`, and ``name.leak`` takes it back to the next step.
       v_init arrives at the first step alone, from an IF that fires once.
    3. reset "value", boundary ">", one lane: an IF (decay 1) or a LIF with tau = dt/(1 - decay).
    4. reset "value", boundary ">", several lanes: see :func:`_hard`.
    5. reset "value" otherwise: has no counterpart; ``approximate`` takes the lane's threshold off instead.

    Raises:
        CannotExpandError: case 5, or a decay that cases 3 and 4 cannot say.
    """
    if is_throughout(node.decay, 0):
        return single_step(name, node)
    if node.reset == "subtract":
        return _soft(name, node)
    problem = _CLOSED if node.boundary != ">" else "" if _is_leak(node.decay) else _DECAY
    if not problem:
        return _binary(name, node, dt) if node.lanes == 1 else _hard(name, node, dt)
    if not approximate:
        raise CannotExpandError(problem, "Expand it for one step, or allow approximations")
    fragment = _soft(name, _subtracting(node))
    fragment.approximation = "a spike takes the lane's threshold off the membrane instead of setting it to v_reset"
    return fragment


def _subtracting(node: MultiLevelLIF) -> MultiLevelLIF:
    lane_reset = np.asarray(node.lane_threshold) - np.asarray(node.v_reset)
    return replace(node, lane_reset=lane_reset, v_reset=np.zeros(()), reset="subtract")


def _soft(name: str, node: MultiLevelLIF) -> Fragment:
    fragment, shape = Fragment(name), node.shape
    drive = fragment.enter("drive", scale(node.gain, shape))
    membrane = fragment.add("membrane", scale(1.0, shape), drive)
    _start(fragment, node, drive, membrane)
    fired = _lanes(fragment, node, membrane, 0.0)
    _send(fragment, node, fired)
    amounts = _differences(node.lane_reset, shape)
    taken = [
        fragment.add(f"take{s}", scale(-amount, shape), source)
        for s, (source, amount) in enumerate(zip(fired, amounts, strict=True))
    ]
    after = fragment.add("after", scale(1.0, shape), membrane, *taken)
    leak = fragment.add("leak", scale(node.decay, shape), after)
    fragment.edges.append((leak, membrane))
    return fragment


def _start(fragment: Fragment, node: MultiLevelLIF, drive: str, membrane: str) -> None:
    """decay·v_init at the first step: an IF at 0 lies above its threshold once, and its reset below it for good.

    Its input has no effect.  It hangs on the drive: as an entry of its own it would let a walk through an outer cycle
    reach the membrane by a second way, and delay this one.
    """
    if is_throughout(node.v_init, 0):
        return
    one, shape = np.ones(node.shape), node.shape
    first = fragment.add("first", nir.IF(0.0 * one, -0.5 * one, -1.0 * one), drive)
    value = np.asarray(node.decay, dtype=np.float64) * node.v_init
    fragment.edges.append((fragment.add("start", scale(value, shape), first), membrane))


def _is_leak(decay: Array) -> bool:
    """Whether an IF or a LIF decays so: 1 throughout, or between 0 and 1 throughout."""
    return is_throughout(decay, 1) or bool(((np.asarray(decay) < 1) & (np.asarray(decay) > 0)).all())


def _neuron(node: MultiLevelLIF, lane: int, gain: Array, dt: float) -> nir.NIRNode:
    """An IF or a LIF with the membrane of ``node`` and the threshold of a lane.

    Shifted by v_init, since NIR's membranes start at 0.
    """
    decay, rest = (full(value, node.shape) for value in (node.decay, node.v_init))
    threshold, reset = full(node.lane_threshold[lane], node.shape) - rest, full(node.v_reset, node.shape) - rest
    if is_throughout(decay, 1):
        return nir.IF(gain, threshold, reset)
    share = 1 - decay
    return nir.LIF(dt / share, gain / share, -rest, threshold, reset)


def _binary(name: str, node: MultiLevelLIF, dt: float) -> Fragment:
    fragment, shape = Fragment(name), node.shape
    spikes = fragment.enter("spikes", _neuron(node, 0, full(node.gain, shape), dt))
    fragment.add("", scale(node.lane_weight[0], shape), spikes)
    return fragment


def _hard(name: str, node: MultiLevelLIF, dt: float) -> Fragment:
    r"""Several lanes that one spike resets, for inputs smaller than :data:`KICK`.

    The membrane of an IF or LIF is seen by its own spikes alone, so every lane needs one of its own, and all have to
    be reset where the lowest fires: v_reset follows from lane 0 alone, since a higher lane never fires without it.

    1. ``name.fired0`` is the neuron with the threshold of lane 0.  It resets itself, and its spikes are lane 0.
    2. Every other lane has two neurons in turn, ``even`` and ``odd``; ``name.turn`` is 0 or 1 and says whose turn it
       is.  It changes after each step in which lane 0 fired: ``name.count`` adds the spike to the turn, and 2 counts
       as 0 again.
    3. The one whose turn it is sees the drive alone, and so has the membrane of the layer.  The other is kicked: it
       lies above its threshold whatever it gets, and is set to v_reset, as the layer is when its turn comes.
    4. A kicked neuron always fires, so the lane has fired where both have.
    """
    fragment, shape = Fragment(name), node.shape
    drive = fragment.enter("drive", scale(node.gain, shape))
    first = fragment.add("fired0", _neuron(node, 0, full(1.0, shape), dt), drive)
    count = fragment.add("count", scale(1.0, shape), first)
    twice = fragment.add("less", scale(-2.0, shape), fragment.add("twice", above(1.5, shape), count))
    fragment.edges.append((fragment.add("next", scale(1.0, shape), count, twice), count))
    turn = fragment.add("turn", scale(1.0, shape), count, fragment.add("back", scale(-1.0, shape), first))
    other = fragment.add("other", above(-0.5, shape), fragment.add("against", scale(-1.0, shape), turn))
    kicks = [
        fragment.add(f"kick_{which}", scale(KICK, shape), source) for which, source in (("even", turn), ("odd", other))
    ]
    fired = [first]
    for lane in range(1, node.lanes):
        pair = [
            fragment.add(f"{which}{lane}", _neuron(node, lane, full(1.0, shape), dt), drive, kick)
            for which, kick in zip(("even", "odd"), kicks, strict=True)
        ]
        fired.append(fragment.add(f"fired{lane}", above(1.5, shape), *pair))
    _send(fragment, node, fired)
    return fragment


def _lanes(fragment: Fragment, node: MultiLevelLIF, source: str, start: object) -> list[str]:
    """One node a lane that sends [u > θ_s], or [u >= θ_s] as the opposite of [-u > -θ_s]: exact in any precision."""
    shape, lanes = node.shape, range(node.lanes)
    limits = [full(node.lane_threshold[s], shape) - start for s in lanes]
    if node.boundary == ">":
        return [fragment.add(f"fired{s}", above(limits[s], shape), source) for s in lanes]
    negative = fragment.add("negative", scale(-1.0, shape), source)
    fired = []
    for s in lanes:
        below = fragment.add(f"below{s}", above(-limits[s], shape), negative)
        opposite = fragment.add(f"opposite{s}", scale(-1.0, shape), below)
        fired.append(fragment.add(f"fired{s}", above(-0.5, shape), opposite))
    return fired


def _send(fragment: Fragment, node: MultiLevelLIF, fired: list[str]) -> None:
    steps = _differences(node.lane_weight, node.shape)
    sent = [
        fragment.add(f"send{s}", scale(step, node.shape), source)
        for s, (source, step) in enumerate(zip(fired, steps, strict=True))
    ]
    fragment.add("", scale(1.0, node.shape), *sent)


def _differences(field: Array, shape: Shape) -> list[Array]:
    """Each lane's value without that of the lane below."""
    levels = [full(lane, shape) for lane in field]
    return [levels[0], *(high - low for low, high in pairwise(levels))]
