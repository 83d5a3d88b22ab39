"""Rules that ask one node after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, label

Said = Iterator[tuple[str, str]]
"""What is wrong with a node, and what to do."""


def by_node(rule: Callable[[Any], Said]) -> Callable[[FlatGraph], list[Problem]]:
    """The rule over a graph that asks ``rule`` about each of its nodes."""

    @wraps(rule)
    def problems(flat: FlatGraph) -> list[Problem]:
        return [Problem(label(name, node), *said) for name, node in flat.nodes.items() for said in rule(node)]

    return problems
