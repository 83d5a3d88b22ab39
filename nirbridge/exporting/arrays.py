"""Tensors as arrays that the graph owns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nirbridge.exporting.signal import RefusalError

_KEPT = (torch.float64, torch.float32, torch.float16)


def array(value: Any) -> NDArray[Any]:
    """A copy of a tensor in its own dtype; bfloat16, which numpy lacks, becomes float32 without loss.

    Raises:
        RefusalError: the dtype is not a floating-point one, or there are no values.
    """
    tensor = torch.as_tensor(value).detach()
    if tensor.is_meta:
        raise RefusalError("holds parameters without values, on the meta device", "Load its weights first")
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    if tensor.dtype not in _KEPT or tensor.layout is not torch.strided:
        raise RefusalError(f"holds parameters of {tensor.dtype} ({tensor.layout})", "Convert the module with .float()")
    return np.array(tensor.cpu().numpy())


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 2
    if len(values) == 1:
        values *= 2
    if len(values) != 2:
        raise RefusalError(f"has {values} where one or two numbers are needed", "Give one or two numbers")
    return int(values[0]), int(values[1])


def single(value: Any) -> int:
    """One number, which may stand in a tuple of one."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) != 1:
        raise RefusalError(f"has {values} where one number is needed", "Give one number")
    return int(values[0])


def each(value: Any, axes: int) -> tuple[int, ...]:
    """A number for each of one axis or two."""
    return (single(value),) if axes == 1 else pair(value)
