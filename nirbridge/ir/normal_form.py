"""The one form in which the rest of nirbridge sees a node, whatever its maker left in its fields."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import nir
import numpy as np


def _zero_bias(node: Any) -> Any:
    """A value for each output channel of a convolution."""
    weight = np.asarray(node.weight)
    return np.zeros(weight.shape[:1], weight.dtype)


_NONE_MEANS: dict[type[nir.NIRNode], dict[str, Callable[[Any], Any]]] = {
    nir.Conv1d: {"bias": _zero_bias},
    nir.Conv2d: {"bias": _zero_bias},
    nir.IF: {"v_reset": lambda node: np.zeros_like(node.v_threshold)},
    nir.LIF: {"v_reset": lambda node: np.zeros_like(node.v_threshold)},
    nir.CubaLI: {"w_in": lambda node: np.ones_like(node.v_leak)},
    nir.CubaLIF: {"v_reset": lambda node: np.zeros_like(node.v_threshold), "w_in": lambda node: np.ones_like(node.r)},
}
"""What None says in a field: that torch's layer has no bias, and the defaults of NIR's own constructors.  An Affine
without a bias is a Linear, and None in it an error."""


def normal_form(node: nir.NIRNode) -> nir.NIRNode:
    """The node itself where its parameters are numpy's or plain Python, else a copy with numpy arrays for them.

    Norse's and sinabs' exporters give torch tensors, of which numpy's functions accept only some; Spyx leaves None
    for the bias that a convolution does not have; torch takes numbers in the machine's order of bytes alone.
    """
    mended = {name: _as_numpy(value) for name, value in vars(node).items() if _is_foreign(value)}
    plain = _with(node, mended)
    meanings = _NONE_MEANS.get(type(node), {})
    return _with(plain, {name: mean(plain) for name, mean in meanings.items() if getattr(plain, name) is None})


def _with(node: nir.NIRNode, values: dict[str, Any]) -> nir.NIRNode:
    if not values:
        return node
    changed = copy(node)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def _is_foreign(value: Any) -> bool:
    if isinstance(value, (np.ndarray, np.generic)):
        return not value.dtype.isnative
    return hasattr(value, "__array__")


def _as_numpy(value: Any) -> Any:
    """A tensor that wants a gradient or lies on another device has to be asked for its values first."""
    for method in ("detach", "cpu"):
        if hasattr(value, method):
            value = getattr(value, method)()
    array = np.asarray(value)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
