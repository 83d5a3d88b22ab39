"""What a pass needs to know of a neuron, and how it calls the compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.neurons.fused.layout import Layout
from nirbridge.neurons.fused.surrogates import compiled_shape, exponential_series
from nirbridge.neurons.gradients import OneHotSlope, UniformSlope

Array = NDArray[Any]


@dataclass(frozen=True)
class Pass:
    """The arrays of one call, each [T, N] but ``v_init`` [N].

    Attributes:
        layout: chunks and threads.
        u: membranes after charging; one row where no gradient is wanted.
        y: outputs.
        v_init: first state, meaningful where the decay is learned.
        quantum: θ or q.
        decay: λ.
    """

    layout: Layout
    u: Array
    y: Array
    v_init: Array
    quantum: Tensor
    decay: Tensor


class Rule(Protocol):
    """A family of neurons."""

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Parameters besides the quantum and the decay."""

    @property
    def is_transparent(self) -> bool:
        """Whether the gradient of ``x`` is that of ``y`` itself."""

    def forward(self, run: Pass, x: Array, v: Array) -> None:
        """Fills ``run.y`` and ``run.u``; ``v`` becomes the last state."""

    def backward(self, run: Pass, grad: Array, out: Array, wanted: tuple[bool, bool]) -> tuple[Array, Array]:
        """Fills ``out`` with the gradient of x; gives (threads, width) sums for the quantum and the decay."""


@dataclass(frozen=True)
class _Rises:
    """A surrogate's slope as the loops take it: by its shape, or as numbers that torch computed."""

    kind: int
    shape: Array
    rises: Array
    slopes: Array

    @classmethod
    def of(cls, slope: OneHotSlope | UniformSlope, rises: list[tuple[float, float, float]], run: Pass) -> _Rises:
        dtype = run.u.dtype
        described = compiled_shape(slope.surrogate)
        if described is not None:
            kind, numbers = described
            return cls(kind, np.array(numbers, dtype), np.array(rises, dtype), np.empty((0, 0), dtype))
        layout = run.layout
        quantum = run.quantum.detach() if layout.features is not None else run.quantum.detach().reshape(())
        u = torch.from_numpy(run.u)
        features = layout.features or (run.u.shape[1],)
        given = slope(u.reshape(len(u), -1, *features), quantum).reshape(u.shape)
        return cls(0, np.zeros(2, dtype), np.empty((0, 3), dtype), given.contiguous().numpy())


def _scratch(run: Pass) -> tuple[Array, Array, Array]:
    dtype, width = run.u.dtype, int(np.max(run.layout.chunks[:, 1] - run.layout.chunks[:, 0]))
    bits = np.zeros(width, np.int32 if dtype == np.float32 else np.int64)
    return np.empty((6, width), dtype), bits, bits.view(dtype)


def _sums(run: Pass) -> Array:
    return np.zeros((run.layout.threads, run.layout.width), run.u.dtype)


