"""The length of a step."""

from __future__ import annotations

from collections.abc import Iterable

import nir

from nirbridge.primitives import EventInput

DEFAULT_DT = 1e-3
"""Seconds a step where neither the call nor an EventInput says."""


def time_step(nodes: Iterable[nir.NIRNode], dt: float | None = None) -> float:
    """Seconds a step: ``dt`` of the call, else the window of the first EventInput, else :data:`DEFAULT_DT`."""
    if dt is not None:
        return float(dt)
    return next((node.window / 1e6 for node in nodes if type(node) is EventInput), DEFAULT_DT)
