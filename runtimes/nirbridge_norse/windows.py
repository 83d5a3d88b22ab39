"""Every node that works on windows of steps, as a function of [V, W, B, *in]: V windows side by side.

The phase nodes compute in double precision whatever the program's dtype: the phases of one window weigh up to
base^phases times each other, more than float32 resolves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.ir import TemporalMix
from nirbridge.primitives import FirstSpikePool2d
from nirbridge.primitives.shaping import pairs
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import window_of
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Kept

Function = Callable[[Tensor], Tensor]


def temporal_mix(planned: PlannedNode, setting: Setting) -> Function:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    node: TemporalMix = planned.node
    weight = setting.tensor(node.weight)

    def function(x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), len(weight), *x.shape[2:])
        for j, frame in enumerate(x.unbind(1)):
            y += weight[:, j].reshape(-1, *(1,) * (frame.ndim - 1)) * frame[:, None]
        return y

    return function


def real_window(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """What the primitive itself says, in double precision."""
    return _window(planned, setting, integers=False)


def integer_window(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """The same on whole numbers in float64: products with a mantissa stay below 2^53, so they are exact."""
    return _window(planned, setting, integers=True)


def _window(planned: PlannedNode, setting: Setting, integers: bool) -> Callable[[Tensor, Kept], Tensor]:
    def cast(value: object) -> Tensor:
        return torch.tensor(np.asarray(value, dtype=np.float64), device=setting.device)

    run = window_of(planned, integers, cast)

    def function(x: Tensor, kept: Kept) -> Tensor:
        sent, membranes = run([frame.double() for frame in x.unbind(1)])
        if kept is not None and membranes is not None:
            kept += [membrane.to(x.dtype) for membrane in membranes]
        return torch.stack([frame.to(x.dtype) for frame in sent], 1)

    return function


def first_spike_pool(planned: PlannedNode, setting: Setting) -> Function:
    """1 at the first step at which any input of the spatial window spikes, 0 after it."""
    node: FirstSpikePool2d = planned.node
    kernel, stride, padding = (pairs(value, 2) for value in (node.kernel_size, node.stride, node.padding))

    def function(x: Tensor) -> Tensor:
        spiked = functional.max_pool2d((x != 0).to(x.dtype).flatten(0, 2), kernel, stride, padding)
        spiked = spiked.unflatten(0, x.shape[:3])
        so_far = spiked.cummax(1).values
        y = so_far.clone()
        y[:, 1:] -= so_far[:, :-1]
        return y

    return function
