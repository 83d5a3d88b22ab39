"""Graph convolution over the words and documents of a text corpus."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.networks.parts import MakeNeuron, checked_counts, default_neuron


class TextGCN(nn.Module):
    """Two graph convolutions, each a transformation X W of the features and an aggregation Â X over the neighbours.

    Equations, with Â = D^-1/2 (A + I) D^-1/2 and D the row sums of A + I::

        H = n(Â n(X W1));  Y = Â (H W2)

    Nodes are the last axis: Â then is a linear layer, and W a convolution of one place, both of which a graph of
    primitives has. Â is fixed.

    Args:
        adjacency: A, symmetric weights without self loops (nodes, nodes).
        features: size of a node's input; the number of nodes where X is the identity, as in Text-GCN.
        num_classes: size of a node's output.
        width: size of a node's hidden layer; the paper's is 200.
        neuron: makes one layer of neurons.

    Shapes:
        input [B, features, nodes], output [B, num_classes, nodes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: an adjacency that is not square, symmetric, finite and non-negative.

    Source: Hwang and Kung, 2024, graph networks: X W and Â X are two layers of neurons.
    """

    def __init__(
        self,
        adjacency: Tensor,
        features: int,
        num_classes: int,
        width: int = 200,
        neuron: MakeNeuron = default_neuron,
    ) -> None:
        super().__init__()
        checked_counts("TextGCN", features=features, num_classes=num_classes, width=width)
        weights = normalised_adjacency(adjacency)
        self.transform1 = nn.Conv1d(features, width, 1, bias=False)
        self.act1 = neuron()
        self.aggregate1 = _aggregation(weights)
        self.act2 = neuron()
        self.transform2 = nn.Conv1d(width, num_classes, 1, bias=False)
        self.aggregate2 = _aggregation(weights)

    def forward(self, x: Tensor) -> Tensor:
        """[B, features, nodes] -> [B, num_classes, nodes]."""
        hidden = self.act2(self.aggregate1(self.act1(self.transform1(x))))
        result: Tensor = self.aggregate2(self.transform2(hidden))
        return result


def text_gcn(
    num_classes: int = 10,
    input_shape: tuple[int, ...] = (64, 1),
    width: int = 200,
    neuron: MakeNeuron = default_neuron,
    adjacency: Tensor | None = None,
) -> TextGCN:
    """:class:`TextGCN` for inputs (features, nodes), by the options that networks are built with by name.

    Raises:
        InputError: there is no adjacency, or it does not fit the inputs.
    """
    if adjacency is None:
        raise InputError("TextGCN", "has no graph", "Use a data set that brings one, as digit-graph, or pass adjacency")
    if len(input_shape) != 2 or adjacency.shape[:1] != input_shape[1:]:
        found = f"input_shape {input_shape} is not (features, {len(adjacency)} nodes)"
        raise InputError("TextGCN", found, "Give a feature vector for each node")
    return TextGCN(adjacency, input_shape[0], num_classes, width, neuron)


def normalised_adjacency(adjacency: Tensor) -> Tensor:
    """Â = D^-1/2 (A + I) D^-1/2, (nodes, nodes).

    Raises:
        InputError: A is not square, symmetric, finite and non-negative.
    """
    square = adjacency.ndim == 2 and adjacency.shape[0] == adjacency.shape[1]
    if not square or not bool(torch.isfinite(adjacency).all()) or bool((adjacency < 0).any()):
        found = f"adjacency of shape {tuple(adjacency.shape)} is not a square of finite weights from 0 up"
        raise InputError("TextGCN", found, "Give one weight for each pair of nodes")
    if not torch.equal(adjacency, adjacency.T):
        raise InputError("TextGCN", "the adjacency is not symmetric", "Use A + A.T, or the larger of both")
    closed = adjacency + torch.eye(len(adjacency), dtype=adjacency.dtype, device=adjacency.device)
    scale = closed.sum(1).rsqrt()
    return scale[:, None] * closed * scale[None, :]


def _aggregation(weights: Tensor) -> nn.Linear:
    layer = nn.Linear(len(weights), len(weights), bias=False, dtype=weights.dtype)
    # Rows receive: y[f, i] = Σ_j Â[i, j] x[f, j].
    layer.weight = nn.Parameter(weights.clone(), requires_grad=False)
    return layer
