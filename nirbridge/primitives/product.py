"""Products of signals, which a :class:`~nirbridge.primitives.Place` each brings to their slots."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from nirbridge.errors import GraphError
from nirbridge.primitives.convolution import example
from nirbridge.primitives.examples import INTEGER_DT, Example, chain, signed, weights
from nirbridge.primitives.fields import Extension, Shape, as_count, as_shape
from nirbridge.primitives.multi_level_lif import MultiLevelLIF
from nirbridge.primitives.place import Place
from nirbridge.primitives.shaping import fixed_shapes, stated
from nirbridge.primitives.spec import (
    ANALOG,
    POPULATION,
    STATELESS,
    Array,
    Bounds,
    Checks,
    Cost,
    Floats,
    Integers,
    Shown,
    Spec,
)


@dataclass(eq=False)
class Product(Extension):
    r"""Product of its input's slots, element by element; no state.

    .. math::
        y = \prod_{i=0}^{I-1} x[iC : (i+1)C]

    Input (I·C, ...), output (C, ...); multiplied from the first slot on, in that order.

    Args:
        input_shape: shape of the input, without time and batch; axis 0 holds the slots one after the other.
        factors: I, the number of slots, at least 2.

    Raises:
        GraphError: fewer than 2 factors, or an axis 0 that does not divide into them.

    Source: Abillama et al., IEEE Access 2025, the attention of its spike-driven transformer.
    """

    input_shape: Shape
    factors: int

    def __post_init__(self) -> None:
        self.input_shape = as_shape("Product", self.input_shape)
        self.factors = as_count("Product", "factors", self.factors, 2)
        if not self.input_shape or self.input_shape[0] % self.factors:
            raise GraphError("Product", f"input_shape {self.input_shape} does not divide into {self.factors} slots")
        self._set_types(self.input_shape, self.output_shape)

    @property
    def output_shape(self) -> Shape:
        """Shape of one slot, and of the output."""
        return (self.input_shape[0] // self.factors, *self.input_shape[1:])


def multiplied(node: Product, x: Array) -> Array:
    """The slots of [N, *input_shape] multiplied element by element, from the first on."""
    slots = x.reshape(len(x), node.factors, *node.output_shape)
    y: Array = slots[:, 0]
    for index in range(1, node.factors):
        y = y * slots[:, index]
    return y


def _bounds(node: Product, x: Bounds, shape: Shape) -> Bounds:
    """The extremes of a product lie at the ends of its factors; 0 times infinity is 0: a bound is reached or not."""
    low, high = (np.split(end, node.factors) for end in x)
    found = Bounds(low[0], high[0])
    for factor in zip(low[1:], high[1:], strict=True):
        ends = np.stack([np.nan_to_num(a * b, nan=0.0, posinf=np.inf, neginf=-np.inf) for a in found for b in factor])
        found = Bounds(ends.min(axis=0), ends.max(axis=0))
    return found


def _unit(node: Product, unit: Array, shape: Shape) -> Array:
    slots = np.split(np.where(np.isfinite(unit), unit, 1.0), node.factors)
    return np.prod(slots, axis=0)


def _examples() -> list[Example]:
    gate = {"p": nir.Linear(weights(3, 4)), "q": nir.Linear(weights(3, 4, seed=7)), "m": Product((6,), 2)}
    pair = {**gate, "at0": Place((3,), (6,), 0, 3), "at3": Place((3,), (6,), 3, 6)}
    ring = {**pair, "act": MultiLevelLIF.one_hot((3,), 3, 0.5, 0.5), "at6": Place((3,), (9,), 6, 9)}
    ring |= {"at0": Place((3,), (9,), 0, 3), "at3": Place((3,), (9,), 3, 6), "m": Product((9,), 3)}
    ring["rec"] = nir.Affine(weights(3, 3, seed=9) / 4, signed(3))
    paths, both = ("input p at0 m output", "input q at3 m"), (Place, Product)
    looped = ("input p at0 m act output", "input q at3 m", "act rec at6 m")
    at_once = example(2, 6, (1, 1)), Product((6, 2, 2), 3)
    return [
        Example("product", both, pair, paths, (4,)),
        Example("product of sums", both, pair, (*paths, "q at0"), (4,)),
        chain("product, all factors at once", Product, *at_once, shape=(2, 2, 2)),
        Example("product in a cycle", both, ring, looped, (4,)),
        _attention(),
    ]


def _attention() -> Example:
    """q ⊙ n(Σ_places k ⊙ v), with spikes q, k, v of two channels."""

    def act(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, 3, 0.5, 0.5, "value", ">", True, gain=0.5)

    whole = np.array([3, 4])
    nodes: dict[str, nir.NIRNode] = {}
    for index, name in enumerate("qkv"):
        nodes[name] = example(2, 2, (1, 1))
        nodes[name].weight = weights(2, 2, 1, 1, seed=20 + index)
        nodes[f"{name}.act"] = act(2, 3, 4)
    nodes |= {
        "k.at": Place((2, 3, 4), (4, 3, 4), 0, 2),
        "v.at": Place((2, 3, 4), (4, 3, 4), 2, 4),
        "kv": Product((4, 3, 4), 2),
        "sum": nir.SumPool2d(whole, whole, 0 * whole),
        "gate": act(2, 1, 1),
        "q.at": Place((2, 3, 4), (4, 3, 4), 0, 2),
        "gate.at": Place((2, 1, 1), (4, 3, 4), 2, 4),
        "qg": Product((4, 3, 4), 2),
    }
    paths = ("input k k.act k.at kv sum gate gate.at qg output", "input v v.act v.at kv", "input q q.act q.at qg")
    return Example("spike-driven attention", (Place, Product), nodes, paths, (2, 3, 4))


def _integer_examples() -> list[Example]:
    layers = example(2, 6, (1, 1), integers=True), Product((6, 2, 2), 3)
    return [chain("product", Product, *layers, shape=(2, 2, 2), dt=INTEGER_DT)]


SPEC = Spec(
    **STATELESS,
    node=Product,
    shape=fixed_shapes,
    states=stated,
    operation="product",
    by_hand="it multiplies values at different places of its input",
    sends=ANALOG,
    floats=Floats(),
    integers=Integers(quantise="product"),
    cost=Cost(role="product", unit=_unit),
    chip=POPULATION,
    shown=Shown(role="product", fields=("factors",)),
    checks=Checks(bounds=_bounds),
    draws=(),
    examples=_examples,
    integer_examples=_integer_examples,
)