@dataclass(frozen=True)
class OneHotRule:
    """``MultiLevelLIF``."""

    slope: OneHotSlope
    gain: float
    boundary: str
    reset: str
    v_reset: float
    parameters = ()
    is_transparent = False

    def forward(self, run: Pass, x: Array, v: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.one_hot`."""
        from nirbridge.neurons.fused.forward import one_hot

        number = run.u.dtype.type
        decay, theta = run.layout.spread(run.decay), run.layout.spread(run.quantum)
        units = np.array(self.slope.units, run.u.dtype)
        options = (self.boundary == ">=", self.reset == "subtract", number(self.v_reset))

        def work(thread: int, chunks: Array) -> None:
            one_hot(x, v, run.y, run.u, decay, number(self.gain), theta, units, *options, chunks)

        run.layout.shared_out(work)

    def backward(self, run: Pass, grad: Array, out: Array, wanted: tuple[bool, bool]) -> tuple[Array, Array]:
        """See :func:`nirbridge.neurons.fused.backward.one_hot`."""
        from nirbridge.neurons.fused.backward import one_hot

        number = run.u.dtype.type
        decay, theta = run.layout.spread(run.decay), run.layout.spread(run.quantum)
        sign, below, rises = -1.0 if self.slope.mode == "difference" else 1.0, 0.0, []
        for unit in self.slope.units:
            rises.append(((unit + sign * below) / unit, 1.0 / unit, 1.0))
            below = unit
        h = _Rises.of(self.slope, rises, run)
        series = exponential_series(run.u.dtype.name)
        in_theta, in_decay = _sums(run), _sums(run)
        how = (self.reset == "subtract", number(self.v_reset))

        def work(thread: int, chunks: Array) -> None:
            one_hot(
                grad, run.u, run.y, run.v_init, out, decay, number(self.gain), theta, h.slopes, h.rises, h.kind,
                h.shape, series, *how, in_theta[thread], in_decay[thread], *wanted, *_scratch(run), chunks,
            )  # fmt: skip

        run.layout.shared_out(work)
        return in_theta, in_decay


@dataclass(frozen=True)
class UniformRule:
    """``MultiLevelIF``."""

    slope: UniformSlope
    sends_values: bool
    parameters = ()
    is_transparent = False

    def forward(self, run: Pass, x: Array, v: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform`."""
        _uniform_forward(run, x, v, self.slope.levels, self.sends_values)

    def backward(self, run: Pass, grad: Array, out: Array, wanted: tuple[bool, bool]) -> tuple[Array, Array]:
        """See :func:`nirbridge.neurons.fused.backward.uniform`."""
        from nirbridge.neurons.fused.backward import uniform

        levels = self.slope.levels
        rises = [(1.0, 1.0, float(n)) for n in range(1, levels + 1)]
        h = _Rises.of(self.slope, [(1.0, 1.0 / levels, 1.0)] if self.slope.mode == "single" else rises, run)
        quantum, series = run.layout.spread(run.quantum), exponential_series(run.u.dtype.name)
        in_quantum = _sums(run)

        def work(thread: int, chunks: Array) -> None:
            uniform(
                grad, run.u, run.y, out, quantum, h.slopes, h.rises, h.kind, h.shape, series, self.sends_values,
                in_quantum[thread], *_scratch(run), chunks,
            )  # fmt: skip

        run.layout.shared_out(work)
        return in_quantum, _sums(run)


@dataclass(frozen=True)
class StraightRule:
    """``Barrier`` and ``LMHT``: straight through.

    Attributes:
        levels: N or L.
        window: the ends (low, high) of where the gradient passes, broadcastable to the features; None is everywhere.
        carries: whether the gradient runs along the membrane to earlier steps.
    """

    levels: int
    window: tuple[Tensor, Tensor] | None
    carries: bool

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Parameters besides the quantum and the decay."""
        return self.window or ()

    @property
    def is_transparent(self) -> bool:
        """Whether the gradient of ``x`` is that of ``y`` itself: what a level takes from the membrane, it sends on."""
        return self.window is None and self.carries

    def forward(self, run: Pass, x: Array, v: Array) -> None:
        """See :func:`nirbridge.neurons.fused.forward.uniform`."""
        _uniform_forward(run, x, v, self.levels, True)

    def backward(self, run: Pass, grad: Array, out: Array, wanted: tuple[bool, bool]) -> tuple[Array, Array]:
        """See :func:`nirbridge.neurons.fused.backward.straight`."""
        from nirbridge.neurons.fused.backward import straight

        decay, low, high = (run.layout.spread(each) for each in (run.decay, *self.parameters))
        in_decay = _sums(run)

        def work(thread: int, chunks: Array) -> None:
            scratch = _scratch(run)[0]
            straight(
                grad, run.u, run.y, run.v_init, out, decay, low, high, self.carries, in_decay[thread], scratch, chunks
            )

        run.layout.shared_out(work)
        return _sums(run), in_decay


def _uniform_forward(run: Pass, x: Array, v: Array, levels: int, sends_values: bool) -> None:
    from nirbridge.neurons.fused.forward import uniform

    decay, quantum = run.layout.spread(run.decay), run.layout.spread(run.quantum)

    def work(thread: int, chunks: Array) -> None:
        uniform(x, v, run.y, run.u, decay, quantum, run.u.dtype.type(levels), sends_values, chunks)

    run.layout.shared_out(work)
