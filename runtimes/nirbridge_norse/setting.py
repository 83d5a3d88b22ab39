"""Where and in which arithmetic a program runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from nirbridge.errors import InputError
from nirbridge.runtime import require_option
from nirbridge.threads import in_parts
from nirbridge_norse.ranges import NarrowError, lost_values

DTYPES = {"float32": torch.float32, "float64": torch.float64}
_EXACT = ("ieee", "none")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Setting:
    """What every lowering needs besides its node.

    Attributes:
        device: where tensors live.
        dtype: of data, parameters and states.
        dt: seconds per step.
        any_value: whether parameters may lose what single precision does not hold.
        exact: whether sums of products that are exact in the dtype must come out exact on CUDA too.
        sparse: whether nearly all that convolutions read is 0.
    """

    device: torch.device
    dtype: torch.dtype
    dt: float
    any_value: bool = False
    exact: bool = True
    sparse: bool = False

    def tensor(self, value: Any) -> Tensor:
        """``value`` as a tensor of its own, cast once to the program's dtype.

        Raises:
            NarrowError: the dtype rounds a number by more than its last bits.
        """
        given = np.asarray(value)
        with np.errstate(over="ignore", under="ignore"):
            cast = np.array(given, self.numpy_dtype, order="C")
        if not self.any_value and (lost := lost_values(given, cast)).size:
            raise NarrowError("parameter", f"holds {lost.flat[0]:.9g}, which {self.numpy_dtype} does not")
        return torch.from_numpy(cast).to(self.device)

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """numpy's name for the dtype."""
        return np.dtype(str(self.dtype).removeprefix("torch."))


def make_setting(
    dt: float, device: str = "cpu", dtype: str = "float32", exact: bool = True, sparse: bool = False
) -> Setting:
    """The setting for the options of ``nirbridge.compile``.

    Raises:
        InputError: the device is unknown or absent, the dtype is unknown, or ``exact`` or ``sparse`` is no truth value.
    """
    require_option("dtype", dtype, tuple(DTYPES))
    require_option("exact", exact, (True, False))
    require_option("sparse", sparse, (True, False))
    return Setting(_device(device), DTYPES[dtype], dt, exact=bool(exact), sparse=bool(sparse))


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
    if getattr(torch.cuda, "_is_in_bad_fork", bool)():
        raise InputError(where, f"{name!r} asked for in a fork of a process that uses CUDA", "Start it by 'spawn'")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found <= (device.index or 0):
        raise InputError(where, f"{name!r} asked for, but torch finds {found} CUDA devices", "Use device='cpu'")
    return device


class _ExactSwitches:
    """torch's switches belong to the whole process: the first of several threads sets them, the last sets them back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                for place in _precisions():
                    if (before := place.fp32_precision) not in _EXACT:
                        place.fp32_precision = "ieee"
                        self._undo.callback(setattr, place, "fp32_precision", before)
                self._undo.enter_context(torch.backends.nnpack.flags(enabled=False))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._undo.close()


_SWITCHES = _ExactSwitches()


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Inference in IEEE arithmetic: no TF32, no bfloat16 products, no Winograd of NNPACK; the settings come back."""
    with _SWITCHES, torch.inference_mode():
        yield


def arithmetic_for(library: bool) -> AbstractContextManager[Any]:
    """The same; torch's switches, which cost a tenth of a millisecond, only where it forms sums of products."""
    return exact_arithmetic() if library else torch.inference_mode()


def on_threads(work: Callable[[int], Found], count: int) -> list[Found]:
    """``work(part)`` for each of ``count`` parts at once, each on one thread of torch; their results in order."""
    found: list[Any] = [None] * count

    def run(part: int) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a thread's own number, and that of threads that are new to torch
        try:
            found[part] = work(part)
        finally:
            torch.set_num_threads(threads)

    before = torch.get_num_threads()
    try:
        in_parts(count, run, count)
    finally:
        torch.set_num_threads(before)
    return found


def _after_fork() -> None:
    """A fork has one thread of torch: its parent's are not there, and its work and its end would wait for them."""
    global _SWITCHES
    torch.set_num_threads(1)
    _SWITCHES = _ExactSwitches()


os.register_at_fork(after_in_child=_after_fork)


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


class _GlobalCudnn:
    """Likewise that of cuDNN's convolutions."""

    @property
    def fp32_precision(self) -> str:
        """ "ieee" or "tf32"."""
        return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        torch.backends.cudnn.allow_tf32 = value != "ieee"


def _precisions() -> tuple[Any, ...]:
    """The switches that decide how float32 products are formed."""
    backends = torch.backends
    if not hasattr(backends.mkldnn, "conv"):
        return _GlobalMatmul(), _GlobalCudnn()
    return backends.mkldnn.matmul, backends.mkldnn.conv, backends.cuda.matmul, backends.cudnn.conv
