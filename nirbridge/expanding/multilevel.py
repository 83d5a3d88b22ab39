"""MultiLevelLIF in core NIR: one Threshold a lane, differences of lanes, and a cycle for the membrane."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, CannotExpandError, Fragment, above, full, is_throughout, scale
from nirbridge.ir import MultiLevelLIF, Shape

_HARD = (
    "resets {lanes} lanes to a value: a membrane that several lanes read cannot be set in core NIR, whose IF and LIF "
    "send a single level"
)


def single_step(name: str, node: MultiLevelLIF) -> Fragment:
    r"""Exact for one step from fresh states, for every neuron.

    With lanes ascending by threshold, :math:`f_s = [gain \, x > \theta_s - decay \, v_{init}]` and
    :math:`y = \sum_s (w_s - w_{s-1}) f_s` with :math:`w_{-1} = 0`.
    """
    fragment = Fragment(name)
    start = np.asarray(node.decay, dtype=np.float64) * node.v_init
    drive = fragment.add("drive", scale(node.gain, node.shape))
    fragment.entries.append(drive)
    _send(fragment, node, _lanes(fragment, node, drive, start))
    return fragment


def every_step(name: str, node: MultiLevelLIF, dt: float, approximate: bool) -> Fragment:
    r"""Exact for any number of steps.

    1. decay 0: there is no memory, see :func:`single_step`.
    2. reset "subtract": a cycle carries the membrane.  ``name.membrane`` is :math:`u = gain \, x + decay \, v[t-1]`,
       ``name.after`` is :math:`v = u - \sum_s (r_s - r_{s-1}) f_s`, and ``name.leak`` takes it back to the next step.
       v_init arrives at the first step alone, from an IF that fires once.
    3. reset "value", one lane, boundary ">": an IF (decay 1) or a LIF with tau = dt/(1 - decay).
    4. reset "value" otherwise: has no counterpart; ``approximate`` takes the lane's threshold off instead.

    Raises:
        CannotExpandError: case 4, or a decay that case 3 cannot say.
    """
    if is_throughout(node.decay, 0):
        return single_step(name, node)
    if node.reset == "subtract":
        return _soft(name, node)
    if node.lanes == 1 and node.boundary == ">":
        return _binary(name, node, dt)
    if not approximate:
        found = _HARD.format(lanes=node.lanes) if node.lanes > 1 else "resets to a value at >=, and NIR's neurons at >"
        raise CannotExpandError(found, "Expand it for one step, or allow approximations")
    fragment = _soft(name, _subtracting(node))
    fragment.approximation = "a spike takes the lane's threshold off the membrane instead of setting it to v_reset"
    return fragment


def _subtracting(node: MultiLevelLIF) -> MultiLevelLIF:
    return MultiLevelLIF(
        shape=node.shape,
        decay=node.decay,
        gain=node.gain,
        v_init=node.v_init,
        lane_threshold=node.lane_threshold,
        lane_weight=node.lane_weight,
        lane_reset=np.asarray(node.lane_threshold) - np.asarray(node.v_reset),
        v_reset=np.zeros(()),
        boundary=node.boundary,
    )


def _soft(name: str, node: MultiLevelLIF) -> Fragment:
    fragment, shape = Fragment(name), node.shape
    drive = fragment.add("drive", scale(node.gain, shape))
    fragment.entries.append(drive)
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


def _binary(name: str, node: MultiLevelLIF, dt: float) -> Fragment:
    """Shifted by v_init, since NIR's membranes start at 0."""
    fragment, shape = Fragment(name), node.shape
    decay, gain, rest = (full(value, shape) for value in (node.decay, node.gain, node.v_init))
    threshold = full(node.lane_threshold[0], shape) - rest
    reset = full(node.v_reset, shape) - rest
    if is_throughout(decay, 1):
        neuron: nir.NIRNode = nir.IF(gain, threshold, reset)
    elif ((decay < 1) & (decay > 0)).all():
        share = 1 - decay
        neuron = nir.LIF(dt / share, gain / share, -rest, threshold, reset)
    else:
        raise CannotExpandError("its decay is neither 1 nor within 0..1 throughout", "Split the layer by decay")
    spikes = fragment.add("spikes", neuron)
    fragment.entries.append(spikes)
    fragment.add("", scale(node.lane_weight[0], shape), spikes)
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
