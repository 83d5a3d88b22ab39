"""Where and in which arithmetic a program runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nirbridge.errors import InputError
from nirbridge.runtime import require_option

DTYPES = {"float32": torch.float32, "float64": torch.float64}
_EXACT = ("ieee", "none")


@dataclass(frozen=True)
class Setting:
    """What every lowering needs besides its node.

    Attributes:
        device: where tensors live.
        dtype: of data, parameters and states.
        dt: seconds per step.
    """

    device: torch.device
    dtype: torch.dtype
    dt: float

    def tensor(self, value: Any) -> Tensor:
        """``value`` as a tensor of its own, cast once to the program's dtype."""
        return torch.tensor(np.asarray(value, dtype=self.numpy_dtype), device=self.device)

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """numpy's name for the dtype."""
        return np.dtype(str(self.dtype).removeprefix("torch."))


def make_setting(dt: float, device: str = "cpu", dtype: str = "float32") -> Setting:
    """The setting for the options of ``nirbridge.compile``.

    Raises:
        InputError: the device is unknown or absent, or the dtype is unknown.
    """
    require_option("dtype", dtype, tuple(DTYPES))
    return Setting(_device(device), DTYPES[dtype], dt)


def _device(name: Any) -> torch.device:
    where = "option 'device'"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError, ValueError):
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise InputError(where, f"{name!r} is not among 'cpu', 'cuda', 'cuda:0'", "Choose one of them")
    if device.type == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found <= (device.index or 0):
        raise InputError(where, f"{name!r} asked for, but torch finds {found} CUDA devices", "Use device='cpu'")
    return device


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Inference in IEEE arithmetic: no TF32, no bfloat16 products, no Winograd of NNPACK; the settings come back."""
    changed = [(place, place.fp32_precision) for place in _precisions() if place.fp32_precision not in _EXACT]
    for place, _ in changed:
        place.fp32_precision = "ieee"
    try:
        with torch.backends.nnpack.flags(enabled=False), torch.inference_mode():
            yield
    finally:
        for place, before in changed:
            place.fp32_precision = before


class _GlobalMatmul:
    """The one switch of a torch before 2.9, under the name that later ones use."""

    @property
    def fp32_precision(self) -> str:
        """ "ieee", or torch's word for something faster."""
        found: str = torch.get_float32_matmul_precision()
        return "ieee" if found == "highest" else found

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        torch.set_float32_matmul_precision("highest" if value == "ieee" else value)


def _precisions() -> tuple[Any, ...]:
    """The switches that decide how float32 products are formed; convolutions on CUDA are products here."""
    backends = torch.backends
    if not hasattr(backends.mkldnn, "conv"):
        return (_GlobalMatmul(),)
    return backends.mkldnn.matmul, backends.mkldnn.conv, backends.cuda.matmul
