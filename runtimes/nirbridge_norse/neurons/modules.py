"""A node of a plan → its neuron over time."""

from __future__ import annotations

from collections import namedtuple
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import stepping_of
from nirbridge_norse.neurons.fused_snn import FusedSNN
from nirbridge_norse.neurons.lanes import lane_parameters, lane_start, lane_step
from nirbridge_norse.setting import Setting


def step_neuron(planned: PlannedNode, setting: Setting) -> FusedSNN:
    """The primitive's own step on torch tensors; dt/tau and the like are divided in double precision, then cast once.

    Parameters and state are named tuples of tensors, as Norse has them.
    """
    found = stepping_of(planned, setting.dt)
    parameters = namedtuple("Parameters", found.parameters)  # type: ignore[misc]
    state = namedtuple("State", found.state)  # type: ignore[misc]
    p = parameters(*(setting.tensor(value) for value in found.parameters.values()))
    start = tuple(setting.tensor(value) for value in found.start)

    def activation(x: Tensor, before: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
        y, *after = found.step(x, *before, *p)
        return y.to(x.dtype), state(*after)

    def fresh(x: Tensor) -> Any:
        return state(*(torch.zeros_like(x).add_(value) for value in start))

    return FusedSNN(activation, fresh, p, setting.dt, (*p, *start), _passes(setting).find_step_pass(found))


def lane_neuron(planned: PlannedNode, setting: Setting) -> FusedSNN:
    """The multi-level neuron."""
    p = lane_parameters(planned.node, setting)
    tensors = (p.decay, p.gain, p.v_init, p.v_reset, p.lanes.group)
    return FusedSNN(lane_step, partial(lane_start, p), p, setting.dt, tensors, _passes(setting).lane_pass)


def _passes(setting: Setting) -> Any:
    """The module of compiled passes for the device."""
    if setting.device.type == "cpu":
        from nirbridge_norse.fused import passes

        return passes
    from nirbridge_norse.fused import triton_passes

    return triton_passes
