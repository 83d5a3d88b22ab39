"""Parameters in double precision and of one shape, so that every runtime derives the same numbers from them."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.ir import FlatGraph, SparseMatrix, spec_of
from nirbridge.primitives.fields import NOT_FIELDS


def widen_parameters(flat: FlatGraph) -> FlatGraph:
    """Replaces every parameter by a copy, in float64 where it is floating-point; integers keep their dtype.

    The weights of synapses stay as they are stored: they are nearly all bytes of a large graph, and whoever computes
    with them converts them to a type of its own anyway.

    Where a neuron holds parameters of several shapes, as a scalar beside an array, all get the shape that they
    broadcast to: what passes and runtimes derive from some of them then fits the others.

    A file's float32 time constant would otherwise make ``dt/tau`` a float32 number in numpy and a float64 one
    elsewhere.  Widening is exact; a runtime narrows once, after it has computed what it needs.
    """
    return flat.with_nodes({name: _widened_node(node) for name, node in flat.nodes.items()})


def _widened_node(node: nir.NIRNode) -> nir.NIRNode:
    wide = copy(node)
    kept = NOT_FIELDS if spec_of(node).cost.role != "synapses" else {*NOT_FIELDS, "weight"}
    for name, value in vars(node).items():
        if name not in kept:
            setattr(wide, name, _widened(value))
    names = spec_of(node).parameters
    shapes = {np.shape(getattr(wide, name)) for name in names}
    if len(shapes) > 1:
        for name in names:
            setattr(wide, name, np.broadcast_to(getattr(wide, name), np.broadcast_shapes(*shapes)).copy())
    return wide


def _widened(value: Any) -> Any:
    if isinstance(value, SparseMatrix):
        return replace(value, value=_widened(value.value))
    if isinstance(value, (np.ndarray, np.floating)):
        return np.array(value, dtype=np.float64 if value.dtype.kind == "f" else None)
    return value
