"""Phase coding: the multi-level neuron unrolled in time, one spike a window or a few."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain, positive, signed, weights, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_count, as_shape
from nirbridge.primitives.integers import STATE_LIMIT, clip
from nirbridge.primitives.max_pool2d import MaxPool2d
from nirbridge.primitives.phase_base import (
    PHASES,
    SHARED,
    decide,
    integer_sums,
    none_sent,
    phase_base,
    phase_grows,
    shifted,
    state_bound,
)
from nirbridge.primitives.phase_decode import PhaseDecode
from nirbridge.primitives.phase_encode import PhaseEncode
from nirbridge.primitives.phase_tables import fire_tables, middles, spikes_of
from nirbridge.primitives.spec import (
    BINARY,
    Chip,
    Cost,
    Fires,
    Floats,
    Integers,
    Shown,
    Spec,
    Window,
    WindowRun,
)


@dataclass(eq=False)
class PhaseIF(Extension):
    r"""Phase-coded neuron of at most ``spikes`` spikes a window; its state lives for one window of ``phases`` steps.

    With t = 1..phases+wait counted in the window, input after the last phase being zero, and f = first_phase:

    .. math::
        V(t) &= Q_{in} V(t-1) + x(t), \qquad V(0) = v_{init} Q_{in}^{f-1} \\
        a_k &= v_{threshold} \, Q_{in}^{wait + k + f - 1} Q_{out}^{-(k + f - 1)} \\
        k \text{ fires iff } j > 0 \text{ and } V(wait + k) &\ge m_{j,k} a_k; \qquad
        \text{then } V(wait + k) \text{ loses } a_k \text{ and } j \text{ loses } 1

    j counts the spikes left, from ``spikes`` on.  Without rounding every m = 1; with it
    m_{j,k} = min(1, (1 + Q_out^-1 + .. + Q_out^-n)/2), n = min(j, phases - k): the middle between the value of a phase
    and the largest sum that the spikes and phases left can still send; at the last phase n = 0, m = 1/2.
    ``spikes = 1`` is the paper's neuron, with its m = (1 + 1/Q_out)/2 at all phases, the last one too.
    The output spike of phase k is 1 at step k of the window: the wait is latency, which a runtime hides.

    Of two neurons of one threshold that see the same phases, the one with the larger V never has the smaller train,
    read as a number whose first digit is the first phase: up to the first difference both have lost the same.
    Max pooling rests on it.

    Args:
        shape: the neuron's shape.
        phases: T, steps in a window.
        wait: steps between the first input phase and the first output phase, 0..phases; ``phases`` is exact.
        base_in: Q_in, the base of the incoming code.
        base_out: Q_out, the base of the code sent.
        v_threshold: θ, the activation that 1.0 stands for; broadcastable to ``shape``.
        v_init: the bias, in units of the decoded sum; broadcastable to ``shape``.
        first_phase: exponent of the first phase; 1 makes 1/Q the largest value.
        rounding: compare with the middle between two representable values.
        spikes: sent in a window at most, 1 at least; more than ``phases`` never are.

    Raises:
        GraphError: a field is out of range or does not broadcast.

    Source: Hwang and Kung, 2024 (One-Spike SNN), equations 3 and 4 and algorithm 1; several spikes are ours.
    """

    shape: Shape
    phases: int
    wait: int
    base_in: float
    base_out: float
    v_threshold: NDArray[Any]
    v_init: NDArray[Any]
    first_phase: int = 1
    rounding: bool = True
    spikes: int = 1

    def __post_init__(self) -> None:
        where = "PhaseIF"
        self.shape = as_shape(where, self.shape)
        self.phases = as_count(where, "phases", self.phases, 1)
        self.wait = as_count(where, "wait", self.wait, 0)
        if self.wait > self.phases:
            raise GraphError(where, f"wait {self.wait} exceeds the {self.phases} phases", "Wait at most one window")
        self.base_in = phase_base(where, "base_in", self.base_in)
        self.base_out = phase_base(where, "base_out", self.base_out)
        self.first_phase = as_count(where, "first_phase", self.first_phase, 0)
        self.rounding = bool(self.rounding)
        self.spikes = as_count(where, "spikes", self.spikes, 1)
        self._hold_numbers(self.shape, "v_threshold", "v_init")
        self._set_types(self.shape, self.shape)


def _draw(dice: Any, shape: Shape) -> nir.NIRNode:
    rng = dice.rng
    theta, start = dice.parameter(shape, 1, 6), dice.parameter(shape, -2, 3, 0.25)
    wait, first, rounding = int(rng.integers(PHASES + 1)), int(rng.integers(3)), bool(rng.integers(2))
    spikes = int(rng.choice([1, 2, 3, PHASES + 1]))
    return PhaseIF(shape, PHASES, wait, 2.0, 2.0, theta, start, first, rounding, spikes)


def _examples() -> list[Example]:
    code, weight = PhaseEncode((4,), 4, 2.0, 4.0), nir.Linear(weights(5, 4))
    fire = PhaseIF((5,), 4, 4, 2.0, 2.0, positive(5), signed(5))
    image = PhaseEncode((2, 4, 4), 4, 2.0, 4.0), PhaseIF((2, 4, 4), 4, 4, 2.0, 2.0, 1.0, 0.0), MaxPool2d(2, 2, 0)
    early = PhaseIF((5,), 4, 1, 2.0, 2.0, 1.0, 0.25, 1, False)
    later = PhaseIF((5,), 4, 2, 2.0, 2.0, 1.0, 0.0, 0)
    two, four = (PhaseIF((5,), 4, wait, 2.0, 2.0, 1.0, signed(5), spikes=k) for wait, k in ((4, 2), (1, 4)))
    several = image[0], PhaseIF((2, 4, 4), 4, 4, 2.0, 2.0, 2.0, 0.0, spikes=2), MaxPool2d((3, 2), 1, (1, 0))
    return [
        chain("phase if", PhaseIF, code, weight, fire, PhaseDecode((5,), 4), shape=(4,)),
        chain("phase if early", PhaseIF, code, weight, early, shape=(4,)),
        chain("phase if first phase 0", PhaseIF, code, weight, later, shape=(4,)),
        chain("phase if of two spikes", PhaseIF, code, weight, two, PhaseDecode((5,), 4), shape=(4,)),
        chain("phase if of four spikes, early", PhaseIF, code, weight, four, shape=(4,)),
        chain("phase max pool", (PhaseIF, MaxPool2d), *image, shape=(2, 4, 4)),
        chain("phase max pool of two spikes", (PhaseIF, MaxPool2d), *several, shape=(2, 4, 4)),
    ]


def _fire(base_in: float, base_out: float, wait: int = 6, **options: Any) -> PhaseIF:
    theta, start = whole_numbers(5, low=40, high=200, seed=4), whole_numbers(5, low=-30, high=30, seed=5)
    return PhaseIF((5,), 6, wait, base_in, base_out, theta, start, **options)


def _integer_examples() -> list[Example]:
    """Several bases, waits and first phases, with sums that saturate."""
    code, exact = PhaseEncode((4,), 6, 2.0, np.array(5)), _fire(2.0, 1.3)
    weight, back = nir.Linear(whole_numbers(5, 4)), nir.Linear(whole_numbers(4, 5, seed=6))
    again, decode = _fire(1.3, 1.7), PhaseDecode((5,), 6, 1.3, whole_numbers(5, seed=8))
    large = nir.Linear(whole_numbers(5, 4) * 40_000)
    wide = PhaseIF((2, 4, 4), 6, 6, 2.0, 1.3, np.array(1), np.array(0))
    image = PhaseEncode((2, 4, 4), 6, 2.0, np.array(5)), wide, MaxPool2d(2, 2, 0)
    several = image[0], PhaseIF((2, 4, 4), 6, 6, 2.0, 1.3, np.array(1), np.array(0), spikes=3), MaxPool2d(3, 1, 1)
    chains: dict[str, tuple[nir.NIRNode, ...]] = {
        "phase if": (code, weight, exact),
        "phase if early": (code, weight, _fire(2.0, 2.0, wait=1, rounding=False)),
        "phase if first phase 0": (code, weight, _fire(1.3, 1.3, wait=3, first_phase=0)),
        "phase if of two spikes": (code, weight, _fire(2.0, 1.3, spikes=2)),
        "phase if of four spikes, early": (code, weight, _fire(1.7, 2.0, wait=2, spikes=4)),
        "phase if, saturating": (code, large, exact),
        "phase if of four spikes, saturating": (code, large, _fire(2.0, 1.3, wait=2, spikes=4)),
    }
    layers = code, weight, exact, back, weight, again, decode
    return [
        *(chain(name, PhaseIF, *nodes, shape=(4,), dt=INTEGER_DT) for name, nodes in chains.items()),
        chain("phase if, two layers", (PhaseIF, PhaseDecode), *layers, shape=(4,), dt=INTEGER_DT),
        chain("phase max pool", (PhaseIF, MaxPool2d), *image, shape=(2, 4, 4), dt=INTEGER_DT),
        chain("phase max pool of three spikes", (PhaseIF, MaxPool2d), *several, shape=(2, 4, 4), dt=INTEGER_DT),
    ]


def _values(node: PhaseIF) -> dict[str, Any]:
    """``values`` make the membrane the decoded sum; ``limits`` and ``amounts`` belong to the step of each decision."""
    first = node.first_phase - 1
    phases = range(1, node.phases + 1)

    def sent(k: int, middle: float = 1.0) -> NDArray[Any]:
        sums, scale = node.base_in ** (node.wait + k + first), node.base_out ** -(k + first)
        return np.asarray(node.v_threshold * middle * sums * scale)

    return {
        "base": node.base_in,
        "wait": node.wait,
        "start": np.asarray(node.v_init * node.base_in**first),
        "values": tuple(node.base_in ** -(t + first) for t in phases),
        "limits": tuple(
            tuple((left, sent(k, middle)) for left, middle in row) for k, row in enumerate(middles(node), 1)
        ),
        "amounts": tuple(map(sent, phases)) if spikes_of(node) > 1 else (),
        "spikes": spikes_of(node),
    }


def _thresholds(node: PhaseIF) -> list[NDArray[Any]]:
    """What the decoded sum must reach for each phase to fire first: θ m Q_out^-(k+f-1)."""
    first = node.first_phase - 1
    most_left = [row[-1] for row in middles(node)]
    return [node.v_threshold * middle * node.base_out ** -(k + first) for k, (_, middle) in enumerate(most_left, 1)]


def _run(frames, base, wait, start, values, limits, amounts, spikes):
    """V(t) = Q_in V(t-1) + x(t), x = 0 behind the last phase; what it sends goes off V, not off what is recorded."""
    phases = len(frames)
    v = total = start + 0 * frames[0]
    left, sent, decoded = none_sent(v, spikes), [], []
    for t in range(phases + wait):
        v = base * v + frames[t] if t < phases else base * v
        if t < phases:
            total = base * total + frames[t] if amounts and t > wait else v
            decoded.append(total * values[t])
        if t >= wait:
            fires, left = decide(v, left, limits[t - wait])
            sent.append(fires)
            if amounts:
                v = v - fires * amounts[t - wait]
    return sent, decoded


def _integer_values(node: PhaseIF) -> dict[str, Any]:
    tables = fire_tables(node)
    return {
        "start": tables.start,
        "gains": tables.gains,
        "wait": node.wait,
        "limits": tables.limits,
        "amounts": tuple(tables.amounts) if spikes_of(node) > 1 else (),
        "spikes": spikes_of(node),
    }


def _integer_run(frames, start, gains, wait, limits, amounts, spikes):
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])); phase k fires where v(min(wait + k, T)) - r >= Θ[k], r what was sent."""
    states = integer_sums(frames, start, gains)
    left, sent, taken = none_sent(states[0], spikes), [], 0
    for k in range(len(states)):
        fires, left = decide(states[min(wait + k, len(states) - 1)] - taken, left, limits[k])
        sent.append(fires)
        if amounts:
            taken = clip(taken + fires * amounts[k])
    return sent, states


