"""Names and meanings of columns, shared by the formats that hold tables: CSV, NumPy, HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import EVENT_DTYPE, Events, as_events
from nirbridge_events.readers.base import file_label

ALIASES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "x": ("x", "col", "column"),
    "y": ("y", "row"),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
UNITS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}


def find_columns(names: Sequence[str]) -> dict[str, int]:
    """The index of each of t, x, y and p among ``names``; those that are not there are left out.

    A unit after the name of the time, as in ``t_us`` or ``time [s]``, does not hide it.
    """
    plain = [
        name.strip().lower().replace("[", " ").replace("]", " ").replace("(", " ").replace(")", " ") for name in names
    ]
    words = [name.replace("_", " ").split() for name in plain]
    found: dict[str, int] = {}
    for field, aliases in ALIASES.items():
        for i, parts in enumerate(words):
            if parts and parts[0] in aliases and (len(parts) == 1 or (field == "t" and parts[1] in UNITS)):
                found.setdefault(field, i)
    return found


def table_events(path: Path, columns: dict[str, npt.NDArray[Any]], first: int) -> Events:
    """Events from four columns of whole numbers; ``first`` is the number of the first one, for messages.

    Raises:
        FileError: a column has another type or length, or a coordinate is outside 0..65535.
    """
    where, lengths = file_label(path), {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise FileError(where, f"columns have {sorted(lengths)} values", "Give all four the same length")
    array = np.empty(lengths.pop(), dtype=[(name, columns[name].dtype) for name in EVENT_DTYPE.names or ()])
    for name, values in columns.items():
        array[name] = values
    try:
        return as_events(array, f"{where}, events from {first}")
    except InputError as error:
        raise FileError.from_problems(error.problems) from error
