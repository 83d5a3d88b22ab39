"""Every node that works on windows of steps, as a function of [V, W, B, *in]: V windows side by side.

The phase nodes compute in double precision whatever the program's dtype: the phases of one window weigh up to
base^phases times each other, more than float32 resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.ir import TemporalMix, spec_of
from nirbridge.primitives.pooling import spans
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import window_of
from nirbridge_norse.fired import FiredWindow
from nirbridge_norse.fused.window_passes import find_window_pass
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage
from nirbridge_norse.windowed import Kept, Windowed, WindowedNeuron


def temporal_mix(planned: PlannedNode, setting: Setting) -> Stage:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    node: TemporalMix = planned.node
    weight = setting.tensor(node.weight)

    def function(x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), len(weight), *x.shape[2:])
        for j, frame in enumerate(x.unbind(1)):
            y += weight[:, j].reshape(-1, *(1,) * (frame.ndim - 1)) * frame[:, None]
        return y

    return Windowed(planned.window, function)


def window_stage(planned: PlannedNode, setting: Setting, integers: bool = False) -> Stage:
    """What the primitive itself says, in double precision.

    Products of integers with a mantissa stay below 2^53, so they are exact.
    """
    function = _window(planned, setting, integers)
    window = spec_of(planned.node).window
    run = window and (window.integer if integers else window.real)
    firing = find_window_pass(run, planned.node, planned.window) if run and setting.device.type == "cpu" else None
    if firing is None:
        return WindowedNeuron(planned.window, function)
    return FiredWindow(planned.window, planned.output_shape, function, firing)


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


def first_spike_pool(planned: PlannedNode, setting: Setting) -> Stage:
    """A step at which some of those in the race spike ends the race for the others under the spatial window."""
    kernel, stride, padding = spans(planned.node)
    rows, columns = planned.output_shape[-2:]
    # Each place of the kernel, with what is there for every output; padding never spikes.
    reach = (rows - 1) * stride[0] + 1, (columns - 1) * stride[1] + 1
    places = [
        (..., slice(i, i + reach[0], stride[0]), slice(j, j + reach[1], stride[1]))
        for i, j in product(*map(range, kernel))
    ]

    def function(x: Tensor) -> Tensor:
        spikes = functional.pad(x != 0, (padding[1], padding[1], padding[0], padding[0]))
        racing, wins = torch.ones((), dtype=torch.bool, device=x.device), []
        for frame in torch.stack([spikes[place] for place in places]).unbind(2):
            firing = frame & racing
            wins.append(firing.amax(0))
            racing = firing | (racing & ~wins[-1])
        return torch.stack(wins, 1).to(x.dtype)

    return Windowed(planned.window, function)
