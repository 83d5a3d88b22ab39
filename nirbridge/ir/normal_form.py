"""The one form in which the rest of nirbridge sees a node, whatever its maker left in its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import nir
import numpy as np

from nirbridge.ir.registry import find_spec


def normal_form(node: nir.NIRNode) -> nir.NIRNode:
    """The node itself where its parameters are numpy's or plain Python, else a copy with numpy arrays for them.

    Norse's and sinabs' exporters give torch tensors, of which numpy's functions accept only some; Spyx leaves None
    for the bias that a convolution does not have; torch takes neither numbers in another order of bytes than the
    machine's nor arrays that run backward, as ``weight[::-1]``.
    """
    mended = {name: _as_numpy(value) for name, value in vars(node).items() if _is_foreign(value)}
    plain = _with(node, mended)
    meanings = _none_means(node)
    return _with(plain, {name: mean(plain) for name, mean in meanings.items() if getattr(plain, name) is None})


def _none_means(node: nir.NIRNode) -> Mapping[str, Callable[[Any], Any]]:
    """What None says in a field: that torch's layer has no bias, and the defaults of NIR's own constructors.

    An Affine without a bias is a Linear, and None in it an error.
    """
    spec = find_spec(type(node))
    return {} if spec is None else spec.none_means


def _with(node: nir.NIRNode, values: dict[str, Any]) -> nir.NIRNode:
    if not values:
        return node
    changed = copy(node)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def _is_foreign(value: Any) -> bool:
    if isinstance(value, (np.ndarray, np.generic)):
        return not value.dtype.isnative or min(value.strides, default=0) < 0
    return hasattr(value, "__array__")


def _as_numpy(value: Any) -> Any:
    """A tensor that wants a gradient or lies on another device has to be asked for its values first."""
    for method in ("detach", "cpu"):
        if hasattr(value, method):
            value = getattr(value, method)()
    array = np.asarray(value)
    return array.astype(array.dtype.newbyteorder("="), copy=min(array.strides, default=0) < 0)
