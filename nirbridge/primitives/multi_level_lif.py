"""The multi-level neuron in space: one membrane, several lanes, at most one of which fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives.examples import (
    Dice,
    Draw,
    Example,
    behind_weights,
    both_ranges,
    positive,
    signed,
    whole_numbers,
)
from nirbridge.primitives.fields import Extension, Shape, as_choice, as_number, as_shape, require_broadcast
from nirbridge.primitives.integers import DECAY_ONE, STATE_LIMIT, IntegerForm, Reason, Reasons, whole, whole_fields
from nirbridge.primitives.magnitudes import MOST_STEPS, largest, least, times
from nirbridge.primitives.operators import where
from nirbridge.primitives.shaping import declared, stated
from nirbridge.primitives.spec import (
    Array,
    Bounds,
    Checks,
    Chip,
    Cost,
    Dynamics,
    Fires,
    Floats,
    Integers,
    Membrane,
    Sends,
    Shown,
    Spec,
)
from nirbridge.primitives.units import common_unit

RESETS = ("subtract", "value")
BOUNDARIES = (">", ">=")
_WHERE = "MultiLevelLIF"
_LANE_FIELDS = ("lane_threshold", "lane_weight", "lane_reset")


@dataclass(eq=False)
class MultiLevelLIF(Extension):
    r"""Leaky integrate-and-fire neuron whose spike is one of S levels.

    .. math::
        u[t] &= decay \cdot v[t-1] + gain \cdot x[t], \qquad v[-1] = v_{init} \\
        s^* &= \max \{ s : u > lane\_threshold_s \} \quad (\ge \text{ with boundary ">="}) \\
        y[t] &= lane\_weight_{s^*}, \text{ or } 0 \text{ where no lane fires} \\
        v[t] &= u - lane\_reset_{s^*} \text{ ("subtract"), or } v_{reset} \text{ ("value"), where a lane fired; else } u

    Args:
        shape: the neuron's shape, without time and batch.
        decay: factor per step on the membrane after reset, broadcastable to ``shape``; never a time constant.
        gain: factor on the input, broadcastable to ``shape``.
        v_init: membrane before the first step, broadcastable to ``shape``.
        lane_threshold: (S, ...) thresholds; axis 0 is the lane, the others broadcast to ``shape``.
        lane_weight: (S, ...) values sent by the lanes.
        lane_reset: (S, ...) amounts subtracted when the lane fires; used by reset "subtract".
        v_reset: membrane after a spike; used by reset "value".
        reset: "subtract" or "value".
        boundary: ">" or ">=", how the membrane meets a threshold.

    Raises:
        GraphError: a field has the wrong shape, dtype or choice.

    Source: Abillama et al., IEEE Access 2025 (one-hot M-LIF), equations 8 and 9; with uniform lanes
    Castagnetti, Pegatoquet and Miramond, 2025, and Hao et al., NeurIPS 2024.
    """

    shape: Shape
    decay: NDArray[Any]
    gain: NDArray[Any]
    v_init: NDArray[Any]
    lane_threshold: NDArray[Any]
    lane_weight: NDArray[Any]
    lane_reset: NDArray[Any]
    v_reset: NDArray[Any]
    reset: str = "subtract"
    boundary: str = ">"

    def __post_init__(self) -> None:
        self.shape = as_shape(_WHERE, self.shape)
        self.reset = as_choice(_WHERE, "reset", self.reset, RESETS)
        self.boundary = as_choice(_WHERE, "boundary", self.boundary, BOUNDARIES)
        self._hold_numbers(self.shape, "decay", "gain", "v_init", "v_reset")
        for name in _LANE_FIELDS:
            array = as_number(_WHERE, name, getattr(self, name))
            if array.ndim == 0 or array.shape[0] < 1:
                raise GraphError(_WHERE, f"{name} of shape {array.shape} has no lane axis", "Axis 0 is the lane")
            require_broadcast(_WHERE, name, array[0], self.shape)
            setattr(self, name, array)
        counts = {getattr(self, name).shape[0] for name in _LANE_FIELDS}
        if len(counts) != 1:
            raise GraphError(_WHERE, f"the lane fields have {sorted(counts)} lanes", "Give each lane all its fields")
        self._set_types(self.shape, self.shape)

    @property
    def lanes(self) -> int:
        """S, the number of lanes."""
        return int(self.lane_threshold.shape[0])

    @classmethod
    def one_hot(
        cls,
        shape: Any,
        lanes: int,
        threshold: Any = 1.0,
        decay: Any = 1.0,
        reset: str = "subtract",
        boundary: str = ">",
        scaled: bool = False,
        *,
        gain: Any = 1.0,
        v_init: Any = 0.0,
        v_reset: Any = 0.0,
    ) -> MultiLevelLIF:
        """The one-hot M-LIF: lane s has weight w_s = 2^s, threshold w_s θ and soft reset w_s θ.

        Args:
            shape: the neuron's shape.
            lanes: S, at least 1; S = 1 is an ordinary LIF.
            threshold: θ, a number or an array broadcastable to ``shape``.
            decay: λ, broadcastable to ``shape``.
            reset: "subtract" (soft) or "value" (hard).
            boundary: ">" gives lane s the window (w_s θ, w_{s+1} θ], ">=" gives it [w_s θ, w_{s+1} θ).
            scaled: use w_s = 2^(s-S+1), so that the top lane has weight 1.
            gain: factor on the input; 0.5 with decay 0.5 is ``u += (x - u)/2``.
            v_init: membrane before the first step.
            v_reset: membrane after a spike with reset "value".

        Raises:
            GraphError: lanes below 1, or a field that does not fit.

        Source: Abillama et al., IEEE Access 2025, section III; the scaled weights are those of its
        spike-driven transformer.
        """
        if lanes < 1:
            raise GraphError(_WHERE, f"lanes {lanes} is below 1")
        exponents = np.arange(lanes) - (lanes - 1 if scaled else 0)
        weights, steps = _multiples(np.exp2(exponents), "threshold", threshold)
        return cls(
            shape=shape,
            decay=decay,
            gain=gain,
            v_init=v_init,
            lane_threshold=steps,
            lane_weight=weights,
            lane_reset=steps.copy(),
            v_reset=v_reset,
            reset=reset,
            boundary=boundary,
        )

    @classmethod
    def uniform(
        cls,
        shape: Any,
        levels: int,
        step: Any,
        decay: Any = 1.0,
        v_init: Any = 0.0,
        output: str = "level",
        *,
        gain: Any = 1.0,
    ) -> MultiLevelLIF:
        """N equal levels of size q: z = clip(floor(u/q), 0, N), v = u - z q, y = z or z q.

        Level z fires while u >= z q (boundary ">="), compared with the product z q itself, so that every runtime
        decides alike where u/q would round.

        Args:
            shape: the neuron's shape.
            levels: N, at least 1; N = 1 is a binary IF.
            step: q, a positive number or an array broadcastable to ``shape``.
            decay: factor per step on the membrane.
            v_init: membrane before the first step (θ/2 after a QCFS conversion).
            output: "level" sends z, "value" sends z q.
            gain: factor on the input.

        Raises:
            GraphError: levels below 1, an unknown output, or a field that does not fit.

        Source: Castagnetti, Pegatoquet and Miramond, 2025 (multi-level IF, q = V_th/N), and
        Hao et al., NeurIPS 2024 (LM-HT, q = θ).
        """
        if levels < 1:
            raise GraphError(_WHERE, f"levels {levels} is below 1")
        as_choice(_WHERE, "output", output, ("level", "value"))
        numbers, steps = _multiples(np.arange(1, levels + 1), "step", step)
        return cls(
            shape=shape,
            decay=decay,
            gain=gain,
            v_init=v_init,
            lane_threshold=steps,
            lane_weight=numbers if output == "level" else steps.copy(),
            lane_reset=steps.copy(),
            v_reset=np.asarray(0.0),
            reset="subtract",
            boundary=">=",
        )


def _multiples(weights: Array, name: str, unit: Any) -> tuple[Array, Array]:
    """The weights in the floating-point dtype of ``unit``, and (S, ...) each of them times it."""
    number = as_number(_WHERE, name, unit)
    number = number if number.dtype.kind == "f" else number.astype(np.float64)
    weights = weights.astype(number.dtype)
    return weights, np.multiply.outer(weights, number)


def _step(subtract: bool, at_least: bool) -> Callable[..., Any]:
    def step(x, v, decay, gain, lane_threshold, lane_weight, lane_reset, v_reset):
        """u = decay v + gain x; the highest lane over its threshold sends its weight and resets by its amount."""
        u = decay * v + gain * x
        y, v = where(u == u, 0.0, u), u  # what is no number is told on; 0 * u would make one at minus infinity
        for threshold, weight, amount in zip(lane_threshold, lane_weight, lane_reset, strict=True):
            fires = u >= threshold if at_least else u > threshold
            y = where(fires, weight, y)
            v = where(fires, u - amount if subtract else v_reset, v)
        return y, v

    return step


_STEPS = {
    (reset, boundary): _step(reset == "subtract", boundary == ">=") for reset in RESETS for boundary in BOUNDARIES
}


def _range(node: MultiLevelLIF) -> tuple[float, float]:
    return min(0.0, float(node.lane_weight.min())), max(0.0, float(node.lane_weight.max()))


def _against(node: MultiLevelLIF, dt: float) -> Reasons:
    yield from whole_fields(node, "gain", "lane_weight", "lane_threshold", "lane_reset")
    yield from whole_fields(node, "v_init", "v_reset", limit=STATE_LIMIT)
    steps = DECAY_ONE * np.asarray(node.decay, dtype=np.float64)
    broken = steps[steps != np.rint(steps)]
    if broken.size:
        yield Reason(f"decay holds {broken.flat[0] / DECAY_ONE:g}, which is no multiple of 1/{DECAY_ONE}")
    if (np.abs(steps) > 2 * DECAY_ONE).any():
        yield Reason(f"decay holds {np.abs(steps).max() / DECAY_ONE:g}, above 2")


def _form(node: MultiLevelLIF, dt: float) -> IntegerForm:
    return IntegerForm(
        keep=whole(DECAY_ONE * np.asarray(node.decay)),
        gain=whole(node.gain),
        v_init=whole(node.v_init),
        v_reset=whole(node.v_reset),
        threshold=whole(node.lane_threshold),
        weight=whole(node.lane_weight),
        amount=whole(node.lane_reset),
        subtract=node.reset == "subtract",
        at_least=node.boundary == ">=",
    )


def integer_lanes(node: MultiLevelLIF) -> MultiLevelLIF:
    """The lane fields as integers."""
    names = ("lane_threshold", "lane_weight", "lane_reset", "v_init", "v_reset")
    integers: dict[str, Any] = {name: np.asarray(getattr(node, name)).astype(np.int32) for name in names}
    return replace(node, **integers)


def _state_bound(node: MultiLevelLIF, x: int, dt: float, taken: int) -> int | None:
    if np.any(np.abs(np.asarray(node.decay, dtype=np.float64)) > 1):
        return None
    drive = largest(node.gain) * x + largest(node.lane_reset)
    return MOST_STEPS * drive + largest(node.v_init) + largest(node.v_reset)


def _reaches(node: MultiLevelLIF, x: Bounds) -> Array:
    """u <= decay v + gain x with v at most the larger of its start and what u can grow to without a spike."""
    decay, drive = np.asarray(node.decay, dtype=np.float64), times(node.gain, x)[1]
    first, lowest = node.lane_threshold[0], np.asarray(node.v_init, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        growing = np.where(drive > 0, np.inf, lowest + drive)
        settled = np.where(np.abs(decay) < 1, np.maximum(drive, 0.0) / (1 - np.abs(decay)), growing)
    reach = np.maximum(settled, np.maximum(np.abs(decay) * np.maximum(lowest, 0.0) + drive, drive))
    free = (node.lane_reset < 0).any() or (node.reset == "value" and np.any(node.v_reset)) or np.any(decay < 0)
    return (reach >= first) | free | np.isinf(drive)


def _unused(node: MultiLevelLIF) -> str:
    return "v_reset" if node.reset == "subtract" and np.any(node.v_reset) else ""


def _family(node: MultiLevelLIF, mixing: bool) -> str:
    if not _is_uniform(node):
        return f"M-LIF S={node.lanes}"
    return f"LM-HT L={node.lanes}" if mixing else f"ML-IF N={node.lanes}"


def _is_uniform(node: MultiLevelLIF) -> bool:
    """Whether levels are 1, 2, 3, .. times a step; 1 and 2 are those of 2^s too, where the boundary tells."""
    values = np.asarray(node.lane_weight, dtype=np.float64).reshape(node.lanes, -1)[:, 0]
    if len(values) <= 2:
        return bool(node.boundary == ">=")
    return bool(np.allclose(np.diff(values), values[0]))


def _beyond_a_fixed_neuron(node: MultiLevelLIF) -> str:
    decay = np.asarray(node.decay)
    if node.lanes > 1:
        return f"has {node.lanes} lanes"
    if node.reset != "value":
        return "resets by subtraction"
    if ((decay < 0) | (decay > 1)).any():
        return f"has decays from {decay.min():g} to {decay.max():g}"
    return "resets to another value than 0" if np.any(node.v_reset) else ""


def message_unit(node: MultiLevelLIF) -> Array:
    """What the integer 1 stands for in what the lanes send."""
    return common_unit(node.lane_weight)


def draw(dice: Dice, shape: Shape) -> MultiLevelLIF:
    """Any lanes, resets and boundaries."""
    rng = dice.rng
    more: dict[str, Any] = {"gain": dice.parameter(shape, 1, 4), "v_init": dice.parameter(shape, -1, 3, 0.25)}
    decay = dice.parameter(shape, 0, 3)
    if rng.random() < 0.4:
        return MultiLevelLIF.uniform(shape, int(rng.integers(1, 9)), dice.parameter(shape, 1, 4, 0.25), decay, **more)
    reset = RESETS[rng.integers(2)]
    lanes, threshold = int(rng.integers(1, 5)), dice.parameter(shape, 1, 4)
    return MultiLevelLIF.one_hot(shape, lanes, threshold, decay, reset, BOUNDARIES[rng.integers(2)], **more)


def _examples() -> list[Example]:
    one_hot, uniform = MultiLevelLIF.one_hot, MultiLevelLIF.uniform
    nodes = {
        f"one-hot S={lanes} {reset} {boundary}": one_hot(
            (5,), lanes, 0.5, 0.5, reset, boundary, v_reset=0.25 * (reset == "value")
        )
        for lanes in (1, 2, 3, 8)
        for reset in RESETS
        for boundary in BOUNDARIES
    }
    slow = 2.0 ** -np.arange(5.0)
    nodes["scaled, u += (x - u)/2"] = one_hot((5,), 3, 1.0, 0.5, "value", ">", True, gain=0.5)
    more: dict[str, Any] = {"gain": positive(5, seed=5), "v_init": signed(5)}
    nodes["per neuron"] = one_hot((5,), 3, positive(5), slow, "subtract", ">=", **more)
    hard: dict[str, Any] = {"v_init": 0.5, "v_reset": signed(5, seed=6)}
    nodes["per neuron, hard"] = one_hot((5,), 2, positive(5), 0.75, "value", ">", **hard)
    lanes = np.array([0.5, 1.0, 3.0]), np.array([1.0, -2.0, 5.0]), positive(3, 5)
    nodes["free lanes"] = MultiLevelLIF((5,), 0.5, 1.0, 0.0, *lanes, 0.0)
    nodes |= {
        f"uniform N={levels} {output}": uniform((5,), levels, 0.25, 1.0, 0.125, output)
        for levels in (1, 4, 15, 255)
        for output in ("level", "value")
    }
    nodes["uniform per neuron"] = uniform((5,), 6, positive(5), 0.5, signed(5))
    return [behind_weights(name, node, steps=12) for name, node in nodes.items()]


def _integer_examples() -> list[Example]:
    theta, reset = whole_numbers(5, low=50, high=300, seed=4), whole_numbers(5, low=-30, high=30, seed=5)
    decay, gain = np.array([0, 1, 2048, 4095, 4096]) / 4096, np.array(2)
    nodes = {
        f"one-hot S={lanes} {kind} {boundary}": integer_lanes(
            replace(MultiLevelLIF.one_hot((5,), lanes, 37, 0.5, kind, boundary), decay=decay, gain=gain)
        )
        for lanes in (1, 3, 8)
        for kind in RESETS
        for boundary in BOUNDARIES
    }
    nodes["uniform N=255"] = integer_lanes(MultiLevelLIF.uniform((5,), 255, 3, 0.75, 5))
    per_neuron = MultiLevelLIF.one_hot((5,), 3, theta, 0.25, "value", ">=", v_reset=reset)
    nodes["lanes per neuron"] = integer_lanes(per_neuron)
    lanes = np.array([5, 90, 300]), np.array([1, -2, 5]), np.array([9, -50, 700])
    nodes["free lanes"] = MultiLevelLIF((5,), 1.5, 1, 7, *lanes, 0)
    return [example for name, node in nodes.items() for example in both_ranges(name, node)]


SPEC = Spec(
    node=MultiLevelLIF,
    parameters=(),
    none_means={},
    shape=declared,
    states=stated,
    operation="lanes",
    by_hand="the highest of S lanes is found by halves or in a table, not by S comparisons",
    dynamics=Dynamics(
        step=_STEPS["subtract", ">"],
        state=("v",),
        start={"v": lambda node: node.v_init},
        choose=lambda node: _STEPS[node.reset, node.boundary],
    ),
    sends=Sends(kind="levels", values=lambda node: node.lane_weight, range=_range),
    fires=Fires(
        thresholds=lambda node: list(node.lane_threshold),
        reset=lambda node: node.v_reset if node.reset == "value" else None,
    ),
    window=None,
    floats=Floats(least=lambda node, dt: least(node.gain), reaches=_state_bound),
    integers=Integers(
        against=_against,
        form=_form,
        fields=("lane_threshold", "lane_weight", "lane_reset", "v_init", "v_reset"),
        grows=lambda node, x: 2 * STATE_LIMIT + largest(node.gain) * x,
        quantise="multi_level",
        unit=message_unit,
    ),
    cost=Cost(
        role="spiking neuron",
        membrane=lambda node: Membrane(1, int(bool((np.asarray(node.decay) != 1).any()))),
        family=_family,
    ),
    chip=Chip(place="population", fixed=_beyond_a_fixed_neuron),
    shown=Shown(
        role="multilevel", fields=("decay", "gain", "lane_threshold", "lane_weight", "reset", "boundary", "v_init")
    ),
    checks=Checks(factors=("gain", "lane_weight"), unused=(_unused, "reset"), reaches=_reaches),
    draws=(Draw(draw, times=2),),
    examples=_examples,
    integer_examples=_integer_examples,
)
