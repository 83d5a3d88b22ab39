"""A sparse matrix as three arrays, so that a graph file needs no library to hold one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError


@dataclass(eq=False)
class SparseMatrix:
    """A matrix given by its entries: ``value[i]`` stands at ``(row[i], column[i])``; repeated places add up.

    Raises:
        GraphError: an index lies outside of ``shape`` or the arrays differ in length.
    """

    shape: tuple[int, int]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[Any]

    def __post_init__(self) -> None:
        self.shape = (int(self.shape[0]), int(self.shape[1]))
        self.row = np.asarray(self.row, dtype=np.int64)
        self.column = np.asarray(self.column, dtype=np.int64)
        self.value = np.asarray(self.value)
        if not self.row.shape == self.column.shape == self.value.shape or self.row.ndim != 1:
            raise GraphError("SparseMatrix", "row, column and value are not three vectors of one length")
        for name, index, size in (("row", self.row, self.shape[0]), ("column", self.column, self.shape[1])):
            if index.size and (index.min() < 0 or index.max() >= size):
                raise GraphError("SparseMatrix", f"a {name} index lies outside of 0..{size - 1}")

    @classmethod
    def from_any(cls, matrix: Any) -> SparseMatrix:
        """From a :class:`SparseMatrix`, its stored form, or any object with SciPy's ``tocoo``."""
        if isinstance(matrix, SparseMatrix):
            return matrix
        if isinstance(matrix, dict):
            return cls(**matrix)
        coo = matrix.tocoo()
        return cls(coo.shape, coo.row, coo.col, coo.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the entries."""
        return self.value.dtype

    def to_dense(self) -> NDArray[Any]:
        """The matrix as a plain array, in which entries for one place add up in double precision."""
        dense = np.zeros(self.shape)
        np.add.at(dense, (self.row, self.column), self.value)
        return dense


def dense(value: Any) -> NDArray[Any]:
    """A field that holds a matrix, sparse or not, as a plain array."""
    return value.to_dense() if isinstance(value, SparseMatrix) else np.asarray(value)


def entries(value: Any) -> NDArray[Any]:
    """What a field of a node holds, as an array; the entries of a sparse matrix."""
    return value.value if isinstance(value, SparseMatrix) else np.asarray(value)
