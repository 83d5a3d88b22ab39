"""Nodes that move values and compute nothing: each output is one input, or 0."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir.registry import spec_of


def moves_values(node: nir.NIRNode) -> bool:
    """Whether every output of a node is one of its inputs as it is, or 0, so that spikes come through as spikes.

    1. Place and Flatten.
    2. A matrix of 0 and 1 without bias, with one 1 a row.
    3. A convolution of 0 and 1 without bias, with one 1 for each output channel.  Along an axis of one place each
       place of the kernel may have its own, since an output meets one of them.
    """
    operation = spec_of(node).operation
    if operation in ("place", "flatten"):
        return True
    if operation not in ("matrix", "convolution") or np.any(getattr(node, "bias", 0)):
        return False
    weight = np.asarray(node.weight)
    if operation == "matrix" and weight.ndim != 2:
        return False
    if not _is_one_hot(weight[0]) or not _is_one_hot(weight) or not weight.any():
        return False
    single: tuple[int, ...] = ()
    if operation == "convolution":
        places = np.ravel(node.input_shape)
        single = tuple(axis for axis, size in enumerate(places, 2) if size == 1)
    summed = tuple(axis for axis in range(1, weight.ndim) if axis not in single)
    return bool((weight.sum(axis=summed) <= 1).all())


def _is_one_hot(weight: NDArray[Any]) -> bool:
    return bool(((weight == 0) | (weight == 1)).all())
