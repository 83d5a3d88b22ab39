"""Linear extension primitives: mixing over time, aggregation over graph nodes, max pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, as_number, as_pair
from nirbridge.ir.sparse import SparseMatrix


@dataclass(eq=False)
class TemporalMix(Extension):
    r"""Temporal-global information matrix: mixes the steps of a window.

    .. math::
        y[t] = \sum_j weight[t, j] \, x[j] \quad \text{within each window of } T_{in} \text{ steps}

    Args:
        weight: (T_out, T_in); a window of T_in input steps gives T_out output steps.

    Raises:
        GraphError: the weight is not a matrix of numbers.

    Source: Hao et al., NeurIPS 2024 (LM-HT), equation 12.
    """

    weight: NDArray[Any]

    def __post_init__(self) -> None:
        self.weight = as_number("TemporalMix", "weight", self.weight)
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise GraphError("TemporalMix", f"weight of shape {self.weight.shape} is not a (T_out, T_in) matrix")
        self._set_types(None, None)


@dataclass(eq=False)
class MaxPool2d(Extension):
    """The largest value of each spatial window, per step; behind a ``PhaseIF`` the first spike in the window wins.

    Input (C, H, W), output (C, ⌊(H + 2p - k)/stride⌋ + 1, ...).  Padding never wins: it counts as minus infinity.

    Args:
        kernel_size: (height, width) of the window.
        stride: (height, width) between windows.
        padding: (height, width) added on every side.

    Raises:
        GraphError: a field is not one or two whole numbers, or the padding exceeds half the kernel.

    Source: Hwang and Kung, 2024 (max pooling of a decreasing phase code is the first spike).
    """

    kernel_size: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]

    def __post_init__(self) -> None:
        self.kernel_size = as_pair("MaxPool2d", "kernel_size", self.kernel_size, 1)
        self.stride = as_pair("MaxPool2d", "stride", self.stride, 1)
        self.padding = as_pair("MaxPool2d", "padding", self.padding, 0)
        if (2 * self.padding > self.kernel_size).any():
            raise GraphError("MaxPool2d", f"padding {self.padding} exceeds half of the kernel {self.kernel_size}")
        self._set_types(None, None)


@dataclass(eq=False)
class Aggregate(Extension):
    r"""Aggregation over the nodes of a graph network: y = weight · x over axis 0.

    Input (n, ...), output (n, ...).

    Args:
        weight: (n, n), for instance the normalised adjacency; dense, :class:`SparseMatrix` or a SciPy sparse matrix.

    Raises:
        GraphError: the weight is not a square matrix of numbers.

    Source: Hwang and Kung, 2024, graph networks (A X is a layer of its own).
    """

    weight: NDArray[Any] | SparseMatrix

    def __post_init__(self) -> None:
        if isinstance(self.weight, (SparseMatrix, dict)) or hasattr(self.weight, "tocoo"):
            self.weight = SparseMatrix.from_any(self.weight)
        else:
            self.weight = as_number("Aggregate", "weight", self.weight)
        shape = self.weight.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise GraphError("Aggregate", f"weight of shape {shape} is not square")
        self._set_types(None, None)

    def dense_weight(self) -> NDArray[Any]:
        """The weight as a plain (n, n) array."""
        return self.weight.to_dense() if isinstance(self.weight, SparseMatrix) else self.weight
