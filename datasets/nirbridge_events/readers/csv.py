"""Text tables: one event a line, four columns, separated by commas, semicolons, tabs or blanks.

A first line of names may put t, x, y and p in any order; without it they come as t, x, y, p.  Lines that begin with
``#`` are comments.  Times are whole µs, or in the unit that their column names (``t_us``, ``t_ms``, ``t_s``); times
with a decimal point and no unit are seconds.  Polarities are 0 or 1, -1 or 1, or true or false.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.columns import UNITS, find_columns, table_events

SEPARATORS = (",", ";", "\t", " ")
LONGEST_LINE = 4096
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\xb5\xc2]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS = ((b"true", b"1"), (b"false", b"0"), (b"on", b"1"), (b"off", b"0"))
_WORDY = re.compile(rb"[a-df-zA-DF-Z]")
_ORDER = {"t": 0, "x": 1, "y": 2, "p": 3}


@dataclass(frozen=True)
class Table:
    """How the lines are read.

    Attributes:
        separator: between columns; a blank stands for any run of them.
        columns: the index of each of t, x, y and p.
        width: the number of columns.
        unit: µs in one unit of the time column.
        whole: whether times are whole numbers.
        start: bytes before the first event.
    """

    separator: str
    columns: dict[str, int]
    width: int
    unit: int
    whole: bool
    start: int


def decode(feed: Feed, table: Table) -> Iterator[Events]:
    """One pass over the file, chunk by chunk; a last line without end counts, if it is complete.

    Raises:
        FileError: a line is no event; it is named by its number.
    """
    rest, line, events = b"", 1, 0
    skip = table.start
    for _, block in feed.blocks():
        data = rest + block
        if skip:
            line += data[:skip].count(b"\n")
            data, skip = data[skip:], max(0, skip - len(data))
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > LONGEST_LINE:
            raise FileError(file_label(feed.path), f"line {line} is longer than {LONGEST_LINE} bytes", "Repair it")
        chunk = _parse(feed.path, data[:cut], table, line, events)
        line, events, rest = line + data.count(b"\n", 0, cut), events + len(chunk), data[cut:]
        yield chunk
    yield _parse(feed.path, rest, table, line, events)


def _parse(path: Path, text: bytes, table: Table, line: int, first: int) -> Events:
    if _WORDY.search(text):
        text = text.lower()
        for word, digit in _WORDS:
            text = text.replace(word, digit)
    numbers = np.int64 if table.whole else np.float64
    kinds = [(name, numbers if name == "t" else np.int64) for name in table.columns]
    if not text.strip() or all(part.lstrip().startswith(b"#") for part in text.splitlines() if part.strip()):
        rows = np.empty(0, dtype=kinds)
    else:
        rows = _load(path, text, table, np.dtype(kinds), line)
    times = rows["t"] * table.unit if table.whole else np.rint(rows["t"] * table.unit)
    if len(times) and not (np.isfinite(times).all() and np.abs(times).max() < 2**62):
        raise FileError(file_label(path), f"a time after line {line} is no number below 2^62 µs", "Repair that line")
    columns: dict[str, npt.NDArray[Any]] = {name: rows[name] for name in "xyp"}
    return table_events(path, {"t": times.astype(np.int64), **columns}, first)


def _load(path: Path, text: bytes, table: Table, kinds: np.dtype[Any], line: int) -> npt.NDArray[Any]:
    separator = None if table.separator == " " else table.separator
    order = list(table.columns.values())
    try:
        return np.loadtxt(
            io.BytesIO(text), dtype=kinds, comments="#", delimiter=separator, usecols=order, ndmin=1, encoding="latin-1"
        )
    except (ValueError, OverflowError) as error:
        raise _bad_line(path, text, table, line) from error


def _bad_line(path: Path, text: bytes, table: Table, line: int) -> FileError:
    """The error for the first line that is no event."""
    place, shown = line, ""
    for number, raw in enumerate(text.decode("latin-1").splitlines(), line):
        fields = _split(raw.split("#")[0], table.separator)
        if raw.split("#")[0].strip() and not _is_row(fields, table):
            place, shown = number, raw[:60]
            break
    found = f"line {place} is no event: '{shown}'"
    return FileError(file_label(path), found, "Each line needs whole numbers for x, y and p, and a time")


def _is_row(fields: list[str], table: Table) -> bool:
    if len(fields) <= max(table.columns.values()):
        return False
    values = {name: fields[i].strip() for name, i in table.columns.items()}
    whole = all(re.fullmatch(r"[+-]?\d{1,18}", values[name]) for name in values if name != "t" or table.whole)
    return whole and bool(_NUMBER.fullmatch(values["t"]))


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def recognises(path: Path, head: bytes) -> bool:
    """Whether these are lines of at least four columns of text."""
    if path.suffix.lower() == ".bin" or not _TEXT.fullmatch(head):
        return False
    line = _first_line(head)[0]
    return any(len(_split(line, separator)) >= 4 for separator in SEPARATORS)


def _first_line(head: bytes) -> tuple[str, int, int]:
    """The first line that is no comment, and where it begins and ends."""
    at = 0
    while at < len(head):
        end = head.find(b"\n", at)
        end = len(head) if end < 0 else end + 1
        line = head[at:end].decode("utf-8", errors="replace").strip()
        if line and not line.startswith("#"):
            return line, at, end
        at = end
    return "", at, at


def _open(path: Path, head: bytes, _given: Size | None) -> Source:
    table, notes = _layout(path, head)
    return Source("csv", 0, None, False, lambda feed: decode(feed, table), notes)


def _layout(path: Path, head: bytes) -> tuple[Table, tuple[str, ...]]:
    line, begin, end = _first_line(head)
    separator = next((each for each in SEPARATORS if len(_split(line, each)) >= 4), None)
    if separator is None:
        raise FileError(file_label(path), "has no four columns in its first line", "Give lines with t, x, y and p")
    fields = [field.strip().strip('"') for field in _split(line, separator)]
    named = not all(_NUMBER.fullmatch(field) or field.lower() in ("true", "false", "on", "off") for field in fields)
    columns = find_columns(fields) if named else _ORDER
    if missing := sorted(set("txyp") - set(columns)):
        found = f"its first line '{line[:60]}' names no column {', '.join(missing)}"
        raise FileError(file_label(path), found, "Name the columns t, x, y and p")
    row = _first_line(head[end:])[0] if named else line
    values = _split(row, separator)
    time = values[columns["t"]].strip() if len(values) > columns["t"] else ""
    unit = _unit(fields[columns["t"]]) if named else None
    whole = not re.search(r"[.eE]", time) and unit in (None, 1)
    notes = [] if named else ["has no line of names; its columns are taken as t, x, y, p"]
    if unit is None and not whole:
        notes.append("its times have decimals and no unit; they are taken as seconds")
    scale = unit or (1 if whole else 1_000_000)
    return Table(separator, columns, len(fields), scale, whole, end if named else begin), tuple(notes)


def _unit(name: str) -> int | None:
    parts = re.split(r"[_\s\[\]()]+", name.strip().lower())
    return next((UNITS[part] for part in parts[1:] if part in UNITS), None)


READER = Reader("csv", "text with four columns", recognises, _open, (".csv", ".txt", ".tsv"))
