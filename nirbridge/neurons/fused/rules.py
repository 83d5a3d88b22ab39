"""What a pass needs to know of a neuron, and how it calls the compiled loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.neurons.fused.layout import Layout
from nirbridge.neurons.fused.surrogates import Curve, Rises, curve_of, is_compiled
from nirbridge.neurons.gradients import OneHotSlope, UniformSlope

Array = NDArray[Any]
Number: TypeAlias = "float | Tensor"


@dataclass(frozen=True)
class Pass:
    """The numbers of one call, by group.

    Attributes:
        layout: chunks and threads.
        dtype: numpy's dtype of the data.
        quantum: θ or q (G,).
        decay: λ (G,).
        omega: weights (T, T) that mix the inputs, or (0, 0).
        v_init: membrane before the first step (G,).
    """

    layout: Layout
    dtype: Any
    quantum: Array
    decay: Array
    omega: Array
    v_init: Array

    def none(self) -> Array:
        """No rows, where a pass takes some at will."""
        return np.empty((0, 0), self.dtype)

    def shared_out(self, work: Callable[[int, Array, Array], None], rows: int) -> None:
        """See :meth:`Layout.shared_out`."""
        self.layout.shared_out(work, rows, self.dtype)


_NONE: Array = np.empty(0)


@dataclass(frozen=True)
class Sums:
    """Gradients of parameters in double precision, empty for what does not learn.

    Attributes:
        quantum: by group (G,).
        decay: by group (G,).
        omega: of the mixing (T, T).
    """

    quantum: Array = _NONE
    decay: Array = _NONE
    omega: Array = _NONE


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

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """Fills ``y``, and ``u`` where it has rows."""

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """Fills ``out`` with the gradient of x; gives those of parameters.

        Args:
            run: numbers of the call.
            x: inputs [T, N].
            grad: gradient of the outputs.
            out: gets that of the inputs.
            learns: whether that of quantum or decay is asked for.
        """


def _shared_sums(run: Pass, learns: bool) -> Array:
    """Rows by part and group, none where nothing learns."""
    return np.zeros((len(run.layout.parts), len(run.quantum) if learns else 0, 3))


def _totals(sums: Array) -> Array:
    """The three sums by group."""
    return sums.sum(0).T


@lru_cache(maxsize=256)
def _curve(surrogate: Any, rises: Rises, quantum: bytes, dtype: Any) -> Curve:
    return curve_of(surrogate, rises, np.frombuffer(quantum, dtype))


def _slope_of(
    rule: Rule, slope: OneHotSlope | UniformSlope, rises: Rises, run: Pass, x: Array
) -> tuple[Array, tuple[Any, ...]]:
    """dlevel/du as rows [T, N] where only torch can compute it, else none, and as a curve that the loops know."""
    surrogate: Any = slope.surrogate
    if is_compiled(surrogate):
        return run.none(), _curve(surrogate, rises, run.quantum.tobytes(), run.dtype).arrays
    u, y = np.empty_like(x), np.empty_like(x)
    rule.forward(run, x, y, u)
    groups = len(run.quantum)
    copies = (
        x.shape[1] // groups if run.layout.batch_last or groups == 1 else x.shape[1] // groups // run.layout.shape[1]
    )
    membranes = torch.from_numpy(u).reshape(len(u), -1, groups, copies)
    given = slope(membranes, torch.from_numpy(run.quantum)[:, None])
    return given.reshape(u.shape).contiguous().numpy(), Curve.none(run.dtype, groups).arrays


@lru_cache(maxsize=256)
def _one_hot_numbers(
    units: tuple[float, ...], above: bool, gain: float, v_reset: float, quantum: bytes, decay: bytes, dtype: Any
) -> tuple[Array, Array, Array]:
    """Numbers, limits and units as the loops take them, by group."""
    theta = np.frombuffer(quantum, dtype)
    # Loops take one lane, or four at a time; those that repeat the first change nothing.
    held = np.array(units if len(units) == 1 else (units[0],) * (4 - len(units)) + units, dtype)
    limits = held * theta[:, None]
    if above:
        # u > limit is u >= the next number, but for a limit of infinity, which nothing exceeds.
        limits = np.nextafter(limits, np.array(np.inf, dtype))
        limits[np.isinf(limits)] = np.nan
    numbers = np.empty((len(theta), 4), dtype)
    numbers[:, 0], numbers[:, 1], numbers[:, 2], numbers[:, 3] = np.frombuffer(decay, dtype), gain, theta, v_reset
    return numbers, np.ascontiguousarray(limits, dtype), held


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

    def _constants(self, run: Pass) -> tuple[Array, Array, Array, Array, bool]:
        """v_init, numbers, limits and units as the loops take them, and whether the reset is hard."""
        shared = (self.boundary == ">", self.gain, self.v_reset, run.quantum.tobytes(), run.decay.tobytes())
        return run.v_init, *_one_hot_numbers(self.slope.units, *shared, run.dtype), self.reset == "value"

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.one_hot`."""
        from nirbridge.neurons.fused.forward import one_hot

        constants = self._constants(run)
        run.shared_out(lambda part, chunks, scratch: one_hot(x, y, u, *constants, scratch, chunks), 2)

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.one_hot`."""
        from nirbridge.neurons.fused.backward import one_hot

        given, curve = _slope_of(self, self.slope, _one_hot_rises(self.slope), run, x)
        constants, sums = self._constants(run), _shared_sums(run, learns)

        def work(part: int, chunks: Array, scratch: Array) -> None:
            one_hot(x, grad, out, *constants, given, *curve, sums[part], scratch, chunks)

        run.shared_out(work, len(x) + 5)
        if not learns:
            return Sums()
        by_level, by_reset, by_decay = _totals(sums)
        return Sums(-by_level / run.quantum - by_reset, by_decay)


def _one_hot_rises(slope: OneHotSlope) -> Rises:
    sign, units = -1.0 if slope.mode == "difference" else 1.0, slope.units
    return tuple(
        ((unit + sign * below) / unit, 1.0 / unit, 1.0) for below, unit in zip((0.0, *units), units, strict=False)
    )


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

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform`."""
        _uniform_forward(run, x, y, u, self.slope.levels, self.sends_values)

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.uniform`."""
        from nirbridge.neurons.fused.backward import uniform

        given, curve = _slope_of(self, self.slope, _uniform_rises(self.slope), run, x)
        sums = _shared_sums(run, learns)
        constants = (run.v_init, run.decay, run.quantum, run.dtype.type(self.slope.levels), self.sends_values)

        def work(part: int, chunks: Array, scratch: Array) -> None:
            uniform(x, grad, out, *constants, given, *curve, sums[part], scratch, chunks)

        run.shared_out(work, len(x) + 4)
        if not learns:
            return Sums()
        by_level, by_value, by_decay = _totals(sums)
        return Sums(by_value - by_level / run.quantum, by_decay)


