"""Values of compile options: refused where they are none that a runtime could mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nirbridge.errors import InputError


def require_seconds(name: str, value: float | None) -> None:
    """Refuses the value of an option that is no positive number of seconds; None stands for its default."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"option '{name}'", f"{value} is not a positive number of seconds", "Give for instance 1e-3")


def require_option(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuses the value of a compile option that is not among ``allowed``."""
    if value not in allowed:
        listed = ", ".join(map(repr, allowed))
        raise InputError(f"option '{name}'", f"{value!r} is not among {listed}", "Choose one of them")
