"""What a graph of many weights takes beside them, and bounds on what products with them can be."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.primitives import magnitudes
from nirbridge.primitives.convolution import conv_bounds
from nirbridge.primitives.matrix import matrix_bounds
from nirbridge.primitives.spec import Bounds
from nirbridge.runtime import make_plan
from tests.ir.graphs import chain

SIZE = 4096


def _peak(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("outer", [(), (32,)], ids=["one place", "tokens"])
def test_a_check_takes_less_than_the_weights(outer: tuple[int, ...]) -> None:
    """Rules look at some rows at a time, and at all tokens together: there are no products of each with each weight."""
    weight = np.ones((SIZE, SIZE), np.float32)
    shape = (*outer, SIZE)
    graph = chain(nir.Threshold(np.full(shape, 0.5)), nir.Linear(weight), shape=shape, out=shape)
    assert _peak(lambda: nirbridge.check(graph)) < weight.nbytes


def test_a_plan_holds_the_weights_as_they_are_stored() -> None:
    weight = np.ones((SIZE, SIZE), np.float32)
    neuron = nir.IF(*(np.full(SIZE, value, np.float32) for value in (1, 2, 0)))
    graph = chain(nir.Linear(weight), neuron, shape=(SIZE,), out=(SIZE,))
    peak = _peak(lambda: make_plan(graph))
    assert peak < weight.nbytes / 8
    stored, wide = (planned.node for planned in make_plan(graph).nodes if type(planned.node) in (nir.Linear, nir.IF))
    assert (stored.weight.dtype, wide.r.dtype) == (np.float32, np.float64)


def _ends(random: np.random.Generator, *shape: int) -> Bounds:
    """Some of them infinite."""
    low, high = np.sort(random.integers(-5, 6, (2, *shape)).astype(float), axis=0)
    return Bounds(
        np.where(random.random(shape) < 0.2, -np.inf, low), np.where(random.random(shape) < 0.2, np.inf, high)
    )


def _sums(weight: Any, low: Any, high: Any) -> tuple[float, float]:
    """By hand, one product after the other."""
    pairs = [sorted((w * a, w * b)) for w, a, b in zip(weight, low, high, strict=True) if w]
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_matrices(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(magnitudes, "_BLOCK", 7)
    random = np.random.default_rng(seed)
    outer = (2, 3)[: seed % 3]
    rows, columns = random.integers(1, 6, 2)
    weight = random.integers(-2, 3, (*(outer if seed % 2 else ()), rows, columns)).astype(np.float32)
    x = _ends(random, *outer, columns)
    found = matrix_bounds(nir.Affine(weight, np.full(rows, 3.0)), x, (*outer, rows))
    every = np.broadcast_to(weight, (*outer, rows, columns))
    for place in product(*map(range, outer), range(rows)):
        expected = _sums(every[place], x.low[place[:-1]], x.high[place[:-1]])
        assert (found.low[place] - 3, found.high[place] - 3) == expected


def test_sums_that_overflow_are_unbounded() -> None:
    weight = np.array([[1e308, 1e308, -1e308, -1e308]])
    with np.errstate(all="ignore"):
        found = matrix_bounds(nir.Linear(weight), Bounds(np.full(4, 10.0), np.full(4, 10.0)), (1,))
    assert (found.low.item(), found.high.item()) == (-np.inf, np.inf)


@pytest.mark.parametrize("groups", [1, 2])
def test_bounds_of_convolutions(groups: int) -> None:
    random = np.random.default_rng(groups)
    weight = random.integers(-2, 3, (4, 2, 3)).astype(np.float32)
    x = _ends(random, 2 * groups, 9)
    bias = np.array([0.0, 1.0, 2.0, 3.0])
    found = conv_bounds(nir.Conv1d(9, weight, 1, 0, 1, groups, bias), x, (4, 7))
    for channel in range(4):
        taken = slice(2 * (channel * groups // 4), 2 * (channel * groups // 4) + 2)
        low, high = (np.repeat(end, 3) for end in (x.low[taken].min(axis=1), x.high[taken].max(axis=1)))
        expected = _sums(weight[channel].ravel(), low, high)
        assert all((found.low[channel], found.high[channel])[k][0] - bias[channel] == expected[k] for k in (0, 1))
