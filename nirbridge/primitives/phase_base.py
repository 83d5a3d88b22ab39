"""What the phase codes share."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.errors import GraphError
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_tables import Factor
from nirbridge.primitives.spec import Membrane

BY_HAND = "it works on whole windows, and every phase has a weight and a threshold of its own"
PHASES = 4
"""Phases of the windows of random graphs."""


def phase_base(where: str, name: str, value: Any) -> float:
    """The base of a code, above 1."""
    base = float(value)
    if not (np.isfinite(base) and base > 1):
        raise GraphError(where, f"{name} {base} is not above 1")
    return base


def phase_grows(gains: tuple[Factor, ...], x: int) -> int:
    """A product before its shift, or the state with what the shift leaves of it."""
    return STATE_LIMIT + max(gain.multiplier for gain in gains) * x


def shifted(base: float) -> Membrane:
    """One state; a multiplication by the base, where that is no shift."""
    return Membrane(1, int(base != 2.0))
