"""Aggregation over the nodes of a graph network."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives import matrix
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain, weights, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_number
from nirbridge.primitives.magnitudes import least, row_sum
from nirbridge.primitives.shaping import ShapeMismatchError, stated
from nirbridge.primitives.sparse import SparseMatrix, dense
from nirbridge.primitives.spec import (
    ANALOG,
    STATELESS,
    Checks,
    Chip,
    Cost,
    Floats,
    Integers,
    Shown,
    Spec,
    Synapses,
    Wiring,
)


@dataclass(eq=False)
class Aggregate(Extension):
    r"""Aggregation over the nodes of a graph network: y = weight · x over axis 0.

    Input (n, ...), output (n, ...).

    Args:
        weight: (n, n), for instance the normalised adjacency; dense, :class:`SparseMatrix` or a SciPy sparse matrix.

    Raises:
        GraphError: the weight is not a square matrix of numbers.

    Source: Hwang and Kung, 2024, graph networks (A X is a layer of its own).
    """

    weight: NDArray[Any] | SparseMatrix

    def __post_init__(self) -> None:
        if isinstance(self.weight, (SparseMatrix, dict)) or hasattr(self.weight, "tocoo"):
            self.weight = SparseMatrix.from_any(self.weight)
        else:
            self.weight = as_number("Aggregate", "weight", self.weight)
        shape = self.weight.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise GraphError("Aggregate", f"weight of shape {shape} is not square")
        self._set_types(None, None)


def _shape(node: Aggregate, shape: Shape) -> Shape:
    if not shape or shape[0] != node.weight.shape[0]:
        raise ShapeMismatchError(f"input {shape} does not begin with the {node.weight.shape[0]} nodes of the weight")
    return shape


def _synapses(node: Aggregate, entering: Shape, leaving: Shape) -> Synapses:
    """One MAC for each edge of the graph and each feature; an event meets the mean degree of a node."""
    values = node.weight.value if isinstance(node.weight, SparseMatrix) else node.weight
    edges, nodes = int(np.count_nonzero(values)), int(node.weight.shape[0])
    macs = edges * prod(entering[1:])
    return Synapses(
        macs=macs,
        inputs=prod(entering),
        outputs=prod(leaving),
        fan_out=edges / nodes,
        fan_out_adds=edges / nodes,
        weights=edges,
        bias=0,
        input_reads=macs,
    )


def _wiring(node: Aggregate) -> Wiring:
    weight = node.weight
    if isinstance(weight, SparseMatrix):
        counts, outward, values = np.bincount(weight.row), np.bincount(weight.column), weight.value
    else:
        used = np.asarray(weight) != 0
        counts, outward, values = used.sum(axis=1), used.sum(axis=0), weight
    return Wiring(values, int(counts.max(initial=1)), int(outward.max(initial=1)))


def _ring(values: NDArray[Any]) -> SparseMatrix:
    return SparseMatrix((4, 4), np.arange(4), (np.arange(4) + 1) % 4, values)


def _examples() -> list[Example]:
    dense = Aggregate(weights(4, 4)), nir.Linear(weights(3, 5))
    return [
        chain("aggregate", Aggregate, *dense, shape=(4, 5)),
        chain("aggregate sparse", Aggregate, Aggregate(_ring(weights(4))), shape=(4, 5)),
    ]


def _integer_examples() -> list[Example]:
    ring = Aggregate(_ring(whole_numbers(4)))
    return [
        chain("aggregate", Aggregate, Aggregate(whole_numbers(4, 4)), shape=(4, 5), dt=INTEGER_DT),
        chain("aggregate sparse", Aggregate, ring, shape=(4, 5), dt=INTEGER_DT),
    ]


SPEC = Spec(
    **STATELESS,
    node=Aggregate,
    shape=_shape,
    states=stated,
    operation="aggregate",
    by_hand=matrix.BY_HAND,
    sends=ANALOG,
    floats=Floats(least=lambda node, dt: least(dense(node.weight), 1)),
    integers=Integers(
        fields=("weight",),
        grows=lambda node, x: row_sum(dense(node.weight), (1,)) * x,
        quantise="aggregation",
    ),
    cost=Cost(role="synapses", synapses=_synapses),
    chip=Chip(place="wiring", wiring=_wiring),
    shown=Shown(role="weights", fields=("weight",)),
    checks=Checks(),
    draws=(Draw(lambda dice, shape: Aggregate(dice.number((shape[0], shape[0]), -1, 3, 0.5))),),
    examples=_examples,
    integer_examples=_integer_examples,
)
