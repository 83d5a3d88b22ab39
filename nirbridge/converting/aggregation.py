"""How a torch module says A X: the layer of a graph network that gathers from neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError


class Aggregate(nn.Module):
    """Aggregation over the nodes of a graph network.

    Equation::

        y[b, i, ...] = Σ_j A[i, j] x[b, j, ...]

    Args:
        weight: A, (n, n), for instance the normalised adjacency; a dense or sparse COO tensor, or an array.

    Shapes:
        input and output [B, n, ...]; a graph that is one sample has B = 1.

    Raises:
        InputError: the weight is not a square matrix.

    Source: Hwang and Kung, 2024, graph networks.
    """

    weight: Tensor

    def __init__(self, weight: Any) -> None:
        super().__init__()
        matrix = torch.as_tensor(weight).detach()
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise InputError("Aggregate", f"weight of shape {tuple(matrix.shape)} is not square", "Give A as (n, n)")
        self.register_buffer("weight", matrix.coalesce() if matrix.is_sparse else matrix)

    def forward(self, x: Tensor) -> Tensor:
        """A x, of the same shape as ``x``."""
        columns = x.movedim(0, -1).flatten(1)
        y = torch.sparse.mm(self.weight, columns) if self.weight.is_sparse else self.weight @ columns
        return y.reshape(*x.shape[1:], x.shape[0]).movedim(-1, 0)
