"""Which nodes of a plan send spikes, and which send analog values."""

from __future__ import annotations

from nirbridge.ir import spec_of
from nirbridge.primitives.event_input import brings_events
from nirbridge.runtime.plan import Plan, PlannedNode


def sends_spikes(plan: Plan, name: str) -> bool:
    """Whether the node sends spikes, or hands on those of the one node that does; sums of several are analog."""
    node = sender(plan, name).node
    return spec_of(node).sends.spikes or brings_events(node)


def sends_bits(plan: Plan, name: str) -> bool:
    """Whether it sends or hands on spikes of 0 and 1, whatever comes in, NaN as well."""
    return spec_of(sender(plan, name).node).sends.kind == "binary"


def sender(plan: Plan, name: str) -> PlannedNode:
    """The node itself, or the one whose values it hands on."""
    seen: set[str] = set()
    while spec_of(plan[name].node).sends.kind == "passed" and len(plan[name].sources) == 1 and name not in seen:
        seen.add(name)
        name = plan[name].sources[0].name
    return plan[name]
