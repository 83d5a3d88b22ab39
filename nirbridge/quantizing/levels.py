"""Which synapses decide what the integer 1 stands for at a node."""

from __future__ import annotations

from nirbridge.ir import FlatGraph, moves_values
from nirbridge.quantizing.sharing import has_unit, rule_of

_WEIGHTED = ("matrix", "convolution", "scaling", "aggregation", "mix")
"""Rules whose weights may become coarser."""


def synapse_levels(flat: FlatGraph, name: str) -> list[set[str]]:
    """The synapses that decide the scale of what ``name`` sends, by the number of synapses between them and it.

    The way back ends at spiking neurons, whose messages have a unit of their own, and at inputs.
    """
    levels: list[set[str]] = []
    seen: set[str] = set()
    pending = [name]
    while pending:
        level, farther = _one_level(flat, pending, name, seen)
        if level:
            levels.append(level)
        pending = farther
    return levels


def _one_level(flat: FlatGraph, start: list[str], name: str, seen: set[str]) -> tuple[set[str], list[str]]:
    """(the next synapses on the way back, the nodes before them)."""
    found: set[str] = set()
    farther: list[str] = []
    pending = list(start)
    while pending:
        current = pending.pop()
        if current in seen or (has_unit(flat.nodes[current]) and current != name):
            continue
        seen.add(current)
        before = flat.sources(current)
        if rule_of(flat.nodes[current]) in _WEIGHTED and not moves_values(flat.nodes[current]):
            found.add(current)
            farther += before
        else:
            pending += before
    return found, farther
