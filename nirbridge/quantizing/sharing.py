"""Which layers add up, so that their channels need units that are powers of two of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nirbridge.ir import FlatGraph, spec_of
from nirbridge.ir.once import once
from nirbridge.ir.topology import reached

CHANNELLED = ("matrix", "convolution", "scaling")
"""Rules whose output channels may have a step each."""


@dataclass(frozen=True)
class Group:
    """Layers whose outputs add up, in one sum or through several.

    Attributes:
        members: their names.
        fixed: whether something adds to them whose unit they cannot choose, so that theirs are powers of two.
        leader: a Scale behind spikes, whose channels have one weight each: as the others' unit it loses nothing.
    """

    members: frozenset[str]
    fixed: bool
    leader: str


def rule_of(node: Any) -> str | Callable[..., Any]:
    """The rule that a node's Spec names."""
    integers = spec_of(node).integers
    return "" if integers is None else integers.quantise


def has_unit(node: Any) -> bool:
    """Whether its messages have a unit of their own, whatever enters: it breaks the circle in a cycle."""
    integers = spec_of(node).integers
    return integers is not None and integers.unit is not None


@once
def groups(flat: FlatGraph) -> dict[str, Group]:
    """The group of every layer that adds to something."""
    members: dict[str, set[str]] = {}
    fixed: set[str] = set()
    for name in flat.nodes:
        if len(flat.sources(name)) < 2:
            continue
        found, foreign = _summands(flat, name)
        together = found.union(*(members[layer] for layer in found if layer in members))
        members.update(dict.fromkeys(together, together))
        if foreign:
            fixed |= found
    made: dict[str, Group] = {}
    for layer, together in members.items():
        if layer not in made:
            leaders = sorted(name for name in together if _leads(flat, name))
            group = Group(frozenset(together), bool(fixed & together), leaders[0] if leaders else "")
            made.update(dict.fromkeys(together, group))
    return made


def _summands(flat: FlatGraph, name: str) -> tuple[set[str], bool]:
    """(layers whose outputs add up at a node, whether anything else does)."""

    def passes(source: str) -> bool:
        return rule_of(flat.nodes[source]) == "same"

    seen = reached(flat.sources(name), lambda source: flat.sources(source) if passes(source) else ())
    ends = {source for source in seen if not passes(source)}
    foreign = {source for source in ends if rule_of(flat.nodes[source]) not in CHANNELLED}
    return (ends - foreign).union(*(_behind(flat, source) for source in foreign)), bool(foreign)


def _behind(flat: FlatGraph, name: str) -> set[str]:
    """Layers whose unit reaches a node through pools and the like."""

    def is_layer(source: str) -> bool:
        return rule_of(flat.nodes[source]) in CHANNELLED

    def onward(source: str) -> tuple[str, ...]:
        return () if has_unit(flat.nodes[source]) or is_layer(source) else flat.sources(source)

    return {one for one in reached([name], onward) if is_layer(one) and not has_unit(flat.nodes[one])}


def _leads(flat: FlatGraph, name: str) -> bool:
    sources = flat.sources(name)
    return rule_of(flat.nodes[name]) == "scaling" and all(has_unit(flat.nodes[source]) for source in sources)
