"""What a run gives back, and what of a graph can be recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import InputError, UnsupportedError, brief
from nirbridge.ir import Source, spec_of
from nirbridge.runtime.plan import Plan

MEMBRANE = ":v"
"""What stands behind a node's name to record its membrane: ``record=["act1:v"]``."""


@dataclass(frozen=True)
class Recording:
    """What a run gives back.

    Attributes:
        output: [T, B, *shape] of the graph's output; a dictionary by name where the graph has several.
        records: [T, B, *shape] of what each recorded node sent, by name; of its membrane under its name with ":v".
    """

    output: Any
    records: dict[str, NDArray[Any]] = field(default_factory=dict)


def arriving(records: Mapping[str, NDArray[Any]], source: Source) -> NDArray[Any]:
    """What comes over an edge: what its sender sent, a step later where the edge closes a cycle."""
    values = np.asarray(records[source.name])
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]]) if source.delayed else values


def membrane_of(name: str) -> str | None:
    """The node whose membrane a record such as ``"act1:v"`` asks for; None for another name."""
    return name.removesuffix(MEMBRANE) if name.endswith(MEMBRANE) else None


def require_records(plan: Plan, record: Sequence[str], membranes: bool) -> tuple[str, ...]:
    """The names to record, each once.

    Args:
        plan: of the graph.
        record: names of nodes, and of neurons with ":v" for their membranes; one name may stand alone.
        membranes: whether the runtime gives them.

    Raises:
        InputError: it is not of names, there is no such node, or it has no membrane.
        UnsupportedError: the runtime gives no membranes.
    """
    names = tuple(record) if isinstance(record, Iterable) and not isinstance(record, str) else (record,)
    if not all(isinstance(name, str) for name in names):
        raise InputError("option 'record'", f"{brief(record)} is no list of names", "Name nodes, or leave it out")
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in plan.names:
            _require_membrane(plan, name, membranes)
    return names


def _require_membrane(plan: Plan, name: str, membranes: bool) -> None:
    """Refuses what is neither a node nor the membrane of a neuron."""
    where, node = f"record '{name}'", membrane_of(name)
    if node is None or node not in plan.names:
        raise InputError(where, "no node has this name", f"Nodes: {', '.join(plan.names)}")
    if not spec_of(plan[node].node).has_membrane:
        raise InputError(where, f"{plan[node]} has no membrane", f"Record '{node}', or a neuron's membrane")
    if not membranes:
        raise UnsupportedError(where, "this runtime does not give membranes", "Use --runtime reference or norse")
