"""When the fused passes are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from nirbridge.machine_code import numba_is_there, triton_is_there

_STEPWISE: ContextVar[bool] = ContextVar("nirbridge_stepwise", default=False)
_DTYPES = (torch.float32, torch.float64)


@contextmanager
def stepwise() -> Iterator[None]:
    """Within the block, neurons step with torch operations, as they do without numba, or on CUDA without Triton.

    Needed for gradients of gradients and for ``torch.func``, which the fused passes do not give.
    """
    token = _STEPWISE.set(True)
    try:
        yield
    finally:
        _STEPWISE.reset(token)


def runs_kernels(x: Tensor) -> bool:
    """Whether those for CUDA take ``x``."""
    return x.is_cuda and triton_is_there()


def is_fusable(x: Tensor, v: Tensor | float) -> bool:
    """Whether the steps of ``x`` [T, B, ...] from the state ``v`` can run in one pass."""
    plain = type(x) is Tensor or type(x) is torch.nn.Parameter
    return (
        plain
        and (runs_kernels(x) or (x.is_cpu and numba_is_there()))
        and x.dtype in _DTYPES
        and x.numel() > 0
        and not (isinstance(v, Tensor) and v.requires_grad)
        and not _STEPWISE.get()
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )
