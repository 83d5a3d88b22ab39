"""Phase coding of analog values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import INTEGER_DT, Example, chain, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_count, as_shape
from nirbridge.primitives.integers import STATE_LIMIT, clip
from nirbridge.primitives.phase_base import SHARED, digits, phase_base, shifted
from nirbridge.primitives.phase_tables import encode_tables
from nirbridge.primitives.spec import BINARY, Chip, Cost, Floats, Integers, Shown, Spec, Window, WindowRun


@dataclass(eq=False)
class PhaseEncode(Extension):
    r"""Analog value → multi-spike phase train: each input step becomes a window of ``phases`` steps.

    .. math::
        r_0 = x / scale, \qquad s(k) = [r_{k-1} \ge base^{-k}], \qquad r_k = r_{k-1} - s(k) \, base^{-k}

    With base 2 these are the first ``phases`` binary digits of x/scale.  Values below 0 send nothing and values
    from 1 on send a spike at every phase: the code spans [0, 1).

    Args:
        shape: the shape of one frame.
        phases: spikes a window at most, and steps in it.
        base: Q of the code; 2 is the binary code of One-Spike SNN's input layer.
        scale: the value that 1.0 stands for; broadcastable to ``shape``.

    Raises:
        GraphError: a field is out of range or does not broadcast.

    Source: Hwang and Kung, 2024, section on input coding.
    """

    shape: Shape
    phases: int
    base: float = 2.0
    scale: NDArray[Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        where = "PhaseEncode"
        self.shape = as_shape(where, self.shape)
        self.phases = as_count(where, "phases", self.phases, 1)
        self.base = phase_base(where, "base", self.base)
        self.scale = np.asarray(1.0) if self.scale is None else self.scale
        self._hold_numbers(self.shape, "scale")
        if not (self.scale > 0).all():
            raise GraphError(where, "scale has a value that is not above 0")
        self._set_types(self.shape, self.shape)


def _integer_examples() -> list[Example]:
    nodes = {
        "phase encode": PhaseEncode((4,), 6, 2.0, np.array(5)),
        "phase encode base 1.3": PhaseEncode((4,), 9, 1.3, whole_numbers(4, low=1, high=9)),
    }
    return [chain(name, PhaseEncode, node, shape=(4,), dt=INTEGER_DT) for name, node in nodes.items()]


def _values(node: PhaseEncode) -> dict[str, Any]:
    return {"values": tuple(node.base**-k for k in range(1, node.phases + 1)), "scale": np.asarray(node.scale)}


def _run(frames, values, scale):
    """s(k) = 1 where the rest r >= base^-k, which is then taken off r; r starts at x / scale."""
    return digits(frames[0] / scale, values)


def _integer_values(node: PhaseEncode) -> dict[str, Any]:
    tables = encode_tables(node)
    return {"fraction": tables.fraction, "values": tuple(tables.values)}


def _integer_run(frames, fraction, values):
    """r = clip(x·2^F); at phase k a spike where r >= B[k], then r = r - B[k]."""
    return digits(clip(frames[0] * 2**fraction), values)


SPEC = Spec(
    **SHARED,
    node=PhaseEncode,
    sends=BINARY,
    fires=None,
    window=Window(
        steps=lambda node: 1,
        ratio=lambda node: Fraction(node.phases),
        coded=True,
        real=WindowRun(_run, _values, by_hand="digits"),  # since it sends many frames for one
        integer=WindowRun(_integer_run, _integer_values, by_hand="digits"),
    ),
    floats=Floats(reaches=lambda node, x, dt, taken: x),
    integers=Integers(
        limit=STATE_LIMIT,
        fields=("scale",),
        grows=lambda node, x: x << encode_tables(node).fraction,
        quantise="encode",
        unit=core.sends_unit,
    ),
    cost=Cost(role="spiking neuron", membrane=lambda node: shifted(node.base)),
    chip=Chip(place="population", fixed=lambda node: "sends the digits of a value"),
    shown=Shown(role="phase", fields=("base", "scale")),
    draws=(),
    examples=lambda: [chain("phase encode", PhaseEncode, PhaseEncode((4,), 4, 2.0, 4.0), shape=(4,))],
    integer_examples=_integer_examples,
)
