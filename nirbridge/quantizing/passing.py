"""Nodes that pass integers on: they keep the scale, or carry it to other places."""

from __future__ import annotations

from copy import copy
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.ir import MaxPool2d, Product
from nirbridge.ir import Place as PlaceNode
from nirbridge.primitives.shaping import pairs
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing.refusals import UnitsError
from nirbridge.quantizing.synapses import Place, Quantised, along


def same(node: nir.NIRNode, place: Place) -> Quantised:
    """The scale stays with its element."""
    return Quantised(copy(node), place.scale)


def output(node: nir.Output, place: Place) -> Quantised:
    """As it is; one that left its shape open states it, because files do."""
    return Quantised(nir.Output(np.array(place.shape)), place.scale)


def flatten(node: nir.Flatten, place: Place) -> Quantised:
    """A scale for each place moves with it."""
    scale = place.scale
    if scale.ndim:
        scale = np.broadcast_to(scale, place.input_shape).reshape(place.shape)
    shaped = nir.Flatten(np.array(place.input_shape), int(node.start_dim), int(node.end_dim))
    return Quantised(shaped, scale)


def pool(node: nir.SumPool2d | MaxPool2d, place: Place) -> Quantised:
    """One scale for a channel, or for all."""
    scale = along(place, node, 0)
    return Quantised(copy(node), scale.reshape(-1, 1, 1) if scale.ndim else scale)


def average_pool(node: nir.AvgPool2d, place: Place) -> Quantised:
    """A sum; its 1/k² goes into the scale."""
    total = nir.SumPool2d(node.kernel_size, node.stride, node.padding)
    return Quantised(total, pool(node, place).scale / prod(pairs(node.kernel_size, 2)))


def moved(node: Any, place: Place) -> Quantised:
    """A synapse of 0 and 1 that only moves values: they stay what they are, as the spikes of a phase code must."""
    new = copy(node)
    new.weight = np.asarray(node.weight).astype(np.int8)
    if hasattr(node, "bias"):
        new.bias = np.zeros(len(new.weight), np.int32)
    return Quantised(new, collapsed(place.scale))


def place(node: PlaceNode, place: Place) -> Quantised:
    """One scale for all: factors come to one scale where their slots meet, as edges that add up do."""
    return Quantised(copy(node), _one_scale(node, place))


def product(node: Product, place: Place) -> Quantised:
    """The product of integers; its scale is that of each factor to the power of their number."""
    return Quantised(copy(node), _one_scale(node, place) ** node.factors)


def _one_scale(node: PlaceNode | Product, place: Place) -> Any:
    """The one scale of all that enters.

    Raises:
        UnitsError: neurons before it send values of different units.
    """
    scale = collapsed(place.scale)
    if scale.ndim:
        raise UnitsError(place.name, node, "the neurons before it send values of different units")
    return scale
