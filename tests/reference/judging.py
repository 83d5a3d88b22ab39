"""Runs nodes on the reference beside oracles: plain numbers and loops, written from the equations of the documents.

All runtimes share the step of a primitive, so no runtime can find a mistake in it; nothing here looks at one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from itertools import product
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.cases import graph_of
from nirbridge.primitives.examples import Example
from nirbridge.runtime import Recording

BOTH = ("float", "fixed")
JUDGED: set[tuple[type[nir.NIRNode], str]] = set()
"""(node type, precision) of every oracle in this folder."""
_ran: set[tuple[type[nir.NIRNode], str]] = set()
STATE_END = 8_388_607
"""2^23 - 1, where a state of 24 bits stays."""


def judges(*kinds: type[nir.NIRNode], precisions: Sequence[str] = ("float",)) -> Callable[[Any], Any]:
    """The test judges these node types, and must have run them; it takes ``precision``.

    Where it takes ``kind`` too, it runs once for each of them, else once for all.
    """
    JUDGED.update(product(kinds, precisions))

    def decorate(test: Callable[..., None]) -> Any:
        one_by_one = "kind" in signature(test).parameters

        @wraps(test)
        def checked(*args: Any, precision: str, **given: Any) -> None:
            _ran.clear()
            test(*args, precision=precision, **given)
            assert {(kind, precision) for kind in ((given["kind"],) if one_by_one else kinds)} <= _ran

        marked = pytest.mark.parametrize("precision", precisions)(checked)
        return pytest.mark.parametrize("kind", kinds)(marked) if one_by_one else marked

    return decorate


def run(
    *nodes: nir.NIRNode,
    x: np.ndarray,
    precision: str,
    entry: nir.NIRNode | None = None,
    record: Sequence[str] = (),
    **options: Any,
) -> Recording:
    """input → n0 → n1 → ... → output, for data [T, B, *shape]."""
    named = {f"n{index}": node for index, node in enumerate(nodes)}
    path = " ".join(("input", *named, "output"))
    graph = graph_of(Example("", (), named, (path,), x.shape[2:], entry=entry))
    with nirbridge.compile(graph, precision=precision, **options) as program:
        _ran.update((type(p.node), precision) for plan in (program.plan, program.lowered) for p in plan.nodes)
        return program.run(x, record=record)


def each_neuron(oracle: Callable[..., Any], x: np.ndarray, **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    """``oracle(series, **numbers) -> (sent, membranes)`` for every neuron of every sample."""
    sent, membranes = [], []
    wide = {name: np.broadcast_to(value, x.shape[2:]) for name, value in parameters.items()}
    places = list(np.ndindex(x.shape[1:]))
    for at in places:
        found = oracle(x[(slice(None), *at)].tolist(), **{name: value[at[1:]].item() for name, value in wide.items()})
        for column, series in zip((sent, membranes), found, strict=True):
            column.append(series)
    return tuple(np.array(rows).T.reshape(-1, *x.shape[1:]) for rows in (sent, membranes))  # type: ignore[return-value]


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Value by value."""
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """To what the order of a sum, or the library of an exponential, leaves open."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def agree(precision: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Sums: integers are exact, floating point may add in another order."""
    (same if precision == "fixed" else close)(found, expected)


def numbers(precision: str, *shape: int, low: float = -3.0, high: float = 4.0, seed: int = 0) -> np.ndarray:
    """Random numbers that no power of two divides; whole ones in precision "fixed"."""
    rng = np.random.default_rng(seed)
    return rng.integers(int(low), int(high) + 1, shape) if precision == "fixed" else rng.uniform(low, high, shape)


def toward_zero(numerator: int, denominator: int) -> int:
    """The quotient of integers without its fraction."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def clipped(state: int) -> int:
    """A state of 24 bits."""
    return max(-STATE_END, min(STATE_END, state))
