"""Pools of every option: the graph gives what torch gives, with the pools of NIR where they say the same."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nirbridge
from nirbridge.errors import ExportError
from nirbridge.ir import MaxPool2d, Place
from nirbridge.neurons import OverTime
from tests.exporting.running import compare, dyadic
from tests.exporting.test_moving import Code

KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[type]]] = {
    "plain": (lambda: nn.AvgPool2d(2, 1, 1), (2, 4, 5), [nir.AvgPool2d]),
    "ceil, even": (lambda: nn.AvgPool2d(2, ceil_mode=True), (2, 4, 6), [nir.AvgPool2d]),
    "ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 6, 5), [nir.Conv2d, nir.SumPool2d, nir.Scale]),
    "ceil, padding not counted": (
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        (2, 6, 8),
        [nir.Conv2d, nir.SumPool2d, nir.Scale],
    ),
    "padding not counted": (
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        (2, 5, 7),
        [nir.SumPool2d, nir.Scale],
    ),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (2, 4, 4), [nir.SumPool2d, nir.Scale]),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d((2, None)), (2, 6, 5), [nir.AvgPool2d]),
    "adaptive, windows that overlap": (lambda: nn.AdaptiveAvgPool2d(3), (2, 7, 7), [nir.AvgPool2d]),
    "adaptive, uneven": (lambda: nn.AdaptiveAvgPool2d((3, 4)), (2, 5, 6), [nir.Conv2d, nir.Conv2d, nir.Linear]),
    "adaptive, more places": (lambda: nn.AdaptiveAvgPool2d(7), (2, 2, 2), [nir.Conv2d, nir.Conv2d, nir.Linear]),
    "adaptive, copies": (lambda: nn.AdaptiveAvgPool2d(7), (2, 1, 1), [Place]),
    "adaptive max, windows that overlap": (lambda: nn.AdaptiveMaxPool2d(3), (2, 7, 7), [MaxPool2d]),
    "adaptive max, copies": (lambda: nn.AdaptiveMaxPool2d((3, 2)), (2, 1, 2), [Place]),
    "one axis": (lambda: nn.AvgPool1d(3, 2, 1), (2, 7), [nir.Conv1d]),
    "one axis, ceil": (lambda: nn.AvgPool1d(3, 2, 1, ceil_mode=True), (2, 8), [nir.Linear]),
    "one axis, padding not counted": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 8), [nir.Linear]),
    "one axis, adaptive": (lambda: nn.AdaptiveAvgPool1d(1), (2, 6), [nir.Conv1d]),
    "one axis, adaptive, uneven": (lambda: nn.AdaptiveAvgPool1d(4), (2, 6), [nir.Linear]),
    "mean of both axes": (lambda: Code(lambda x: x.mean([2, 3])), (3, 2, 4), [nir.AvgPool2d, nir.Flatten, nir.Scale]),
    "mean of rows": (lambda: Code(lambda x: x.mean(2)), (3, 4, 2), [nir.Conv2d, nir.Flatten, nir.Scale]),
    "sum of columns": (lambda: Code(lambda x: x.sum(-1, keepdim=True)), (3, 4, 2), [nir.Conv2d, nir.Scale]),
    "mean along one axis": (lambda: Code(lambda x: x.mean(-1)), (3, 4), [nir.Conv1d, nir.Flatten, nir.Scale]),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_gives_what_torch_gives(name: str) -> None:
    build, shape, kinds = KINDS[name]
    graph = compare(OverTime(nn.Sequential(build())), dyadic(3, 2, *shape), exact=False, tolerance=1e-6)
    found = [type(node) for node in graph.nodes.values() if type(node) not in (nir.Input, nir.Output)]
    assert sorted(found, key=str) == sorted(kinds, key=str)


@pytest.mark.parametrize("seed", range(30))
def test_random_windows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel, stride = (tuple(int(n) for n in rng.integers(1, 5, 2)) for _ in range(2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    ceil, counted = (bool(n) for n in rng.integers(0, 2, 2))
    divisor = int(rng.integers(1, 5)) if rng.random() < 0.3 else None
    shape = (2, int(rng.integers(4, 9)), int(rng.integers(4, 9)))
    pool = nn.AvgPool2d(kernel, stride, padding, ceil, counted, divisor)
    compare(OverTime(nn.Sequential(pool)), dyadic(2, 2, *shape, seed=seed), exact=False, tolerance=1e-6)
    line = nn.AvgPool1d(kernel[0], stride[0], padding[0], ceil, counted)
    compare(OverTime(nn.Sequential(line)), dyadic(2, 2, *shape[:2], seed=seed), exact=False, tolerance=1e-6)
    goal = tuple(int(n) for n in rng.integers(1, 9, 2))
    compare(OverTime(nn.AdaptiveAvgPool2d(goal)), dyadic(2, 2, *shape, seed=seed), exact=False, tolerance=1e-6)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: functional.max_pool1d(x, 2), r"takes maxima along one axis of features \(2, 6\).*Conv2d"),
        (lambda x: torch.mean(x, 1), r"reduces axes \(1,\)"),
        (lambda x: functional.adaptive_avg_pool1d(x, 0), "function 'adaptive_avg_pool1d'"),
    ],
)
def test_refusals(function: Callable[[torch.Tensor], torch.Tensor], text: str) -> None:
    with pytest.raises(ExportError, match=text):
        nirbridge.export(OverTime(Code(function)), (2, 6))
