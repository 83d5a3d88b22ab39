"""Which nodes of a plan send spikes, and which send analog values."""

from __future__ import annotations

import nir

from nirbridge.ir import SPIKING, EventInput, MaxPool2d, Place
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime.plan import Plan

HANDING_ON: tuple[type[nir.NIRNode], ...] = (
    nir.Output,
    nir.Flatten,
    nir.Delay,
    MaxPool2d,
    FirstSpikePool2d,
    Place,
)
"""Nodes that send nothing but what they get from their one sender, and 0."""


def sends_spikes(plan: Plan, name: str) -> bool:
    """Whether the node sends spikes, or hands on those of the one node that does; sums of several are analog."""
    seen: set[str] = set()
    while type(plan[name].node) in HANDING_ON and len(plan[name].sources) == 1 and name not in seen:
        seen.add(name)
        name = plan[name].sources[0].name
    return type(plan[name].node) in (*SPIKING, EventInput)
