"""The readout of a phase code."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain, signed, weights, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_count, as_shape
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_base import PHASES, SHARED, integer_sums, phase_base, phase_grows, shifted, state_bound
from nirbridge.primitives.phase_encode import PhaseEncode
from nirbridge.primitives.phase_tables import decode_tables
from nirbridge.primitives.spec import MEMBRANE, Chip, Cost, Floats, Integers, Shown, Spec, Window, WindowRun


@dataclass(eq=False)
class PhaseDecode(Extension):
    r"""The readout of a phase-coded network: the partial sums of the code within each window.

    .. math::
        y(t) = v_{init} + \sum_{k \le t} base^{-k} x(k)

    The last step of a window holds the value of the whole window.

    Args:
        shape: the shape of one frame.
        phases: steps in a window.
        base: Q of the incoming code.
        v_init: the bias; broadcastable to ``shape``.

    Raises:
        GraphError: a field is out of range or does not broadcast.

    Source: Hwang and Kung, 2024, last layer ("no spikes, argmax of V").
    """

    shape: Shape
    phases: int
    base: float = 2.0
    v_init: NDArray[Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        where = "PhaseDecode"
        self.shape = as_shape(where, self.shape)
        self.phases = as_count(where, "phases", self.phases, 1)
        self.base = phase_base(where, "base", self.base)
        self.v_init = np.asarray(0.0) if self.v_init is None else self.v_init
        self._hold_numbers(self.shape, "v_init")
        self._set_types(self.shape, self.shape)


def _draw(dice: Any, shape: Shape) -> nir.NIRNode:
    return PhaseDecode(shape, PHASES, 2.0, dice.parameter(shape, -2, 3, 0.25))


def _examples() -> list[Example]:
    nodes = PhaseEncode((4,), 4, 2.0, 4.0), nir.Linear(weights(5, 4)), PhaseDecode((5,), 4, 2.0, signed(5))
    return [chain("phase decode", PhaseDecode, *nodes, shape=(4,))]


def _integer_examples() -> list[Example]:
    decode = PhaseDecode((5,), 6, 1.3, whole_numbers(5, seed=8))
    nodes = PhaseEncode((4,), 6, 2.0, np.array(5)), nir.Linear(whole_numbers(5, 4) * 400_000), decode
    return [chain("phase decode, saturating", PhaseDecode, *nodes, shape=(4,), dt=INTEGER_DT)]


def _values(node: PhaseDecode) -> dict[str, Any]:
    return {"values": tuple(node.base**-k for k in range(1, node.phases + 1)), "start": np.asarray(node.v_init)}


def _run(frames, values, start):
    """y(t) = v_init + Σ_{k <= t} base^-k x(k), which is the membrane too."""
    total, sums = start, []
    for value, frame in zip(values, frames, strict=True):
        total = total + value * frame
        sums.append(total)
    return sums, sums


def _integer_run(frames, start, gains):
    """y(t) = clip(y(t-1) + tz(x(t)·G[t])), which is the membrane too."""
    sums = integer_sums(frames, start, gains)
    return sums, sums


SPEC = Spec(
    **SHARED,
    node=PhaseDecode,
    sends=MEMBRANE,
    fires=None,
    window=Window(
        steps=lambda node: node.phases,
        ratio=lambda node: Fraction(1),
        coded=True,
        keeps_membrane=True,
        real=WindowRun(_run, _values),
        integer=WindowRun(_integer_run, lambda node: decode_tables(node)._asdict()),
    ),
    floats=Floats(reaches=state_bound),
    integers=Integers(
        limit=STATE_LIMIT,
        fields=("v_init",),
        grows=lambda node, x: phase_grows(decode_tables(node).gains, x),
        quantise="decode",
    ),
    cost=Cost(role="analog neuron", membrane=lambda node: shifted(node.base)),
    chip=Chip(place="population", fixed=lambda node: "weighs the steps of a window"),
    shown=Shown(role="phase", fields=("base",)),
    draws=(Draw(_draw, when="coded"),),
    examples=_examples,
    integer_examples=_integer_examples,
)
