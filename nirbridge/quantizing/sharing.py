"""Which layers add up, so that their channels need units that are powers of two of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nirbridge.ir import FlatGraph, spec_of
from nirbridge.ir.once import once

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
    found: set[str] = set()
    foreign = False
    seen: set[str] = set()
    pending = list(flat.sources(name))
    while pending:
        source = pending.pop()
        if source in seen:
            continue
        seen.add(source)
        rule = rule_of(flat.nodes[source])
        if rule in CHANNELLED:
            found.add(source)
        elif rule == "same":
            pending += flat.sources(source)
        else:
            foreign = True
            found |= _behind(flat, source)
    return found, foreign


def _behind(flat: FlatGraph, name: str) -> set[str]:
    """Layers whose unit reaches a node through pools and the like."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = [name]
    while pending:
        source = pending.pop()
        if source in seen or has_unit(flat.nodes[source]):
            continue
        seen.add(source)
        if rule_of(flat.nodes[source]) in CHANNELLED:
            found.add(source)
        else:
            pending += flat.sources(source)
    return found


def _leads(flat: FlatGraph, name: str) -> bool:
    sources = flat.sources(name)
    return rule_of(flat.nodes[name]) == "scaling" and all(has_unit(flat.nodes[source]) for source in sources)
