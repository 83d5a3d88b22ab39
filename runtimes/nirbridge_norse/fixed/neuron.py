"""A neuron node in precision "fixed": compiled on the CPU, in torch elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nirbridge_norse.fixed.parameters import FixedParameters
from nirbridge_norse.fixed.step import FixedState, fixed_step
from nirbridge_norse.fused import numba_is_there
from nirbridge_norse.fused.layout import make_layout

Pass = Callable[[Tensor, FixedState], None]


class FixedNeuron:
    """A stage; both of its ways give the same integers.  States are float64, whatever dtype carries the messages.

    Args:
        p: the parameters.
        features: shape of one sample.
    """

    view = False
    in_place = True

    def __init__(self, p: FixedParameters, features: tuple[int, ...]) -> None:
        self.p = p
        self.features = features
        self.state: FixedState | None = None
        self.membranes: list[Tensor] | None = None
        self.compiled = numba_is_there() and p.keep.device.type == "cpu"
        self._prepared: tuple[int, Pass] | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """[T, B, *features] → the same shape."""
        if self.state is None:
            start = torch.zeros_like(x[0], memory_format=torch.contiguous_format, dtype=torch.float64)
            self.state = FixedState(start + self.p.v_init, start if self.p.keep_current is not None else start[:0])
        if self.membranes is None and self.compiled:
            x = x.contiguous() if scratch else x.clone(memory_format=torch.contiguous_format)
            self._pass(x.shape[1])(x, self.state)
            return x
        return torch.stack([self._step(frame) for frame in x])

    def reset(self) -> None:
        """The next run starts from the fresh state."""
        self.state = None

    def _step(self, frame: Tensor) -> Tensor:
        assert self.state is not None
        y, self.state = fixed_step(frame, self.state, self.p)
        if self.membranes is not None:
            self.membranes.append(self.state.v)
        self.state = FixedState(*(part.clone(memory_format=torch.contiguous_format) for part in self.state))
        return y.to(frame.dtype)

    def _pass(self, batch: int) -> Pass:
        if self._prepared is None or self._prepared[0] != batch:
            self._prepared = (batch, make_pass(self.p, self.features, batch))
        return self._prepared[1]


def make_pass(p: FixedParameters, features: tuple[int, ...], batch: int) -> Pass:
    """The compiled pass over contiguous [T, B, *features] data, in place, with the state."""
    from nirbridge_norse.fixed import kernels
    from nirbridge_norse.fused.kernels import Lanes

    layout, lanes = make_layout(features, batch), p.lanes
    keep, gain, after = (layout.parameters(value) for value in (p.keep, p.gain, p.v_reset))
    ones = np.ones_like(keep)
    current = ones if p.keep_current is None else layout.parameters(p.keep_current)
    group = ones if lanes is None else layout.parameters(lanes.group)
    neurons = kernels.Neurons(keep, gain, current, ones, after, group.astype(np.int64))
    how = (p.subtract, p.at_least)
    tables = None if lanes is None else Lanes(lanes.threshold.numpy(), lanes.weight.numpy(), lanes.amount.numpy())

    def run(data: Tensor, state: FixedState) -> None:
        rows = data.numpy().reshape(len(data), -1)
        states = (state.v.numpy().reshape(-1), state.i.numpy().reshape(-1))
        if tables is None:
            kernels.send_membrane(rows, *states, neurons, layout.chunks)
        else:
            kernels.fire(rows, *states, neurons, tables, how, layout.chunks)

    return run
