"""What takes whole windows of steps, as functions of one (W, samples, n) window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nirbridge.runtime import Array


def run_window(run: Callable[[Array], Any], x: Array) -> tuple[Array, Any]:
    """What the primitive itself says of the frames of a window."""
    sent, membranes = run(x)
    return np.stack(sent).astype(x.dtype), () if membranes is None else membranes


def framed(p: tuple[Callable[[Array], Array], tuple[int, ...]], x: Array) -> Array:
    """What a function of the frames [W, samples, *shape] of a window makes of vectors."""
    function, shape = p
    y = function(x.reshape(*x.shape[:2], *shape))
    return y.reshape(*y.shape[:2], -1)
