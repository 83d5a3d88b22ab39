"""Phase codes in precision "fixed": whole numbers in float64, as functions of [V, W, B, *in], V windows side by side.

A product of an input and a mantissa is whole and below 2^53, so it is exact, and so is its shift.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_tables import Factor, decode_tables, encode_tables, fire_tables
from nirbridge.runtime import PlannedNode
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Kept


def phase_encode(planned: PlannedNode, setting: Setting) -> Callable[[Tensor], Tensor]:
    """r = clip(x·2^F); at phase k a spike where r >= B[k], then r = r - B[k]."""
    node: PhaseEncode = planned.node
    fraction, values = encode_tables(node)
    limits = [setting.tensor(value) for value in values]

    def function(x: Tensor) -> Tensor:
        rest = _clip(x[:, 0].double() * 2.0**fraction)
        spikes = []
        for limit in limits:
            fires = rest >= limit
            rest = torch.where(fires, rest - limit, rest)
            spikes.append(fires.to(x.dtype))
        return torch.stack(spikes, 1)

    return function


def phase_integrate_and_fire(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])); phase k fires once, where v(min(wait + k, T)) >= Θ[k]."""
    node: PhaseIF = planned.node
    tables = fire_tables(node)
    start, limits = setting.tensor(tables.start), [setting.tensor(limit) for limit in tables.limits]

    def function(x: Tensor, kept: Kept) -> Tensor:
        v = _sums(start, tables.gains, x)
        silent = torch.ones_like(v[0], dtype=torch.bool)
        spikes = torch.zeros_like(x)
        for k, limit in enumerate(limits, start=1):
            fires = silent & (v[min(node.wait + k, node.phases) - 1] >= limit)
            silent = silent & ~fires
            spikes[:, k - 1] = fires
        if kept is not None:
            kept += v
        return spikes

    return function


def phase_decode(planned: PlannedNode, setting: Setting) -> Callable[[Tensor, Kept], Tensor]:
    """y(t) = clip(y(t-1) + tz(x(t)·G[t])), which is the membrane too."""
    node: PhaseDecode = planned.node
    tables = decode_tables(node)
    start = setting.tensor(tables.start)

    def function(x: Tensor, kept: Kept) -> Tensor:
        y = _sums(start, tables.gains, x)
        if kept is not None:
            kept += y
        return torch.stack(y, 1).to(x.dtype)

    return function


def _sums(start: Tensor, gains: tuple[Factor, ...], x: Tensor) -> list[Tensor]:
    """The state [V, B, *shape] after each phase."""
    v = start
    states = []
    for gain, frame in zip(gains, x.unbind(1), strict=True):
        v = _clip(v + torch.trunc(frame.double() * float(np.ldexp(gain.multiplier, -gain.shift))))
        states.append(v)
    return states


def _clip(state: Tensor) -> Tensor:
    return state.clamp(-STATE_LIMIT, STATE_LIMIT)
