"""Phase coding: the multi-level neuron unrolled in time, one spike a window at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, Shape, as_count, as_number, as_shape, require_broadcast


def _base(where: str, name: str, value: Any) -> float:
    base = float(value)
    if not (np.isfinite(base) and base > 1):
        raise GraphError(where, f"{name} {base} is not above 1")
    return base


@dataclass(eq=False)
class PhaseIF(Extension):
    r"""Single-spike phase-coded neuron; its state lives for one window of ``phases`` steps.

    With t = 1..phases+wait counted in the window, input after the last phase being zero, and f = first_phase:

    .. math::
        V(t) &= Q_{in} V(t-1) + x(t), \qquad V(0) = v_{init} Q_{in}^{f-1} \\
        k \text{ fires iff no earlier phase fired and } V(wait + k) &\ge v_{threshold} \, m \,
        Q_{in}^{wait + k + f - 1} Q_{out}^{-(k + f - 1)}

    where m = (1 + 1/Q_out)/2 with rounding, else 1.  The output spike of phase k is 1 at step k of the window:
    the wait is latency, which a runtime hides.

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

    Raises:
        GraphError: a field is out of range or does not broadcast.

    Source: Hwang and Kung, 2024 (One-Spike SNN), equations 3 and 4 and algorithm 1.
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

    def __post_init__(self) -> None:
        where = "PhaseIF"
        self.shape = as_shape(where, self.shape)
        self.phases = as_count(where, "phases", self.phases, 1)
        self.wait = as_count(where, "wait", self.wait, 0)
        if self.wait > self.phases:
            raise GraphError(where, f"wait {self.wait} exceeds the {self.phases} phases", "Wait at most one window")
        self.base_in = _base(where, "base_in", self.base_in)
        self.base_out = _base(where, "base_out", self.base_out)
        self.first_phase = as_count(where, "first_phase", self.first_phase, 0)
        self.rounding = bool(self.rounding)
        for name in ("v_threshold", "v_init"):
            array = as_number(where, name, getattr(self, name))
            require_broadcast(where, name, array, self.shape)
            setattr(self, name, array)
        self._set_types(self.shape, self.shape)


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
        self.base = _base(where, "base", self.base)
        self.scale = as_number(where, "scale", 1.0 if self.scale is None else self.scale)
        if not (np.asarray(self.scale) > 0).all():
            raise GraphError(where, "scale has a value that is not above 0")
        require_broadcast(where, "scale", self.scale, self.shape)
        self._set_types(self.shape, self.shape)


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
        self.base = _base(where, "base", self.base)
        self.v_init = as_number(where, "v_init", 0.0 if self.v_init is None else self.v_init)
        require_broadcast(where, "v_init", self.v_init, self.shape)
        self._set_types(self.shape, self.shape)
