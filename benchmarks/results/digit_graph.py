"""A graph of scikit-learn's digits, and a two-layer graph network that learns it from few labels.

A node is an image, its features are the 64 pixels, and its edges go to the images that are nearest to it (Euclidean
distance, made symmetric). Some nodes of every class have a known label; the others are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.networks import TextGCN


@dataclass(frozen=True)
class DigitGraph:
    """The graph.

    Attributes:
        features: X as (64, nodes), in 0..1.
        adjacency: A (nodes, nodes), 0 or 1, symmetric, without self loops.
        labels: classes (nodes).
    """

    features: Tensor
    adjacency: Tensor
    labels: Tensor


def make_graph(nodes: int, neighbours: int) -> DigitGraph:
    """The graph of the first ``nodes`` digits, each linked with its nearest ``neighbours``."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = torch.from_numpy(found.data[:nodes] / 16)
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
    near = distance.topk(neighbours, largest=False).indices
    adjacency = torch.zeros(len(x), len(x), dtype=x.dtype).scatter_(1, near, 1.0)
    return DigitGraph(x.T.contiguous(), torch.maximum(adjacency, adjacency.T), torch.from_numpy(found.target[:nodes]))


def trained(
    graph: DigitGraph, seed: int, width: int, known: int, epochs: int, learning_rate: float, weight_decay: float
) -> tuple[nn.Module, Tensor]:
    """The network in double precision, and which nodes' labels it was told.

    Training is full-batch Adam on the cross-entropy of the known nodes, as for graph networks of this kind; the loop of
    ``nirbridge.training`` takes samples that are classified one by one, which nodes of one graph are not.

    Args:
        graph: the graph.
        seed: of weights and known nodes.
        width: of the hidden layer.
        known: nodes of each class whose label is known.
        epochs: steps of the optimizer.
        learning_rate: of Adam.
        weight_decay: of Adam.
    """
    torch.manual_seed(seed)
    mask = torch.zeros(len(graph.labels), dtype=torch.bool)
    for label in graph.labels.unique():
        members = (graph.labels == label).nonzero().flatten()
        mask[members[torch.randperm(len(members))[:known]]] = True
    network = TextGCN(graph.adjacency, len(graph.features), 10, width, nn.ReLU).double()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, learning_rate, weight_decay=weight_decay)
    x = graph.features[None]
    for _ in range(epochs):
        optimizer.zero_grad()
        functional.cross_entropy(network(x)[0].T[mask], graph.labels[mask]).backward()
        optimizer.step()
    return network.eval(), mask
