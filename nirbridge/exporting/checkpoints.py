"""Weights from a file, without running anything that the file brings along."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nirbridge.errors import FileError, reason_of
from nirbridge.exporting.containers import plain
from nirbridge.exporting.user_code import nested

_SHOWN = 4
_LONGEST = 100
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_SAFETENSORS = "Save it with safetensors.torch.save_file(module.state_dict(), path)"


def load_weights(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Puts the weights of a checkpoint into ``module``; every key must fit.

    Args:
        module: its parameters and buffers become those of the file, in the file's dtypes.
        path: ``.safetensors``, or ``.pt``/``.pth`` with a state dict, read with ``weights_only=True``.

    Raises:
        FileError: the file is missing, of another kind, broken or a pickle with code in it; or keys are missing,
            unexpected or of another shape.
        ExportError: the module is lazy and has no shapes yet.
    """
    where = f"file '{path}'"
    state = read_state(path)
    with nested(module):
        plain(module)
        own = module.state_dict()
    _require_same_keys(where, own, state)
    unlike = [
        f"'{key}' is {_kind(state[key])}, the module has {_kind(own[key])}"
        for key in own
        if state[key].shape != own[key].shape or state[key].is_floating_point() != own[key].is_floating_point()
    ]
    if unlike:
        raise FileError(
            where, f"tensors differ: {_listed(unlike)}", "Build the module with the sizes it was trained with"
        )
    try:
        # Assigned, not copied: a copy would round float64 weights to the module's float32 without a word.
        module.load_state_dict(dict(state), assign=True)
    except RuntimeError as error:
        raise FileError(where, f"cannot be loaded ({reason_of(error)})", "Save it again from this module") from error


def read_state(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises:
        FileError: as :func:`load_weights`.
    """
    target = Path(path)
    where = f"file '{target}'"
    if not target.is_file():
        raise FileError(where, "does not exist or is no file", "Check the path")
    reader = _READERS.get(target.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise FileError(where, f"ends with '{target.suffix}'; a checkpoint ends with {known}", _SAFETENSORS)
    state = reader(target, where)
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FileError(where, "holds no dictionary of tensors by name", "Save module.state_dict()")
    odd = [repr(name) for name, value in state.items() if value.is_meta or value.is_nested or value.is_sparse]
    if odd:
        found = f"holds sparse or nested tensors, or such without values: {_listed(odd)}"
        raise FileError(where, found, "Save dense tensors with their values")
    return state


def _read_safetensors(path: Path, where: str) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise FileError(where, f"is no readable .safetensors file ({reason_of(error)})", _SAFETENSORS) from error


def _read_torch(path: Path, where: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = "holds more than plain tensors, or is no torch file; nothing of it was run"
        raise FileError(where, found, _SAFETENSORS) from error
    except Exception as error:
        raise FileError(where, f"is no readable torch file ({reason_of(error)})", _SAFETENSORS) from error


_READERS: dict[str, Callable[[Path, str], Any]] = {
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
}


def _require_same_keys(where: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    missing = [repr(key) for key in own if key not in state]
    unexpected = [repr(key) for key in state if key not in own]
    parts = [f"{kind} {_listed(keys)}" for kind, keys in (("missing", missing), ("unexpected", unexpected)) if keys]
    if parts:
        found = f"does not fit the module: {'; '.join(parts)}"
        raise FileError(where, found, "Use the module that the weights were saved from")


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _listed(items: list[str]) -> str:
    shown = [item if len(item) <= _LONGEST else f"{item[:_LONGEST]}..." for item in items[:_SHOWN]]
    rest = len(items) - _SHOWN
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
