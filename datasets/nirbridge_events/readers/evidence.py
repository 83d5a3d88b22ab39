"""What the first rows of a table tell of its columns and of its unit of time, and when they tell too little.

Order, where nothing names the columns:

1. a column is a polarity if it holds nothing but 0 and 1, or nothing but -1 and 1;
2. a column is a coordinate if it holds whole numbers in 0..MOST_PIXELS;
3. a column is the time if its values never fall, or if it can be neither of the others and no other column rises;
4. x comes before y.  Where many rows reach clearly further in y than in x, they may as well be y before x.

Unit, where nothing names it:

5. whole numbers are µs; those that no clock of µs reaches are ns; those of ms since 1970 could be both, µs and ms;
6. decimals that are finer than 1/1000 are seconds, because a camera's clock is not finer than 1 µs; other decimals
   could be seconds and milliseconds.

One possible reading is taken and said; several are an error that names the options that choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.readers.wanted import COLUMNS_HELP, UNIT_HELP

Column = npt.NDArray[Any]

MOST_PIXELS = 4096
# Rule 4: rows that are many, pixels that are far, and how much further "clearly" is.
MANY_ROWS, FAR, FURTHER = 256, 64, 1.2
# Rule 5 [µs]: 80 years; and ms since 1970 in the years 2001 to 2049.
LONGEST_CLOCK = 2.5e15
MS_SINCE_1970 = (1e12, 2.5e12)
# Rule 6: years of seconds that no clock shows, and a gap between events that none has in seconds.
LARGEST_SECONDS, LONGEST_GAP = 1e11, 1.0


def column_order(where: str, columns: Sequence[Column]) -> tuple[dict[str, int], str]:
    """The places of t, x, y and p among four columns without names, by rules 1 to 4, and what to say of it.

    Raises:
        InputError: no order is possible, or several are.
    """
    found = []
    any_rises = any(_never_falls(values) and values[-1] > values[0] for values in columns)
    for t, p in permutations(range(len(columns)), 2):
        x, y = (i for i in range(len(columns)) if i not in (t, p))
        is_time = _never_falls(columns[t]) or not (any_rises or _is_polarity(columns[t]) or _is_coordinate(columns[t]))
        fits = is_time and _is_polarity(columns[p])
        if fits and _is_coordinate(columns[x]) and _is_coordinate(columns[y]):
            found.append({"t": t, "x": x, "y": y, "p": p})
    if not found:
        reason = "no order of t, x, y and p fits them: one must not fall, one be 0/1 or -1/1, two be whole pixels"
        raise InputError(where, f"has no names of columns, and {reason}", f"Give {COLUMNS_HELP}")
    if len(found) > 1:
        orders = " or ".join(_listed(order) for order in found[:3])
        raise InputError(where, f"has no names of columns, and may be {orders}", f"Give {COLUMNS_HELP}")
    order = found[0]
    right, down = columns[order["x"]].max() + 1, columns[order["y"]].max() + 1
    if len(columns[0]) >= MANY_ROWS and down > max(FAR, FURTHER * right):
        swapped = _listed({**order, "x": order["y"], "y": order["x"]})
        both = f"{_listed(order)} of {right:.0f}x{down:.0f} pixels or {swapped} of {down:.0f}x{right:.0f}"
        raise InputError(where, f"has no names of columns, and may be {both}", f"Give {COLUMNS_HELP}")
    return order, f"has no names of columns; they are taken as {_listed(order)}; --columns names another order"


def time_unit(where: str, t: Column) -> tuple[str, bool, str]:
    """The unit of times that nothing names, by rules 5 and 6, whether they are whole, and what to say of it.

    Raises:
        InputError: several units are possible.
    """
    t = t[np.isfinite(t)]
    # One damaged time, however large, must not say the unit of all.
    high = float(np.median(np.abs(t.astype(np.float64)))) if len(t) else 0.0
    if t.dtype.kind in "iu" or bool((t == np.rint(t)).all()):
        if high >= LONGEST_CLOCK:
            years = f"{high / 3.156e13:.0f} years"
            return "ns", True, f"its times name no unit; as µs they were {years}, so they are taken as ns"
        if MS_SINCE_1970[0] <= high < MS_SINCE_1970[1]:
            found = f"its times, as {t.flat[0]:.0f}, name no unit and may be µs, or ms since 1970"
            raise InputError(where, found, f"Give {UNIT_HELP}")
        rough = len(t) >= MANY_ROWS and high > 0 and bool((t % 1000 == 0).all())
        doubt = ", though all are multiples of 1000, as those of ns may be" if rough else ""
        note = f"its times name no unit; whole numbers are taken as µs{doubt}; --time-unit names another"
        return "us", True, note
    finer = _has_fractions(t, 1000, 1e-6)
    gap = float(np.median(np.diff(t.astype(np.float64)))) if len(t) > 1 else 0.0
    if not finer or high >= LARGEST_SECONDS or gap > LONGEST_GAP:
        shown = t[np.flatnonzero(t != np.rint(t))[0]]
        found = f"its times, as {shown:.15g}, name no unit and may be seconds or milliseconds"
        raise InputError(where, found, f"Give {UNIT_HELP}")
    note = "its times name no unit; decimals finer than 1/1000 are taken as seconds; --time-unit names another"
    return "s", False, note


def is_finer_than_microseconds(t: Column, unit: int) -> bool:
    """Whether times in units of so many nanoseconds lose something when they are rounded to µs."""
    if t.dtype.kind != "f":
        return unit < 1000 and bool((t % 1000 != 0).any())
    return _has_fractions(t[np.isfinite(t)], unit / 1000, 1e-3)


def _has_fractions(t: Column, factor: float, least: float) -> bool:
    """Whether times are no whole numbers when they are multiplied, by more than ``least`` and what rounding makes."""
    exact = t.astype(np.float64) * factor
    noise = 4 * float(np.finfo(t.dtype).eps) * np.abs(exact) + least
    return bool((np.abs(exact - np.rint(exact)) > noise).any())


def _is_polarity(values: Column) -> bool:
    found = set(np.unique(values).tolist())
    return found <= {0, 1} or found <= {-1, 1}


def _is_coordinate(values: Column) -> bool:
    if values.dtype.kind == "f" and not bool((values == np.rint(values)).all()):
        return False
    return bool(values.min() >= 0 and values.max() < MOST_PIXELS)


def _never_falls(values: Column) -> bool:
    return len(values) > 1 and bool((values[1:] >= values[:-1]).all())


def _listed(order: dict[str, int]) -> str:
    return ", ".join(sorted(order, key=lambda name: order[name]))