def _uniform_rises(slope: UniformSlope) -> Rises:
    if slope.mode == "single":
        return ((1.0, 1.0 / slope.levels, 1.0),)
    return tuple((1.0, 1.0, float(n)) for n in range(1, slope.levels + 1))


@dataclass(frozen=True)
class StraightRule:
    """``Barrier``, and ``LMHT`` whose inputs torch has mixed: straight through.

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

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform`."""
        _uniform_forward(run, x, y, u, self.levels, True)

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.backward.straight`."""
        from nirbridge.neurons.fused.backward import straight

        low, high = _ends(run, self.window or (-np.inf, np.inf, 1.0))
        sums = _shared_sums(run, learns)
        constants = (run.v_init, run.decay, run.quantum, run.dtype.type(self.levels), low, high, self.carries)

        def work(part: int, chunks: Array, scratch: Array) -> None:
            straight(x, grad, out, *constants, sums[part], scratch, chunks)

        run.shared_out(work, len(x) + 2)
        return Sums(decay=_totals(sums)[2])


def _ends(run: Pass, window: tuple[float, float, Number]) -> tuple[Array, Array]:
    """Where a window begins and ends, by group."""
    unit = run.layout.spread(window[2], run.dtype)
    return run.dtype.type(window[0]) * unit, run.dtype.type(window[1]) * unit


@dataclass(frozen=True)
class MixedRule:
    """``LMHT``: the pass gets the weights by which the steps are mixed; straight through; θ does not learn.

    Attributes:
        levels: L.
        window: (low, high, θ): the gradient passes from low θ to high θ.
        v_init: membrane before the first step.
    """

    levels: int
    window: tuple[float, float, Tensor]
    v_init: Number
    is_transparent = False

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The window's θ, and v_init where it is a tensor."""
        return tuple(each for each in (self.window[2], self.v_init) if isinstance(each, Tensor))

    def _constants(self, run: Pass) -> tuple[Any, ...]:
        return run.v_init, run.decay, run.quantum, run.dtype.type(self.levels)

    def forward(self, run: Pass, x: Array, y: Array, u: Array) -> None:
        """See :func:`nirbridge.neurons.fused.mixed.forward`; membranes are not to be had."""
        from nirbridge.neurons.fused.mixed import forward

        constants, weights = self._constants(run), tuple(run.omega.ravel())
        run.shared_out(lambda part, chunks, scratch: forward(x, y, *constants, weights, chunks), 0)

    def backward(self, run: Pass, x: Array, grad: Array, out: Array, learns: bool) -> Sums:
        """See :func:`nirbridge.neurons.fused.mixed.backward`."""
        from nirbridge.neurons.fused.mixed import backward

        constants, weights = (*self._constants(run), *_ends(run, self.window)), tuple(run.omega.ravel())
        sums = np.zeros((len(run.layout.parts), len(run.quantum), 1 + len(weights)))

        def work(part: int, chunks: Array, scratch: Array) -> None:
            backward(x, grad, out, *constants, weights, sums[part], chunks)

        run.shared_out(work, 0)
        by_group = sums.sum(0)
        return Sums(decay=by_group[:, 0], omega=by_group[:, 1:].sum(0).reshape(run.omega.shape))


def _uniform_forward(run: Pass, x: Array, y: Array, u: Array, levels: int, sends_values: bool) -> None:
    from nirbridge.neurons.fused.forward import uniform

    constants = (run.v_init, run.decay, run.quantum, run.dtype.type(levels), sends_values)
    run.shared_out(lambda part, chunks, scratch: uniform(x, y, u, *constants, scratch, chunks), 2)
