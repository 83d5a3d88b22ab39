"""What a node holds, in short and in full."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.ir import SparseMatrix, find_spec, is_real
from nirbridge.primitives.fields import NOT_FIELDS
from nirbridge.primitives.sparse import entries

_STRUCTURE = frozenset(
    (
        *("shape", "stride", "padding", "dilation", "groups", "kernel_size", "input_shape", "start_dim", "end_dim"),
        *("sensor_size", "window", "subframes", "lanes", "coding", "downsample", "tau_surface", "reset"),
        *("boundary",),
        *("phases", "wait", "base", "base_in", "base_out", "first_phase", "rounding"),
        *("output_shape", "start", "stop", "factors", "step", "low", "high"),
    )
)
"""Fields that say how a node is built; they are not counted as parameters."""
_LISTED_UP_TO = 6
"""A larger array is shown by its range."""

_USUAL: dict[str, Any] = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "gain": 1,
    "r": 1,
    "w_in": 1,
    "v_leak": 0,
    "v_init": 0,
    "v_reset": 0,
    "first_phase": 1,
    "rounding": 1,
    "tau_surface": 0,
}
"""Values that go without saying."""
_UNITS = {"tau": " s", "tau_syn": " s", "tau_mem": " s", "delay": " s", "window": " us", "tau_surface": " us"}


def level_count(node: nir.NIRNode) -> int | None:
    """Lanes that a spike can come from, of a binary neuron 1, None without spikes; several may send the same value."""
    spec = find_spec(type(node))
    if spec is None or not spec.sends.spikes:
        return None
    return 1 if spec.sends.values is None else len(spec.sends.values(node))


def count_parameters(node: nir.NIRNode) -> int:
    """Numbers stored in the node; a broadcast threshold counts once, a sparse matrix by its entries."""
    return sum(entries(value).size for name, value in _stored(node).items() if name not in _STRUCTURE)


def key_parameters(node: nir.NIRNode) -> tuple[str, ...]:
    """The parameters that tell a reader what the node does, as ``name value``; usual values are left out."""
    stored = _stored(node)
    lines = []
    spec = find_spec(type(node))
    for name in () if spec is None else spec.shown.fields:
        if name in stored and not _is_usual(name, stored[name]):
            text = _shape_of_weight(stored[name]) if name == "weight" else _short(stored[name])
            lines.append(f"{name} {text}{_UNITS.get(name, '')}")
    return tuple(lines)


def stored_parameters(node: nir.NIRNode) -> dict[str, Any]:
    """Every field for JSON: a small one by value, a large array by shape, dtype and range; NaN becomes null."""
    return {name: _plain(value) for name, value in _stored(node).items()}


def _stored(node: nir.NIRNode) -> dict[str, Any]:
    return {name: value for name, value in vars(node).items() if name not in NOT_FIELDS and value is not None}


def _is_usual(name: str, value: Any) -> bool:
    if name not in _USUAL or isinstance(value, str):
        return False
    array = entries(value)
    return is_real(array.dtype) and bool((array == _USUAL[name]).all())


def _shape_of_weight(value: Any) -> str:
    text = "x".join(map(str, value.shape if isinstance(value, SparseMatrix) else np.shape(value)))
    return f"{text} sparse" if isinstance(value, SparseMatrix) else text


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    array = entries(value)
    if not is_real(array.dtype) or array.size == 0:
        return "x".join(map(str, array.shape)) + f" {array.dtype}"
    low, high = array.min(), array.max()
    if low == high:
        return _number(low)
    if array.size <= _LISTED_UP_TO:
        return ",".join(_number(item) for item in array.ravel())
    return f"{_number(low)}..{_number(high)}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool, int)):
        return value
    array = entries(value)
    if not is_real(array.dtype):
        return {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size <= _LISTED_UP_TO:
        return _finite(array.tolist())
    shape = list(value.shape) if isinstance(value, SparseMatrix) else list(array.shape)
    return {
        "shape": shape,
        "dtype": str(array.dtype),
        "min": _finite(array.min().item()),
        "max": _finite(array.max().item()),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if not isinstance(value, float) or np.isfinite(value) else None
