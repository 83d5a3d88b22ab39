"""The one operator of a step function that Python has no sign for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def where(condition: Any, first: Any, second: Any) -> Any:
    """``first`` where the condition holds, else ``second``, element by element; numpy arrays and torch tensors alike.

    torch is not imported: whoever brings a tensor has done so, while another thread may be in the middle of it.
    """
    torch: Any = sys.modules.get("torch")
    if isinstance(condition, getattr(torch, "Tensor", ())):
        return torch.where(condition, first, second)
    return np.where(condition, first, second)
