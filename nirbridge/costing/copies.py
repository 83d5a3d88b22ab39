"""Layers that an ANN has once, where the spiking network has them twice."""

from __future__ import annotations

from typing import Any

from nirbridge.costing.layers import Layer
from nirbridge.costing.roles import SYNAPSES
from nirbridge.ir import original


def copies(layers: tuple[Layer, ...]) -> dict[str, str]:
    """The layers whose weights stand in an earlier one, with either sign, and the name of that one.

    Conversion notes it in the nodes, see :func:`nirbridge.ir.original`.  A layer of another type or shape is no copy,
    whatever its note says.
    """
    found: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    for layer in layers:
        if layer.role == SYNAPSES:
            planned = layer.planned
            shapes = planned.input_shape, planned.output_shape
            key = original(layer.name, planned.node), type(planned.node), *shapes
            if first.setdefault(key, layer.name) != layer.name:
                found[layer.name] = first[key]
    return found
