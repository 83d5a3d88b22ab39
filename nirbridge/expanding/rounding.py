"""Quantize nodes, which core NIR has no counterpart of: gone where they change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nirbridge.ir import EventInput, FlatGraph, Quantize


def without_identities(flat: FlatGraph) -> FlatGraph:
    """The graph without the Quantize nodes that leave all values of their EventInput as they are."""
    gone = {
        name: source
        for source, name in flat.edges
        if type(flat.nodes[name]) is Quantize and _changes_nothing(flat.nodes[name], flat, name)
    }
    edges = tuple((gone.get(source, source), target) for source, target in flat.edges if target not in gone)
    return replace(flat, nodes={name: node for name, node in flat.nodes.items() if name not in gone}, edges=edges)


def _changes_nothing(node: Quantize, flat: FlatGraph, name: str) -> bool:
    senders = [flat.nodes[source] for source in flat.sources(name)]
    largest = _largest(senders[0]) if len(senders) == 1 and type(senders[0]) is EventInput else None
    whole = (np.asarray(node.step) == 1).all() and (np.asarray(node.low) <= 0).all()
    return bool(largest is not None and whole and (np.asarray(node.high) >= largest).all())


def _largest(node: EventInput) -> int | None:
    """The largest value of a frame, which are whole numbers from 0 on; None where there is no end."""
    return {"binary": 1, "one-hot": 2 ** min(node.lanes - 1, 1023)}.get(node.coding)
