"""Place and Product in core NIR: convolutions, and Thresholds over the sums of spikes."""

from __future__ import annotations

from itertools import product as combinations
from math import prod

import numpy as np

from nirbridge.expanding.fragment import Array, CannotExpandError, Fragment, above, channel_map, one_node, scale
from nirbridge.expanding.others import levels_entering
from nirbridge.ir import FlatGraph, Place, Product

_MOST_TERMS = 64
"""Terms of an expanded product: the number of levels to the power of the number of factors."""


def place(name: str, node: Place) -> Fragment:
    """Axis 0 is the channels of a convolution; a kernel of ones repeats a single value over an axis.

    Over an axis on which the input has 1 and the slot n, the kernel has n entries and the padding is n - 1: every
    output sees the one value exactly once.

    Raises:
        CannotExpandError: the data have more than three axes.
    """
    sizes, slot = node.input_shape, node.slot_shape
    kernel = tuple(wide if size == 1 else 1 for size, wide in zip(sizes[1:], slot[1:], strict=True))
    weight = np.zeros((node.output_shape[0], sizes[0], *kernel))
    rows = np.arange(slot[0])
    weight[node.start + rows, rows if sizes[0] > 1 else 0] = 1
    return one_node(name, channel_map(weight, sizes, "places"))


def product(name: str, node: Product, flat: FlatGraph) -> Fragment:
    r"""Exact for spikes: with levels :math:`0 < w_0 < w_1 < ..` of each factor,

    .. math::
        \prod_i x_i = \sum_{s_0, s_1, ..} \prod_i (w_{s_i} - w_{s_i - 1}) \, [\text{all } x_i \ge w_{s_i}]

    and "all" of I spikes is a Threshold of I - 1/2 over their sum.

    Raises:
        CannotExpandError: a factor is not spikes of known levels, each brought by one Place, or there are too many
            levels.
    """
    levels = [_levels(name, node, slot, flat) for slot in range(node.factors)]
    if prod(map(len, levels)) > _MOST_TERMS:
        counts = ", ".join(str(len(found)) for found in levels)
        text = f"multiplies factors of {counts} levels, which makes more than {_MOST_TERMS} terms"
        raise CannotExpandError(text, "Use fewer levels")
    fragment, size = Fragment(name), node.output_shape[0]
    # One node takes all that comes: with an entry for each slot, a walk through an outer cycle could delay only some.
    joined = fragment.enter("joined", scale(1.0, node.input_shape))
    reached: list[list[tuple[str, float]]] = []
    for slot, found in enumerate(levels):
        weight = np.eye(size, node.input_shape[0], slot * size)
        factor = fragment.add(f"slot{slot}", channel_map(weight, node.input_shape, "multiplies"), joined)
        reached.append([])
        for s, (low, high) in enumerate(zip([0.0, *found[:-1]], found, strict=True)):
            fired = fragment.add(f"slot{slot}.lane{s}", above((low + high) / 2, node.output_shape), factor)
            reached[-1].append((fired, high - low))
    terms = []
    for number, chosen in enumerate(combinations(*reached)):
        every = fragment.add(
            f"all{number}", above(node.factors - 0.5, node.output_shape), *(fired for fired, _ in chosen)
        )
        share = prod(step for _, step in chosen)
        terms.append(fragment.add(f"term{number}", scale(share, node.output_shape), every))
    fragment.add("", scale(1.0, node.output_shape), *terms)
    return fragment


def _levels(name: str, node: Product, slot: int, flat: FlatGraph) -> Array:
    size = node.output_shape[0]
    places = flat.sources(name)
    if any(type(flat.nodes[source]) is not Place for source in places):
        raise CannotExpandError("multiplies what no Place brings to a slot of its own", "Bring each by a Place")
    own = [source for source in places if _span(flat.nodes[source]) == (slot * size, (slot + 1) * size)]
    over = [s for s in places if _overlaps(_span(flat.nodes[s]), (slot * size, (slot + 1) * size))]
    levels = levels_entering(own[0], flat) if len(own) == len(over) == 1 else None
    if levels is None:
        raise CannotExpandError(
            f"multiplies values (factor {slot}) that are not spikes of known levels, and core NIR has no product",
            "Multiply spikes",
        )
    return levels


def _span(node: object) -> tuple[int, int]:
    assert isinstance(node, Place)
    return node.start, node.stop


def _overlaps(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
