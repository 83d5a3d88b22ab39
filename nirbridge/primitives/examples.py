"""Small graphs and random nodes by which a primitive is judged, as plain data; conformance makes graphs of them.

Weights and parameters are dyadic with few bits, so single precision holds every intermediate value exactly and "equal"
means equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.fields import Shape

Array = NDArray[Any]
STEPS = 12
DYADIC_DT = 2.0**-10
"""Dyadic fractions of it keep Euler steps exact."""
INTEGER_DT = 1e-3


@dataclass(frozen=True)
class Example:
    """A graph.

    Attributes:
        name: for the test's name.
        kinds: the node types it is there for.
        nodes: by name; input and output are added.
        paths: such as ``"input a b output"``.
        shape: of the input.
        steps: of the data.
        dt: seconds per step.
        entry: the input node, where it is no plain one.
    """

    name: str
    kinds: tuple[type[nir.NIRNode], ...]
    nodes: Mapping[str, nir.NIRNode]
    paths: tuple[str, ...]
    shape: Shape
    steps: int = STEPS
    dt: float = DYADIC_DT
    entry: nir.NIRNode | None = None


def chain(
    name: str, kinds: Any, *nodes: nir.NIRNode, shape: Shape, steps: int = STEPS, dt: float = DYADIC_DT
) -> Example:
    """input → n0 → n1 → ... → output; ``kinds`` is a type or several."""
    named = {f"n{index}": node for index, node in enumerate(nodes)}
    listed = kinds if isinstance(kinds, tuple) else (kinds,)
    return Example(name, listed, named, (" ".join(("input", *named, "output")),), shape, steps, dt)


def behind_weights(name: str, node: nir.NIRNode, steps: int = 8) -> Example:
    """4 values → 5 neurons of ``node``, through a linear layer."""
    return chain(name, type(node), nir.Linear(weights(5, 4)), node, shape=(4,), steps=steps)


def behind_integers(name: str, node: nir.NIRNode, factor: int = 1) -> Example:
    """The same of integers; with a large ``factor`` states saturate."""
    return chain(name, type(node), nir.Linear(whole_numbers(5, 4) * factor), node, shape=(4,), steps=20, dt=INTEGER_DT)


def both_ranges(name: str, node: nir.NIRNode) -> list[Example]:
    """:func:`behind_integers`, and with weights that saturate it."""
    return [behind_integers(name, node), behind_integers(f"{name}, saturating", node, 40_000)]


def no_examples() -> list[Example]:
    """None."""
    return []


def dyadic(shape: tuple[int, ...], low: int, high: int, unit: float, seed: int) -> Array:
    """Random multiples of ``unit`` between low and high units."""
    return np.random.default_rng(seed).integers(low, high, shape) * unit


def weights(*shape: int, seed: int = 1) -> Array:
    """Float32 weights in eighths."""
    return dyadic(shape, -6, 9, 0.125, seed).astype(np.float32)


def positive(*shape: int, seed: int = 2) -> Array:
    """Float32 parameters from 1/2 to 4 in halves."""
    return dyadic(shape, 1, 9, 0.5, seed).astype(np.float32)


def signed(*shape: int, seed: int = 3) -> Array:
    """Float32 parameters from -1 to 1 in quarters."""
    return dyadic(shape, -4, 5, 0.25, seed).astype(np.float32)


def short_taus(*shape: int, seed: int = 4) -> Array:
    """Time constants of 1 or 2 steps of 2^-10 s: each step adds one bit to a membrane, of the 24 there are."""
    return 2.0 ** np.random.default_rng(seed).integers(0, 2, shape) * DYADIC_DT


def whole_numbers(*shape: int, low: int = -40, high: int = 60, seed: int = 1) -> Array:
    """Random integers of 8 bits."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int32)


def leaky(decays: list[int]) -> Array:
    """Time constants that lose δ/4096 a step of :data:`INTEGER_DT`."""
    return INTEGER_DT * 4096 / np.array(decays, dtype=np.float64)


class Dice:
    """Random parameters with few bits, of one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def number(self, shape: Shape, low: int, high: int, unit: float) -> Array:
        """Multiples of ``unit`` from low to high - 1 units."""
        return self.rng.integers(low, high, shape) * unit

    def parameter(self, shape: Shape, low: int, high: int, unit: float = 0.5) -> Array:
        """One number for each neuron, or the same for all of them."""
        if self.rng.random() < 0.5:
            return self.number(shape, low, high, unit)
        return np.full(shape, self.number((), low, high, unit))

    def tau(self, shape: Shape) -> Array:
        """A time constant of 1 or 2 steps."""
        return 2.0 ** self.parameter(shape, 0, 2, 1.0) * DYADIC_DT


@dataclass(frozen=True)
class Draw:
    """How random graphs make a node.

    Attributes:
        make: (dice, shape that enters) → node.
        times: how often it is among the choices.
        axes: that the data must have, 0 for any.
        when: "" for any graph, "mixed" or "coded" where it needs windows.
    """

    make: Callable[[Dice, Shape], nir.NIRNode]
    times: int = 1
    axes: int = 0
    when: str = ""
