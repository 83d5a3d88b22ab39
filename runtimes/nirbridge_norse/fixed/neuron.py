"""A neuron node in precision "fixed": compiled on the CPU, in torch elsewhere; both give the same integers."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from nirbridge.machine_code import numba_is_there
from nirbridge.primitives.integers import DECAY_ONE
from nirbridge.runtime.integer_bounds import SINGLE
from nirbridge_norse.fixed.step import FixedState, fixed_step
from nirbridge_norse.fused.layout import Order, make_layout
from nirbridge_norse.fused.passes import Pass, are_few_and_shared, lane_tables
from nirbridge_norse.neurons.lanes import LaneParameters, LaneTable


class FixedModule:
    """A neuron over time, as :class:`~nirbridge_norse.stages.Neuron` runs it.

    States are float32 where messages are and that is exact, else float64.
    """

    def __init__(self, p: LaneParameters) -> None:
        self.p = p
        self.narrow = single_does(p)
        self.compiled = numba_is_there() and p.decay.device.type == "cpu"
        self.start = (p.v_init, torch.zeros_like(p.v_init))

    def __call__(self, x: Tensor, state: FixedState) -> tuple[Tensor, FixedState]:
        """Step by step, in double precision."""
        sent = []
        for frame in x:
            y, state = fixed_step(frame, state, self.p)
            sent.append(y.to(x.dtype))
        return torch.stack(sent), FixedState(*(part.clone() for part in state))

    def state_fallback(self, frame: Tensor) -> FixedState:
        """The state before the first step; without a synapse its current is empty."""
        dtype = frame.dtype if self.narrow and self.compiled else torch.float64
        start = torch.zeros_like(frame, dtype=dtype)
        return FixedState(start + self.p.v_init.to(dtype), start if self.p.decay_current is not None else start[:0])

    def can_fuse(self, x: Tensor) -> bool:
        """Wherever numba is, on the CPU."""
        return self.compiled

    def bind(self, state: FixedState, order: Order) -> Pass:
        """The compiled pass."""
        from nirbridge_norse.fixed import kernels

        p, dtype = self.p, state.v.dtype
        lanes = p.lanes or _no_lanes(p.decay)
        fields = [p.decay * DECAY_ONE, p.gain, p.decay if p.decay_current is None else p.decay_current * DECAY_ONE]
        fields = [value.to(dtype) for value in (*fields, torch.ones_like(p.decay), p.v_reset)] + [lanes.group]
        swept = are_few_and_shared(lanes, order)
        layout = make_layout(order, len(state.v), fields, lanes.group if swept else None)
        tables = lane_tables(LaneTable(*(t.to(dtype) for t in lanes[:3]), lanes.group), p.at_least, p.subtract)
        neurons = kernels.Neurons(*map(layout.parameters, fields))
        states = tuple(order.flat(part) for part in state)
        how = np.array([p.subtract, swept, p.lanes is not None])

        return lambda data, out: partial(kernels.fire, data, out, states, neurons, tables, how, layout.chunks)


def _no_lanes(like: Tensor) -> LaneTable:
    nothing = like.new_zeros(1, 1)
    return LaneTable(nothing, nothing.expand(2, 1), nothing.expand(2, 1), torch.zeros((), dtype=torch.int64))


def single_does(p: LaneParameters) -> bool:
    """Whether single precision holds all numbers of the pass, for messages that it holds.

    A decay is at most 1, so that both parts of its product stay below 2^24; what is rounded beyond that only meets
    numbers that are beyond the limits of states.
    """
    decays = [p.decay] if p.decay_current is None else [p.decay, p.decay_current]
    sums = [p.gain, p.v_init, p.v_reset, *([] if p.lanes is None else [p.lanes.weight])]
    return all(float(k.abs().max()) <= 1 for k in decays) and all(float(n.abs().max()) < SINGLE for n in sums)
