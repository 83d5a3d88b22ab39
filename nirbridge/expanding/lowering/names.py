"""Names that say the order: files list nodes by name, and importers run them in the order that they are listed in."""

from __future__ import annotations

from dataclasses import replace

import nir

from nirbridge.ir import FlatGraph, is_input


def ordered_names(flat: FlatGraph) -> tuple[FlatGraph, dict[str, str]]:
    """``input``, ``n0001_..`` in the order of execution, ``output``; letters and digits alone; and old name → new."""
    names = {}
    for place, name in enumerate(flat.topology.order):
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
        names[name] = f"n{place:04d}_{plain}"
        if is_input(flat.nodes[name]):
            names[name] = "input"
        if type(flat.nodes[name]) is nir.Output:
            names[name] = "output"
    nodes = {names[name]: flat.nodes[name] for name in sorted(flat.nodes, key=names.__getitem__)}
    return replace(flat, nodes=nodes, edges=tuple((names[s], names[t]) for s, t in flat.edges)), names