def _family(node: PhaseIF, mixing: bool) -> str:
    return f"{'One-Spike' if node.spikes == 1 else f'{node.spikes}-Spike'} Q={float(node.base_out):.4g}"


_BY_HAND = "integrate, wait and fire"
"""By hand, since it goes on behind its last frame, and carries its states from one part of a window to the next."""

SPEC = Spec(
    **SHARED,
    node=PhaseIF,
    sends=BINARY,
    fires=Fires(
        thresholds=_thresholds,
        integer=lambda node: [row[-1][1] for row in fire_tables(node).limits],
        note="of the first spike, by phases from the top",
    ),
    window=Window(
        steps=lambda node: node.phases,
        ratio=lambda node: Fraction(1),
        coded=True,
        keeps_membrane=True,
        real=WindowRun(_run, _values, _BY_HAND),
        integer=WindowRun(_integer_run, _integer_values, _BY_HAND),
    ),
    floats=Floats(reaches=state_bound),
    integers=Integers(
        limit=STATE_LIMIT,
        fields=("v_threshold", "v_init"),
        grows=lambda node, x: phase_grows(fire_tables(node).gains, x),
        quantise="fire",
        unit=core.sends_unit,
    ),
    cost=Cost(
        role="spiking neuron",
        membrane=lambda node: shifted(node.base_in),
        family=_family,
    ),
    chip=Chip(place="population", fixed=lambda node: "compares with a threshold that decays within a window"),
    shown=Shown(
        role="phase", fields=("wait", "base_in", "base_out", "v_threshold", "first_phase", "rounding", "spikes")
    ),
    draws=(Draw(_draw, times=2, when="coded"),),
    examples=_examples,
    integer_examples=_integer_examples,
)
