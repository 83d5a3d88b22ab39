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


def constant(value: Any, dtype: Any) -> NDArray[Any]:
    """A tensor in its own dtype, or a number of the code in this one."""
    return array(value) if isinstance(value, torch.Tensor) else np.asarray(value, dtype=dtype)


def each(value: Any, axes: int) -> tuple[int, ...]:
    """A number for each of one axis or two; one number, which may stand in a tuple, is for all.

    Raises:
        RefusalError: there are more numbers, or fewer.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) == 1:
        values *= axes
    if len(values) != axes:
        needed = "one number is" if axes == 1 else "one or two numbers are"
        raise RefusalError(f"has {values} where {needed} needed", "Give a number for each axis")
    return tuple(int(number) for number in values)
