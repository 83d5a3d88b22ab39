"""A matrix along one axis of features, as nodes: what resizing and uneven windows come to.

1. The last axis: a Linear, which acts on it whatever stands before it.
2. The channels of (C, L) or (C, H, W): a convolution of one place.
3. The rows of (C, H, W): rows become channels by a kernel as high as the picture, and come back by one that sees a
   single row, each of its own rows at another height.
"""

from __future__ import annotations

from itertools import combinations
from math import prod
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.exporting.signal import RefusalError
from nirbridge.ir import Shape

_MOST_PRODUCTS = 2**31
"""Products a sample and step in the two convolutions of case 3, which runtimes compute densely."""


def along(shape: Shape, axis: int, matrix: NDArray[Any]) -> list[nir.NIRNode]:
    """Nodes that replace axis ``axis`` of features by ``matrix`` times it.

    Args:
        shape: of the features.
        axis: counted from the front.
        matrix: (out, in).

    Raises:
        RefusalError: the rows are too many for two convolutions, or features have other axes.
    """
    if axis == len(shape) - 1:
        return [nir.Linear(matrix)]
    if len(shape) not in (2, 3):
        raise RefusalError(f"changes axis {axis} of features {shape}", "Keep features as (C, L) or (C, H, W)")
    if axis == 0:
        return [convolution(shape[1:], matrix.reshape(*matrix.shape, *(1,) * (len(shape) - 1)))]
    return _rows(shape, matrix)


def _rows(shape: Shape, matrix: NDArray[Any]) -> list[nir.NIRNode]:
    channels, height, width = shape
    rows = len(matrix)
    products = channels * width * height * (height**2 + rows**2)
    if products > _MOST_PRODUCTS:
        found = f"makes {rows} rows of {height} in features {shape}, for which a graph needs {products:.1e} products"
        raise RefusalError(found, "Do it on smaller pictures, or outside of the network")
    nodes: list[nir.NIRNode] = []
    if height > 1:
        lifted = np.tile(np.eye(height, dtype=matrix.dtype), (channels, 1)).reshape(-1, 1, height, 1)
        nodes.append(convolution((height, width), lifted, groups=channels))
    # Row i of the result sees the one row there is through row (rows - 1 - i) of the kernel.
    kernel = np.broadcast_to(matrix[::-1].T[None, :, :, None], (channels, height, rows, 1)).copy()
    nodes.append(convolution((1, width), kernel, padding=(rows - 1, 0), groups=channels))
    return nodes


def convolution(
    places: Shape,
    kernel: NDArray[Any],
    steps: Shape | None = None,
    padding: Shape | str | None = None,
    groups: int = 1,
    bias: NDArray[Any] | None = None,
    dilation: Shape | None = None,
) -> nir.NIRNode:
    """A Conv1d or Conv2d, as the kernel has axes; without bias unless one is given."""
    axes = len(places)
    offset = np.zeros(len(kernel), kernel.dtype) if bias is None else bias
    stride, edge, reach = steps or (1,) * axes, padding or (0,) * axes, dilation or (1,) * axes
    if axes == 1:
        one_edge = edge if isinstance(edge, str) else edge[0]
        return nir.Conv1d(places[0], kernel, stride[0], one_edge, reach[0], groups, offset)
    return nir.Conv2d(tuple(places), kernel, stride, edge, reach, groups, offset)


def selection(places: NDArray[np.int64], size: int, dtype: Any) -> NDArray[Any]:
    """The matrix (len(places), size) that takes ``places`` out of ``size`` values."""
    matrix = np.zeros((len(places), size), dtype)
    matrix[np.arange(len(places)), places] = 1
    return matrix


def merges(shape: Shape, target: Shape) -> list[nir.NIRNode] | None:
    """The fewest Flattens that merge neighbouring axes of ``shape`` until it is ``target``; None where none do."""
    if shape == target:
        return []
    best: list[nir.NIRNode] | None = None
    for start, end in combinations(range(len(shape)), 2):
        merged = (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])
        rest = merges(merged, target) if len(merged) >= len(target) else None
        if rest is not None and (best is None or len(rest) + 1 < len(best)):
            last = -1 if end == len(shape) - 1 else end
            best = [nir.Flatten({"input": np.array(shape, dtype=np.int64)}, start, last), *rest]
    return best
