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

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.primitives import FirstSpikePool2d
from nirbridge.primitives.shaping import pairs
from nirbridge.runtime import PlannedNode
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


def phase_encode(planned: PlannedNode, setting: Setting) -> Function:
    """s(k) = 1 where the rest r >= base^-k, which is then taken off r; r starts at x / scale."""
    node: PhaseEncode = planned.node
    scale = _double(node.scale, setting)

    def function(x: Tensor) -> Tensor:
        rest = x[:, 0].double() / scale
        spikes = []
        for k in range(1, node.phases + 1):
            value = node.base**-k
            fires = rest >= value
            rest = torch.where(fires, rest - value, rest)
            spikes.append(fires.to(x.dtype))
        return torch.stack(spikes, 1)

    return function


def phase_decode(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """y(t) = v_init + Σ_{k <= t} base^-k x(k), which is the membrane too."""
    node: PhaseDecode = planned.node
    start = _double(node.v_init, setting)

    def function(x: Tensor, kept: Kept) -> Tensor:
        total = start
        sums = []
        for k, frame in enumerate(x.unbind(1), start=1):
            total = total + node.base**-k * frame.double()
            sums.append(total.to(x.dtype))
        if kept is not None:
            kept += sums
        return torch.stack(sums, 1)

    return function


def phase_integrate_and_fire(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """V(t) = Q_in V(t-1) + x(t); phase k fires once, where V(wait + k) reaches the threshold of that phase.

    The membrane is the decoded sum, V(t) Q_in^-(t+first-1).
    """
    node: PhaseIF = planned.node
    first = node.first_phase - 1
    start = _double(node.v_init * node.base_in**first, setting)
    limits = _phase_limits(node, first, setting)

    def function(x: Tensor, kept: Kept) -> Tensor:
        v = start.expand(x[:, 0].shape)
        silent = torch.ones_like(v, dtype=torch.bool)
        spikes = torch.zeros_like(x)
        for t in range(1, node.phases + node.wait + 1):
            v = node.base_in * v + (x[:, t - 1].double() if t <= node.phases else 0.0)
            if kept is not None and t <= node.phases:
                kept.append((v * node.base_in ** -(t + first)).to(x.dtype))
            k = t - node.wait
            if k >= 1:
                fires = silent & (v >= limits[k - 1])
                silent = silent & ~fires
                spikes[:, k - 1] = fires
        return spikes

    return function


def _phase_limits(node: PhaseIF, first: int, setting: Setting) -> list[Tensor]:
    """The threshold of each output phase, in the shape of v_threshold, by the reference's order of operations."""
    middle = (1 + 1 / node.base_out) / 2 if node.rounding else 1.0
    return [
        _double(
            node.v_threshold * middle * node.base_in ** (node.wait + k + first) * node.base_out ** -(k + first), setting
        )
        for k in range(1, node.phases + 1)
    ]


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


def _double(value: object, setting: Setting) -> Tensor:
    return torch.tensor(np.asarray(value, dtype=np.float64), device=setting.device)
