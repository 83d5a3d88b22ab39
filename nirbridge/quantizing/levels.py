"""Which synapses decide what the integer 1 stands for at a node."""

from __future__ import annotations

from nirbridge.ir import FlatGraph, moves_values
from nirbridge.ir.topology import reached
from nirbridge.quantizing.sharing import has_unit, rule_of

_WEIGHTED = ("matrix", "convolution", "scaling", "aggregation", "mix")
"""Rules whose weights may become coarser."""


def synapse_levels(flat: FlatGraph, name: str) -> list[list[str]]:
    """The synapses that decide the scale of what ``name`` sends, by the number of synapses between them and it.

    Those of a level by name: what is said about them must not hang on the order of a set.

    The way back ends at spiking neurons, whose messages have a unit of their own, and at inputs.
    """
    seen: set[str] = set()

    def ends(node: str) -> bool:
        return node in seen or (has_unit(flat.nodes[node]) and node != name)

    def is_synapse(node: str) -> bool:
        return rule_of(flat.nodes[node]) in _WEIGHTED and not moves_values(flat.nodes[node])

    def before(node: str) -> tuple[str, ...]:
        return () if ends(node) or is_synapse(node) else flat.sources(node)

    levels: list[list[str]] = []
    pending = {name}
    while pending:
        near = reached(pending, before)
        level = sorted(node for node in near if is_synapse(node) and not ends(node))
        seen |= near
        levels += [level] if level else []
        pending = {source for node in level for source in flat.sources(node)}
    return levels
