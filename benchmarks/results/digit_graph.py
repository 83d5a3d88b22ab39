"""A two-layer graph network that learns the graph of scikit-learn's digits from few labels, in double precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.networks import TextGCN
from train_data import DigitGraph, known_nodes


def trained(
    graph: DigitGraph, seed: int, width: int, known: int, epochs: int, learning_rate: float, weight_decay: float
) -> tuple[nn.Module, Tensor]:
    """The network in double precision, and which nodes' labels it was told.

    Training is full-batch Adam on the cross-entropy of the known nodes, as for graph networks of this kind, without the
    batches and stages of ``examples/training``: conversion is what is measured here.

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
    mask = known_nodes(graph.labels, known)
    network = TextGCN(graph.adjacency, len(graph.features), 10, width, nn.ReLU).double()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, learning_rate, weight_decay=weight_decay)
    x = graph.features[None]
    for _ in range(epochs):
        optimizer.zero_grad()
        functional.cross_entropy(network(x)[0].T[mask], graph.labels[mask]).backward()
        optimizer.step()
    return network.eval(), mask
