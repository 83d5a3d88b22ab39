"""Events from the rows of a table, whatever wrote it: which column is what, in which unit, and what no event is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Events, as_places
from nirbridge_events.readers import evidence
from nirbridge_events.readers.base import SKIP_ADVICE, Feed, file_label
from nirbridge_events.readers.columns import find_columns, unit_in
from nirbridge_events.readers.wanted import COLUMNS_HELP, FIELDS, UNIT_HELP, UNITS, UNUSED, Wanted

Column = npt.NDArray[Any]

LATEST = 2**61
"""Times [µs] stay below it."""
LARGEST_COORDINATE, FARTHEST = 65535, 2.0**62
NO_EVENTS = "rows are no events and were left out"
POLARITY_ADVICE = "Give 0 and 1, or -1 and 1; subtract 1 from 1 and 2. If 255 stands for -1, save polarities as int8"


@dataclass(frozen=True)
class Meaning:
    """How the columns of a table are read.

    Attributes:
        places: the index of each of t, x, y and p.
        unit: of the times, of ``UNITS``.
        whole: whether the unit was concluded from times without decimals, so that later ones must have none.
        notes: what was concluded.
    """

    places: dict[str, int]
    unit: str
    whole: bool = False
    notes: tuple[str, ...] = ()


def places_of(where: str, names: Sequence[str] | None, width: int, wanted: Wanted) -> dict[str, int] | None:
    """The index of each of t, x, y and p as the caller or the names say it, None where only the values can tell.

    Raises:
        InputError: ``wanted.columns`` are more or fewer than the columns; there are neither names nor four columns.
        FileError: a name is missing, or stands twice.
    """
    if wanted.columns:
        if len(wanted.columns) != width:
            found = f"has {width} columns, --columns names {len(wanted.columns)}"
            raise InputError(where, found, f"Name each one; '{UNUSED}' stands for a column without use")
        return {field: wanted.columns.index(field) for field in FIELDS}
    if names is None:
        if width != len(FIELDS):
            found = f"has {width} columns without names"
            raise InputError(where, found, f"Give {COLUMNS_HELP}; '{UNUSED}' stands for a column without use")
        return None
    found_columns = find_columns(names)
    for field in FIELDS:
        count = len(found_columns.get(field, ()))
        if count != 1:
            missing = ", ".join(name for name in FIELDS if name not in found_columns)
            what = f"several names for {field}" if count else f"no name for {missing}"
            listed = ", ".join(name.strip() for name in names)[:80]
            raise FileError(where, f"its columns '{listed}' have {what}", f"Give {COLUMNS_HELP}")
    return {field: found_columns[field][0] for field in FIELDS}


def meaning_of(
    where: str,
    sample: Sequence[Column],
    names: Sequence[str] | None,
    wanted: Wanted,
    unit: str = "",
    ordered: bool = True,
) -> Meaning:
    """How the columns are read; ``sample`` are their first values, ``unit`` one that the format says.

    Columns that are arrays with names have no order (``ordered``), so that ``wanted.columns`` means nothing for them.

    Raises:
        InputError: the values allow several readings, or none.
        FileError: as ``places_of``.
    """
    if wanted.columns and not ordered:
        found = "keeps each column under its name, so that --columns does not apply"
        raise InputError(where, found, "Leave --columns away")
    notes = []
    places = places_of(where, names, len(sample), wanted)
    for i in range(len(sample)) if places is None else places.values():
        if sample[i].dtype.kind not in "iufb" or sample[i].ndim != 1:
            named = f"'{names[i][:60]}'" if names else f"column {i + 1}"
            kind = str(sample[i].dtype)[:60] + (f" of shape {sample[i].shape[1:]}" if sample[i].ndim > 1 else "")
            raise FileError(where, f"{named} holds {kind}, not one number a row", "Store plain numbers")
    if places is None and len(sample[0]):
        places, note = evidence.column_order(where, sample)
        notes.append(note)
    places = places or {field: i for i, field in enumerate(FIELDS)}
    unit = wanted.time_unit or (unit_in(names[places["t"]]) if names else "") or unit
    whole = False
    if not unit:
        unit, whole, note = evidence.time_unit(where, sample[places["t"]])
        notes.append(note)
    if evidence.is_finer_than_microseconds(sample[places["t"]], UNITS[unit]):
        notes.append("its times are rounded to whole µs")
    return Meaning(places, unit, whole, tuple(notes))


def columns_of(block: Column) -> list[Column]:
    """The columns of a structured array, of an array [N, M], or of one that is a column itself."""
    if block.dtype.names:
        return [block[name] for name in block.dtype.names]
    return list(block.T) if block.ndim == 2 else [block]


def decode_blocks(
    feed: Feed, meaning: Meaning, blocks: Iterable[Sequence[Column]], offset: int | float = 0
) -> Iterator[Events]:
    """The events of a file's columns, which come in blocks of rows; ``offset`` is added to all times, in their unit.

    Raises:
        FileError: a row is no event, or the offset is no time.
    """
    rows, first = Rows(feed, meaning, offset), 0

    def number(row: int) -> str:
        return f"event {first + row}"

    for columns in blocks:
        feed.position += sum(column.nbytes for column in columns)
        yield from rows.events(columns, number)
        first += len(columns[0])


class Rows:
    """Turns blocks of columns into events, one block after the other.

    Rows that are no event end the pass, or are left out and counted where ``feed.skip_bad`` says so; then whole numbers
    beyond 0..65535 are kept as places that no sensor has.

    Args:
        feed: the pass.
        meaning: of the columns.
        offset: added to all times, in their unit.

    Raises:
        FileError: the offset is no time.
    """

    def __init__(self, feed: Feed, meaning: Meaning, offset: int | float = 0) -> None:
        self._feed, self._where = feed, file_label(feed.path)
        self._meaning, self._unit, self._offset = meaning, meaning.unit, 0
        self._polarities: set[int] = set()
        if not self._is_time(np.array([offset])).all():
            raise FileError(self._where, f"adds {offset} {self._unit} to all of its times", "Repair it")
        self._offset = int(self._in_microseconds(np.array([offset]))[0])

    def events(self, block: Sequence[Column], place: Callable[[int], str]) -> Iterator[Events]:
        """Events of a block of rows; before the error, those in front of it.  ``place`` names a row in an error.

        Raises:
            FileError: a row is no event: a coordinate is no whole number in 0..65535, a time is no number or beyond
                2^61 µs, a polarity is none of 0 and 1, or of -1 and 1.
        """
        columns = {name: block[i] for name, i in self._meaning.places.items()}
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise FileError(self._where, f"columns have {sorted(lengths)} values", "Give all four the same length")
        # The limits of the checks are beyond half precision.
        columns = {name: c.astype(np.float32) if c.dtype == np.float16 else c for name, c in columns.items()}
        good, problem = self._screened(columns, place)
        if not good.all():
            columns = {name: values[good] for name, values in columns.items()}
        p = columns["p"]
        self._polarities |= {value for value in (-1, 0) if p.dtype.kind != "b" and bool((p == value).any())}
        if len(self._polarities) > 1:
            found = "polarities of -1, 0 and 1 are mixed, so that 0 is neither ON nor OFF"
            raise FileError(self._where, found, "Leave the events of 0 away, or name another column with --columns")
        x, y = (as_places(_whole(columns[name])) for name in "xy")
        t = self._in_microseconds(columns["t"]) + self._offset
        yield Events(x, y, t, (p > 0).astype(np.uint8))
        if problem is not None:
            raise problem

    def _screened(
        self, columns: dict[str, Column], place: Callable[[int], str]
    ) -> tuple[npt.NDArray[np.bool_], FileError | None]:
        """Which rows are events, up to the first that ends the pass, and its error; others are counted."""
        t = columns["t"]
        checks = [(name, self._is_place(columns[name]), f"no whole pixel in 0..{LARGEST_COORDINATE}") for name in "xy"]
        checks.append(("t", self._is_time(t), "no time below 2^61 µs or 2^63 ns"))
        checks.append(("p", _is_polarity(columns["p"]), "neither 0 nor 1, nor -1 or 1"))
        good, end = _all(t), len(t)
        problem: FileError | None = None
        for name, fits, what in checks:
            if fits.all():
                continue
            good &= fits
            if not self._feed.skip_bad and not fits[:end].all():
                end = int(fits.argmin())
                found = f"{place(end)} has {name} = {columns[name][end]!s}, which is {what}"
                problem = FileError(self._where, found, POLARITY_ADVICE if name == "p" else SKIP_ADVICE)
        if self._meaning.whole and t.dtype.kind == "f":
            broken = good[:end] & (t[:end] != np.floor(t[:end]))
            if broken.any():
                end = int(broken.argmax())
                found = f"{place(end)} has t = {t[end]!s}; the times before were whole and taken as {self._unit}"
                problem = FileError(self._where, found, f"Give {UNIT_HELP}")
        if not good[:end].all():
            self._feed.lost[NO_EVENTS] += int((~good[:end]).sum())
        good[end:] = False
        return good, problem

    def _is_place(self, values: Column) -> npt.NDArray[np.bool_]:
        if self._feed.skip_bad:
            return (
                (np.abs(values) < FARTHEST) & (values == np.floor(values)) if values.dtype.kind == "f" else _all(values)
            )
        good = (values >= 0) & (values <= LARGEST_COORDINATE)
        return good & (values == np.floor(values)) if values.dtype.kind == "f" else good

    def _is_time(self, t: Column) -> npt.NDArray[np.bool_]:
        per_unit = UNITS[self._unit]
        if t.dtype.kind == "f":
            return np.asarray(np.abs(t) < min(LATEST / per_unit * 1000, 2.0**63))
        largest = min(LATEST * 1000 // per_unit, 2**63 - 1)
        return np.asarray((t < largest) & (t > -largest))

    def _in_microseconds(self, t: Column) -> npt.NDArray[np.int64]:
        per_unit = UNITS[self._unit]
        if t.dtype.kind == "f":
            exact = t.astype(np.float64) * per_unit / 1000
            nearest = np.rint(exact)
            return (nearest + (exact - nearest == 0.5)).astype(np.int64)  # halves grow, as those of whole ns do
        whole = t.astype(np.int64)
        return (whole + 500) // 1000 if per_unit < 1000 else whole * (per_unit // 1000)


def _is_polarity(p: Column) -> npt.NDArray[np.bool_]:
    return _all(p) if p.dtype.kind == "b" else (p == 0) | (p == 1) | (p == -1)


def _all(values: Column) -> npt.NDArray[np.bool_]:
    return np.ones(len(values), dtype=np.bool_)


def _whole(values: Column) -> Column:
    return values.astype(np.int64) if values.dtype.kind in "fb" else values
