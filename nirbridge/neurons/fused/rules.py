"""Families of neurons: one step with torch operations, and how all steps go through the compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.neurons.dynamics import Step, charge, lane_table, one_hot_level, reset_to, uniform_level
from nirbridge.neurons.fused.layout import Layout
from nirbridge.neurons.fused.structs import Curve, Lanes, Levels, Neurons, Window
from nirbridge.neurons.fused.surrogates import Rises, curve_of, given_slopes, is_compiled
from nirbridge.neurons.gradients import OneHotSlope, UniformSlope, spike, straight_through

Array = NDArray[Any]
Number: TypeAlias = "float | Tensor"


@dataclass(frozen=True)
class Pass:
    """One call: chunks and threads, and the parameters by group."""

    layout: Layout
    neurons: Neurons

    @property
    def dtype(self) -> Any:
        """numpy's dtype of the data."""
        return self.neurons.quantum.dtype

    def none(self) -> Array:
        """No rows, where a pass takes some at will."""
        return np.empty((0, 0), self.dtype)

    def forward(self, loops: Any, x: Array, y: Array, u: Array, family: Lanes | Levels) -> None:
        """Runs forward loops."""
        self.layout.shared_out(lambda part, chunks: loops(x, y, u, self.neurons, family, chunks))

    def backward(self, loops: Any, arrays: tuple[Array, ...], constants: tuple[Any, ...], sums: int) -> Array:
        """Runs backward loops with so many sums; gives these by group (G, sums)."""
        found = np.zeros((len(self.layout.parts), len(self.neurons.quantum) if sums else 0, sums))
        self.layout.shared_out(lambda part, chunks: loops(*arrays, self.neurons, *constants, found[part], chunks))
        return found.sum(0)


_NONE: Array = np.empty(0)


class Sums(NamedTuple):
    """Gradients of parameters in double precision, empty for what does not learn.

    Attributes:
        quantum: by group (G,).
        decay: by group (G,).
        mixing: (T, T).
    """

    quantum: Array = _NONE
    decay: Array = _NONE
    mixing: Array = _NONE


class Rule(Protocol):
    """A family of neurons."""

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Parameters besides the quantum and the decay."""

    @property
    def v_init(self) -> Number:
        """Membrane before the first step."""

    @property
    def is_transparent(self) -> bool:
        """Whether the gradient of ``x`` is that of ``y`` itself."""

    def step(self, quantum: Tensor, decay: Number) -> Step:
        """One step with torch operations."""

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """Fills ``y``, and ``u`` where it has rows."""

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """Fills ``out`` with the gradient of x; gives those of parameters.

        Args:
            run: numbers of the call.
            x: inputs [T, N].
            grad: gradient of the outputs.
            out: gets that of the inputs.
            learns: whether that of a parameter is asked for.
        """


def _curve_of(rule: Rule, slope: OneHotSlope | UniformSlope, rises: Rises, run: Pass, x: Array) -> Curve:
    """dlevel/du as the loops compute it, or as rows [T, N] where only torch can."""
    surrogate: Any = slope.surrogate
    quantum = run.neurons.quantum
    if is_compiled(surrogate):
        return curve_of(surrogate, rises, quantum.tobytes(), run.dtype)
    u, y = np.empty_like(x), np.empty_like(x)
    rule.forward(run, x, y, u)
    membranes = torch.from_numpy(u).reshape(len(u), -1, len(quantum), run.layout.run)
    given = slope(membranes, torch.from_numpy(quantum)[:, None])
    return given_slopes(given.reshape(u.shape).contiguous().numpy())


def rises_of(slope: OneHotSlope | UniformSlope) -> Rises:
    """The terms (c, m, s) of a slope Σ c h(u m/q - s)/q."""
    if isinstance(slope, OneHotSlope):
        sign, units = -1.0 if slope.mode == "difference" else 1.0, slope.units
        return tuple(
            ((unit + sign * below) / unit, 1.0 / unit, 1.0) for below, unit in zip((0.0, *units), units, strict=False)
        )
    if slope.mode == "single":
        return ((1.0, 1.0 / slope.levels, 1.0),)
    return tuple((1.0, 1.0, float(n)) for n in range(1, slope.levels + 1))


@dataclass(frozen=True)
class OneHotRule:
    """``MultiLevelLIF``."""

    slope: OneHotSlope
    gain: float
    boundary: str
    reset: str
    v_reset: float
    v_init: Number
    is_transparent = False

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """v_init where it is a tensor."""
        return (self.v_init,) if isinstance(self.v_init, Tensor) else ()

    def step(self, quantum: Tensor, decay: Number) -> Step:
        """The fired lane is detached in the reset."""
        theta = quantum.detach()
        thresholds = lane_table(theta.new_tensor(self.slope.units), theta)
        fire = partial(one_hot_level, units=self.slope.units, lane_threshold=thresholds, boundary=self.boundary)

        def step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            u = charge(x, v, decay, self.gain)
            level = spike(u, quantum, fire, self.slope)
            fired = level.detach()
            return level, u - fired * quantum if self.reset == "subtract" else reset_to(u, fired, self.v_reset)

        return step

    def _lanes(self, run: Pass) -> Lanes:
        number, units = run.dtype.type, self.slope.units
        strict, hard = self.boundary == ">", self.reset == "value"
        return Lanes(number(self.gain), number(units[0]), number(units[-1]), strict, hard, number(self.v_reset))

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.one_hot`."""
        from nirbridge.neurons.fused.forward import one_hot

        run.forward(one_hot, x, y, u, self._lanes(run))

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.one_hot`."""
        from nirbridge.neurons.fused.backward import one_hot

        curve = _curve_of(self, self.slope, rises_of(self.slope), run, x)
        sums = run.backward(one_hot, (x, grad, out), (self._lanes(run), curve), 3 if learns else 0)
        if not learns:
            return Sums()
        by_level, by_reset, by_decay = sums.T
        return Sums(-by_level / run.neurons.quantum - by_reset, by_decay)


@dataclass(frozen=True)
class UniformRule:
    """``MultiLevelIF``."""

    slope: UniformSlope
    sends_values: bool
    v_init: Number
    is_transparent = False

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """v_init where it is a tensor."""
        return (self.v_init,) if isinstance(self.v_init, Tensor) else ()

    def step(self, quantum: Tensor, decay: Number) -> Step:
        """The gradient runs through the reset."""
        fire = partial(uniform_level, quantum=quantum.detach(), levels=self.slope.levels)

        def step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            u = charge(x, v, decay, 1.0)
            level = spike(u, quantum, fire, self.slope)
            value = level * quantum
            return value if self.sends_values else level, u - value

        return step

    def _levels(self, run: Pass) -> Levels:
        return Levels(run.dtype.type(self.slope.levels), self.sends_values)

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform`."""
        from nirbridge.neurons.fused.forward import uniform

        run.forward(uniform, x, y, u, self._levels(run))

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.uniform`."""
        from nirbridge.neurons.fused.backward import uniform

        curve = _curve_of(self, self.slope, rises_of(self.slope), run, x)
        sums = run.backward(uniform, (x, grad, out), (self._levels(run), curve), 2 if learns else 0)
        if not learns:
            return Sums()
        by_level, by_value = sums.T
        return Sums(by_value - by_level / run.neurons.quantum)


