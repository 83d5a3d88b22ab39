"""Scales: gone where they change nothing, worked into weights where they can be."""

from __future__ import annotations

from copy import copy
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, full, is_throughout
from nirbridge.expanding.lowering.wiring import bypassed, mapped, with_node, with_node_before
from nirbridge.ir import FlatGraph, Shapes

_MATRICES = (nir.Linear, nir.Affine)
_WEIGHTED = (*_MATRICES, nir.Conv2d)


def with_full_scales(flat: FlatGraph) -> FlatGraph:
    """Scales of the size of their layer: a number that broadcasts does not say it."""
    return mapped(
        flat, lambda node, shapes: nir.Scale(full(node.scale, shapes.output)) if type(node) is nir.Scale else node
    )


def without_identities(flat: FlatGraph) -> FlatGraph:
    """Without the Scales of 1 that edges can take the place of."""
    for name, node in tuple(flat.nodes.items()):
        if type(node) is nir.Scale and is_throughout(node.scale, 1):
            flat = bypassed(flat, name) or flat
    return flat


def folded(flat: FlatGraph) -> FlatGraph:
    """Each Scale that stands alone before or behind weights, or another Scale, is worked into them."""
    for name, node in tuple(flat.nodes.items()):
        if type(node) is nir.Scale and name in flat.nodes:
            flat = _into_next(flat, name, flat.nodes[name]) or _into_last(flat, name, flat.nodes[name]) or flat
    return flat


def _into_next(flat: FlatGraph, name: str, node: Any) -> FlatGraph | None:
    targets = flat.targets(name)
    if len(targets) != 1 or flat.sources(targets[0]) != (name,) or name in targets:
        return None
    behind = flat.nodes[targets[0]]
    changed: Any = copy(behind)
    if type(behind) is nir.Scale:
        changed.scale = behind.scale * node.scale
    elif type(behind) in _MATRICES and (each := of_features(node.scale)) is not None:
        changed.weight = behind.weight * each
    elif type(behind) is nir.Conv2d and behind.groups == 1 and (each := of_channels(node.scale)) is not None:
        changed.weight = behind.weight * each[:, None, None]
    else:
        return None
    without = bypassed(flat, name)
    return without and with_node(without, targets[0], changed)


def _into_last(flat: FlatGraph, name: str, node: Any) -> FlatGraph | None:
    sources = flat.sources(name)
    if len(sources) != 1 or flat.targets(sources[0]) != (name,) or name in sources:
        return None
    before = flat.nodes[sources[0]]
    if type(before) not in _WEIGHTED:
        return None
    each = of_channels(node.scale) if type(before) is nir.Conv2d else of_features(node.scale)
    if each is None:
        return None
    changed: Any = copy(before)
    behind = 1 if type(before) in _MATRICES else before.weight.ndim - 1
    changed.weight = before.weight * each.reshape(-1, *(1,) * behind)
    if getattr(before, "bias", None) is not None:
        changed.bias = before.bias * each
    without = bypassed(flat, name)
    return without and with_node(without, sources[0], changed)


def of_channels(scale: Array, axes: int = 3) -> Array | None:
    """One number a channel, None where they differ within a channel or there are not so many axes."""
    first = scale.reshape(len(scale), -1)[:, 0]
    same = scale.ndim == axes and (scale == first.reshape(-1, *(1,) * (axes - 1))).all()
    return np.array(first) if same else None


def of_features(scale: Array) -> Array | None:
    """One number along the last axis, which a matrix works on, None where they differ along the others."""
    last = scale.reshape(-1, scale.shape[-1])[0]
    return np.array(last) if (scale == last).all() else None


def with_joined_outputs(flat: FlatGraph, shapes: dict[str, Shapes]) -> FlatGraph:
    """A Scale of 1 before each Output that several edges lead to: importers return what one node sends."""
    for name in flat.outputs:
        if len(flat.sources(name)) > 1 or type(flat.nodes[flat.sources(name)[0]]) is nir.Input:
            flat = with_node_before(flat, name, "joined", nir.Scale(np.ones(shapes[name].input)))
    return flat


def added(bias: Array) -> nir.NIRNode | None:
    """x + bias by weights, None where it differs both within channels and along other axes than the last."""
    if (each := of_channels(bias)) is not None:
        return nir.Conv2d(bias.shape[1:], np.eye(len(each))[:, :, None, None], 1, 0, 1, 1, each)
    each = of_features(bias)
    return None if each is None else nir.Affine(np.eye(len(each)), each)
