"""What ``nirbridge.evaluate`` is called with, looked at before anything is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from nirbridge.costing.meter import require_energy_options
from nirbridge.errors import InputError
from nirbridge.evaluating.layout import ORDERS
from nirbridge.runtime import require_option

_ENERGY = ("model", "bits", "input_kind")


def require_counts(**counts: Any) -> None:
    """Refuses what is no whole number from 1 on; None stands for a default.

    Raises:
        InputError: so.
    """
    for name, value in counts.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise InputError(f"option '{name}'", f"{value!r} is no whole number from 1 on", "Give for instance 32")


def require_reading(order: Any, scale: Any) -> None:
    """Refuses an order of axes that is none, and a factor that leaves nothing of the data.

    Raises:
        InputError: so.
    """
    if order is not None:
        require_option("order", order, ORDERS)
    if isinstance(scale, bool) or not isinstance(scale, Real) or not math.isfinite(scale) or not scale:
        raise InputError("option 'scale'", f"{scale!r} is no finite number besides 0", "Give for instance 1/255")


def require_energy(options: Mapping[str, Any] | None, activity: bool) -> None:
    """Refuses options of the energy that no model knows, and those of one that is not counted.

    Raises:
        InputError: so.
    """
    for name in options or {}:
        require_option("energy", name, _ENERGY)
        if not activity:
            found = "is of the energy, for which the activity is recorded"
            raise InputError(f"option '{name}'", found, "Leave it out, or record the activity")
    require_energy_options(**(options or {}))
