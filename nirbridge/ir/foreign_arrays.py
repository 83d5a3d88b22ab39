"""Parameters that another library's exporter left as its own arrays, such as torch tensors."""

from __future__ import annotations

from copy import copy
from typing import Any

import nir
import numpy as np


def with_numpy_parameters(node: nir.NIRNode) -> nir.NIRNode:
    """The node itself where its parameters are numpy's or plain Python, else a copy with numpy arrays for them.

    Norse's and sinabs' exporters give torch tensors, of which numpy's functions accept only some.
    """
    foreign = {name: value for name, value in vars(node).items() if _is_foreign(value)}
    if not foreign:
        return node
    plain = copy(node)
    for name, value in foreign.items():
        setattr(plain, name, _as_numpy(value))
    return plain


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic))


def _as_numpy(value: Any) -> Any:
    """A tensor that wants a gradient or lies on another device has to be asked for its values first."""
    for method in ("detach", "cpu"):
        if hasattr(value, method):
            value = getattr(value, method)()
    return np.asarray(value)
