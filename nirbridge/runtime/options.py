"""Values of compile options: refused where they are none that a runtime could mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nirbridge.errors import InputError


def require_seconds(name: str, value: float | None) -> None:
    """Refuses the value of an option that is no positive number of seconds; None stands for its default."""
    if value is not None and not _is_positive(value):
        raise InputError(f"option '{name}'", f"{value!r} is not a positive number of seconds", "Give for instance 1e-3")


def _is_positive(value: Any) -> bool:
    if isinstance(value, (bool, str)) or np.size(value) != 1:
        return False
    try:
        return math.isfinite(value) and bool(value > 0)
    except TypeError:
        return False


def require_option(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuses the value of a compile option that is not among ``allowed``."""
    if value not in allowed:
        listed = ", ".join(map(repr, allowed))
        raise InputError(f"option '{name}'", f"{value!r} is not among {listed}", "Choose one of them")
