"""Small networks with aggregations over the nodes of a graph: some of weighted sums, some of spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.converting import Aggregate
from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Relu
from nirbridge.converting.rewrites import arrange
from tests.converting.networks import with_statistics

NODES, FEATURES, CLASSES = 12, 5, 3
FINE = {"phases": 150, "base": 1.025}
"""A code so fine that only a mistake could leave a large error."""


def links(nodes: int = NODES, seed: int = 0) -> Tensor:
    found = torch.rand(nodes, nodes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found * (found < 0.4) + torch.eye(nodes, dtype=torch.float64)


def features(*shape: int, seed: int = 0, signed: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    return x - 0.5 if signed else x


class Head(nn.Module):
    """``tail`` behind a ReLU, on [B, nodes, features] or, where ``nodes_last``, on [B, features, nodes]."""

    def __init__(self, tail: Callable[[Head, Tensor], Tensor], nodes_last: bool, weight: Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tail, self.nodes_last = tail, nodes_last
        self.fc, self.other = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, CLASSES, bias=False)
        self.same, self.wide = nn.Linear(FEATURES, FEATURES), nn.Conv1d(FEATURES, CLASSES, 3, padding=1)
        self.conv, self.bn = nn.Conv1d(FEATURES, CLASSES, 1), nn.BatchNorm1d(CLASSES)
        self.aggregate, self.rows = Aggregate(weight), Aggregate(weight / weight.sum(1, keepdim=True))
        self.negative, self.sparse = Aggregate(weight - 0.1), Aggregate(weight.to_sparse())
        self.last = nn.Linear(len(weight), len(weight), bias=False)
        self.last.weight = nn.Parameter(weight.clone(), requires_grad=False)
        self.by_node = nn.Parameter(torch.rand(len(weight), 1))
        self.c = nn.Parameter(torch.rand(len(weight), CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self, functional.relu(x + -0.3))


def twice(m: Head, h: Tensor) -> Tensor:
    z = m.fc(h)
    return m.aggregate(z) + 0.5 * m.negative(z) + z


def read_twice(m: Head, h: Tensor) -> Tensor:
    y = m.aggregate(m.fc(h))
    return y + functional.relu(y)


Tails = dict[str, tuple[Callable[[Head, Tensor], Tensor], bool]]
SPLIT: Tails = {
    "bias": (lambda m, h: m.aggregate(m.fc(h)), False),
    "sparse": (lambda m, h: m.sparse(m.fc(h)), False),
    "no bias": (lambda m, h: m.aggregate(m.other(h)), False),
    "negative entries": (lambda m, h: m.negative(m.fc(h)), False),
    "chain": (lambda m, h: m.aggregate((0.5 * m.fc(h + -0.1) + m.c) * -2.0), False),
    "a factor for each node": (lambda m, h: m.aggregate(m.by_node * m.fc(h)), False),
    "two layers": (lambda m, h: m.aggregate(m.fc(m.same(h))), False),
    "two hops": (lambda m, h: m.aggregate(m.rows(m.fc(h))), False),
    "three hops": (lambda m, h: m.aggregate(m.rows(m.rows(m.fc(h)))), False),
    "a sum enters": (lambda m, h: m.aggregate(m.fc(h) + m.other(functional.relu(h + -0.2))), False),
    "a residual enters": (lambda m, h: m.aggregate(m.same(h) + h), False),
    "a signed residual enters": (lambda m, h: m.aggregate(m.same(h) + -0.5 * h + 0.25), False),
    "sum behind": (lambda m, h: m.aggregate(m.fc(h)) + m.other(h), False),
    "rectified sum": (lambda m, h: m.other(functional.relu(m.aggregate(m.same(h)) + h)), False),
    "several aggregations and a readout": (twice, False),
    "several readers": (read_twice, False),
    "nodes last": (lambda m, h: m.last(m.conv(h)), True),
    "a convolution over nodes": (lambda m, h: m.last(m.wide(h)), True),
    "normalised": (lambda m, h: m.last(m.bn(m.conv(h))), True),
    "normalised sum": (lambda m, h: m.last(m.bn(m.conv(h) + m.wide(h))), True),
    "normalised behind": (lambda m, h: functional.relu(m.bn(m.last(m.conv(h)))), True),
}
LEFT: Tails = {
    "spikes": (lambda m, h: m.other(m.aggregate(h)), False),
    "shifted spikes": (lambda m, h: m.aggregate(h + -0.1), False),
    "a difference of spikes": (lambda m, h: m.aggregate(h + -0.5 * functional.relu(h + -0.2)), False),
    "square without aggregation": (lambda m, h: m.fc(m.same(h)), False),
}


def head(name: str, table: Tails = SPLIT) -> tuple[Head, Any]:
    """The network in double precision and data for it."""
    tail, nodes_last = table[name]
    net = with_statistics(Head(tail, nodes_last, links()).double())
    shape = (FEATURES, NODES) if nodes_last else (NODES, FEATURES)
    return net, features(3, *shape)


def arranged(net: nn.Module, x: Tensor, **options: Any) -> AnalogGraph:
    given = {"into_threshold": True, "spiking_averages": True, "input_too": bool((x >= 0).all())}
    return arrange(analog_graph(net, x.shape[1:]), **(given | options))


def pairs(graph: AnalogGraph) -> list[str]:
    """The first of each two neurons for opposite signs."""
    return [name for name in graph.of_type(Relu) if graph.nodes[name].opposite and name.endswith("plus")]


def run(graph: AnalogGraph, x: Tensor) -> Tensor:
    with torch.no_grad():
        return next(y for name, _, y in values(graph, functions(graph, x.dtype), x) if name == graph.output)
