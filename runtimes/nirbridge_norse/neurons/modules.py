"""A node of a plan → its neuron over time, with its state."""

from __future__ import annotations

from collections import namedtuple
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import stepping_of
from nirbridge_norse.neurons.counting import Counting
from nirbridge_norse.neurons.fused_snn import FusedSNN
from nirbridge_norse.neurons.lanes import lane_parameters, lane_start, lane_step
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Neuron, Stage


def step_neuron(planned: PlannedNode, setting: Setting) -> Stage:
    """The primitive's own step on torch tensors; dt/tau and the like are divided in double precision, then cast once.

    Parameters and state are named tuples of tensors, as Norse has them.
    """
    from nirbridge_norse.fused import triton_passes
    from nirbridge_norse.fused.passes import find_step_pass

    found = stepping_of(planned, setting.dt)
    state = _named("State", tuple(found.state))
    p = _named("Parameters", tuple(found.parameters))(*(setting.tensor(value) for value in found.parameters.values()))
    start = tuple(setting.tensor(value) for value in found.start)

    def activation(x: Tensor, before: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
        with Counting(x.dtype):
            values = found.step(x, *before, *p)
        y, *after = (value.to(x.dtype) for value in values)
        return y, state(*after)

    def fresh(x: Tensor) -> Any:
        return state(*(torch.zeros_like(x).add_(value) for value in start))

    on_card = triton_passes.step_on_card(found, p) if triton_passes.runs_kernels(setting.device) else None
    make_pass = find_step_pass(found)
    return Neuron(FusedSNN(activation, fresh, p, setting.dt, (*p, *start), make_pass, start, on_card))


@cache
def _named(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


def lane_neuron(planned: PlannedNode, setting: Setting) -> Stage:
    """The multi-level neuron."""
    from nirbridge_norse.fused import triton_passes
    from nirbridge_norse.fused.passes import lane_pass

    p = lane_parameters(planned.node, setting)
    tensors = (p.decay, p.gain, p.v_init, p.v_reset, p.lanes.group)
    on_card = triton_passes.lanes_on_card(p) if triton_passes.runs_kernels(setting.device) else None
    start = partial(lane_start, p)
    return Neuron(FusedSNN(lane_step, start, p, setting.dt, tensors, lane_pass, (p.v_init,), on_card))