@dataclass(frozen=True)
class StraightRule:
    """``Barrier`` and ``LMHT``: straight through; the quantum does not learn.

    Attributes:
        levels: N or L.
        window: (low, high, θ): the gradient passes from low θ to high θ, θ broadcastable to the features; None is
            everywhere.
        carries: whether the gradient runs along the membrane to earlier steps.
        v_init: membrane before the first step.
    """

    levels: int
    window: tuple[float, float, Tensor] | None
    carries: bool
    v_init: Number

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The window's θ, and v_init where it is a tensor."""
        given = (self.v_init,) if self.window is None else (self.window[2], self.v_init)
        return tuple(each for each in given if isinstance(each, Tensor))

    @property
    def is_transparent(self) -> bool:
        """Whether the gradient of ``x`` is that of ``y`` itself: what a level takes from the membrane, it sends on."""
        return self.window is None and self.carries

    def step(self, quantum: Tensor, decay: Number) -> Step:
        """What a level takes from the membrane, it sends on."""
        window = None
        if self.window is not None:
            low, high, theta = self.window
            window = low * theta.to(quantum.dtype), high * theta.to(quantum.dtype)

        def step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            u = charge(x, v if self.carries else v.detach(), decay, 1.0)
            value = straight_through(u, uniform_level(u.detach(), quantum, self.levels) * quantum, window)
            return value, u - value

        return step

    def _levels(self, run: Pass) -> Levels:
        return Levels(run.dtype.type(self.levels), True)

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform` and :mod:`nirbridge.neurons.fused.mixed`."""
        from nirbridge.neurons.fused import forward, mixed

        run.forward(mixed.forward if run.neurons.mixing.size else forward.uniform, x, y, u, self._levels(run))

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.straight` and :mod:`nirbridge.neurons.fused.mixed`."""
        from nirbridge.neurons.fused import backward, mixed

        low, high, theta = self.window or (-np.inf, np.inf, 1.0)
        unit, number, mixing = run.layout.spread(theta, run.dtype), run.dtype.type, run.neurons.mixing
        constants = self._levels(run), Window(number(low) * unit, number(high) * unit, self.carries)
        loops = mixed.backward if mixing.size else backward.straight
        sums = run.backward(loops, (x, grad, out), constants, 1 + mixing.size if learns else 0)
        if not learns:
            return Sums()
        return Sums(decay=sums[:, 0], mixing=sums[:, 1:].sum(0).reshape(mixing.shape))
