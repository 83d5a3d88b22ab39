"""Text tables: one event a line, separated by commas, semicolons, tabs or blanks.

A first line of names, or a last comment before the events, may put t, x, y and p among any columns in any order;
without it, and where the time names no unit, the first rows tell what ``evidence`` can conclude.  Lines that begin with
``#`` are comments.  The size of the sensor is read from a first line of two numbers (width height), from names as
``x@320,y@240``, or from a comment ``% geometry:WIDTH,HEIGHT``.  Polarities are 0 or 1, -1 or 1, or the words true,
false, on, off.

Source: text of Mueggler et al. 2017 (t x y p in seconds) and E2VID (its line of two numbers); faery; Metavision.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size, known_size
from nirbridge_events.readers.base import HEAD_BYTES, Feed, Reader, Source, file_label
from nirbridge_events.readers.columns import find_columns, one_of_each
from nirbridge_events.readers.table import Meaning, Rows, meaning_of, places_of
from nirbridge_events.readers.wanted import FIELDS, Wanted

SEPARATORS = (",", ";", "\t", " ")
LONGEST_LINE = 4096
EXTENSIONS = (".csv", ".txt", ".tsv")
MARK = b"\xef\xbb\xbf"
"""What Windows puts before UTF-8 text."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MOST_COLUMNS = 256
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_TRUTH = {"true": b"1", "on": b"1", "false": b"0", "off": b"0"}
_ROW = re.compile(rb"^[ \t]*[^#\s]", re.MULTILINE)
_BLANKS = re.compile(rb"\n[ \t]+(?=[#\r\n]|\Z)")
"""Blanks alone in a line, or before a comment: beside separators, NumPy takes them for a column."""
_WORD = re.compile(rb"\b(?:true|on|false|off)\b", re.IGNORECASE)
# What whole numbers and their separators are made of; and digits in a row that int64 always holds.
_WHOLE, SAFE_DIGITS = b"0123456789+-,; \t\r\n", 18
# Digits in a row that float64 may round.
_LONG = re.compile(rb"(?<![\d.])\d{16}")
_HUGE = re.compile(rb"\d{20}|9[2-9]\d{17}")
_GEOMETRY = re.compile(rb"^[%#]\s*geometry\s*[:=]?\s*(\d{1,5})\s*[,x]\s*(\d{1,5})\s*$", re.MULTILINE)
_SIZE_IN_NAME = re.compile(r"@(\d{1,5})$")

BAD_LINES = "lines that are no event"
LIKELY_BAD = 0.5
"""With a larger share of bad lines at its beginning a text is no table."""


@dataclass(frozen=True)
class Table:
    """How the lines are cut.

    Attributes:
        separator: between columns; a blank stands for any run of them.
        width: the number of columns.
        names: of the columns, None where no line names them.
        start: bytes before the first event.
        size: (width, height) of the sensor, where the text says it.
        places: the index of each of t, x, y and p; their own order where only the values can tell.
    """

    separator: str
    width: int
    names: tuple[str, ...] | None
    start: int
    size: Size | None
    places: dict[str, int]

    def fault(self, line: str) -> str:
        """What keeps a line from being cut into numbers, "" if nothing does."""
        fields = _split(line.replace('"', ""), self.separator)
        if len(fields) != self.width:
            return f"has {len(fields)} columns, the first line {self.width}: '{line[:60]}'"
        wrong = [name for name in FIELDS if not _is_value(fields[self.places[name]])]
        return f"is no event: '{line[:60]}', where {wrong[0]} is no number" if wrong else ""


def decode(feed: Feed, table: Table, meaning: Meaning) -> Iterator[Events]:
    """One pass over the file, chunk by chunk; a last line without end counts, if it is complete.

    Raises:
        FileError: a line is no event; it is named by its number.
    """
    where = file_label(feed.path)
    rows, table = Rows(feed, meaning), replace(table, places=meaning.places)

    def events(text: bytes, line: int) -> Iterator[Events]:
        problem: FileError | None = None
        try:
            columns = _load(where, text, table, line)
        except FileError as error:
            text, bad = _without_bad_lines(text, table, from_first=not feed.skip_bad)
            columns = _load(where, text, table, line)
            if feed.skip_bad:
                feed.lost[BAD_LINES] += bad
            else:
                problem = error
        yield from rows.events(columns, lambda row: f"line {_line_of(text, row, line)}")
        if problem is not None:
            raise problem

    rest, line, skip = b"", 1, table.start
    for _, block in feed.blocks():
        data = rest + block
        if skip:
            line += data[:skip].count(b"\n")
            data, skip = data[skip:], max(0, skip - len(data))
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > LONGEST_LINE:
            raise FileError(where, f"line {line} is longer than {LONGEST_LINE} bytes", "Repair it")
        yield from events(data[:cut], line)
        line, rest = line + data.count(b"\n", 0, cut), data[cut:]
    yield from events(rest, line)


def _load(where: str, text: bytes, table: Table, line: int) -> list[npt.NDArray[Any]]:
    """The columns of whole lines; t, x, y and p are int64 where all their numbers are whole, else float64.

    Raises:
        FileError: a line has not ``table.width`` fields, or one of the four is no number.
    """
    if not _ROW.search(text):
        return [np.empty(0, dtype=np.int64)] * table.width
    plain = _BLANKS.sub(b"\n", b"\n" + text.replace(b'"', b""))
    other = plain.translate(None, _WHOLE)
    if other.translate(None, b".eE"):
        plain = _WORD.sub(lambda found: _TRUTH[found[0].decode().lower()], plain)
        other = plain.translate(None, _WHOLE)
    used = set(table.places.values())
    whole: set[int] = used if not other and not _is_huge(plain) else set()
    if other and _LONG.search(plain):
        with suppress(ValueError, OverflowError), warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # with it NumPy cuts the decimals of a whole number off
            return _numbers(plain, table, used - {table.places["t"]}, {table.places["t"]})
    try:
        return _numbers(plain, table, used - whole, whole)
    except (ValueError, OverflowError) as error:
        raise _bad_line(where, text, table, line) from error


def _numbers(text: bytes, table: Table, decimal: set[int], whole: set[int]) -> list[npt.NDArray[Any]]:
    """The columns, those of ``decimal`` as float64 and those of ``whole`` as int64.

    Raises:
        ValueError, OverflowError: a line has not ``table.width`` fields, or one is no such number.
    """
    kinds = [(f"{i}", "f8" if i in decimal else "i8" if i in whole else "S1") for i in range(table.width)]
    separator = None if table.separator == " " else table.separator
    loaded = np.loadtxt(io.BytesIO(text), dtype=kinds, comments="#", delimiter=separator, ndmin=1, encoding="latin-1")
    return [loaded[f"{i}"] for i in range(table.width)]


def _is_huge(text: bytes) -> bool:
    """Whether a whole number may be beyond int64."""
    codes = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero((codes < ord("0")) | (codes > ord("9")))
    longest = int(np.diff(ends, prepend=-1, append=len(codes)).max()) - 1
    return longest > SAFE_DIGITS and _HUGE.search(text) is not None


def _rows(text: bytes, line: int) -> Iterator[tuple[int, str]]:
    """The lines that are no comment, with their numbers."""
    for number, raw in enumerate(_decoded(text).split("\n"), line):
        row = raw.split("#")[0].strip()
        if row:
            yield number, row


def _line_of(text: bytes, row: int, line: int) -> int:
    return next((number for i, (number, _) in enumerate(_rows(text, line)) if i == row), line)


def _bad_line(where: str, text: bytes, table: Table, line: int) -> FileError:
    """The error for the first line that cannot be cut into numbers."""
    for number, row in _rows(text, line):
        if fault := table.fault(row):
            return FileError(where, f"line {number} {fault}", "Repair that line; decimals need a point, no comma")
    return FileError(where, f"the lines from {line} on are no events", "Repair them")


def _without_bad_lines(text: bytes, table: Table, from_first: bool = False) -> tuple[bytes, int]:
    """The text with the lines that cannot be cut into numbers made empty, or cut off before the first; their number."""
    lines, bad = text.split(b"\n"), [number for number, row in _rows(text, 0) if table.fault(row)]
    if bad and from_first:
        return b"\n".join(lines[: bad[0]]), len(bad)
    for number in bad:
        lines[number] = b""
    return b"\n".join(lines), len(bad)


def _is_value(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) or text.lower() in _TRUTH


def recognises(path: Path, head: bytes) -> bool:
    """Whether these are lines of at least four columns of text, or of text that is named as a table."""
    named = path.suffix.lower() in EXTENSIONS
    if path.suffix.lower() == ".bin" or not _TEXT.fullmatch(head.removeprefix(MARK)):
        return named and head.startswith(UTF_16)
    return named or any(_separator(line) for line, _, _ in _first_lines(head, 2))


def _separator(line: str) -> str | None:
    return next((each for each in SEPARATORS if len(_split(line, each)) >= 4), None)


def _split(line: str, separator: str) -> list[str]:
    """The fields of a line."""
    return line.split() if separator == " " else [field.strip() for field in line.split(separator)]


def _first_lines(head: bytes, count: int) -> list[tuple[str, int, int]]:
    """The first lines that are no comment, and where they begin and end."""
    found: list[tuple[str, int, int]] = []
    at = len(MARK) if head.startswith(MARK) else 0
    while at < len(head) and len(found) < count:
        end = head.find(b"\n", at)
        end = len(head) if end < 0 else end + 1
        line = _decoded(head[at:end]).strip()
        if line and not line.startswith(("#", "%")):
            found.append((line, at, end))
        at = end
    return found


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _open(path: Path, head: bytes, wanted: Wanted) -> Source:
    where = file_label(path)
    table = _table(where, head, wanted)
    whole_lines = head[table.start : head.rfind(b"\n") + 1] or (b"" if table.names else head[table.start :])
    line = head.count(b"\n", 0, table.start) + 1
    try:
        sample = _load(where, whole_lines, table, line)
    except FileError:
        # Whether bad lines end the reading is asked when they are read; the others say what the columns mean.
        good, bad = _without_bad_lines(whole_lines, table)
        if bad > LIKELY_BAD * len(whole_lines.split(b"\n")):
            raise
        sample = _load(where, good, table, line)
    meaning = meaning_of(where, sample, table.names, wanted)
    return Source("csv", 0, table.size, lambda feed: decode(feed, table, meaning), meaning.notes)


def _table(where: str, head: bytes, wanted: Wanted) -> Table:
    """How the text is cut, from its first lines.

    Raises:
        FileError: they have no four columns, or state an impossible size.
        InputError, FileError: as ``places_of``.
    """
    if head.startswith(UTF_16):
        raise FileError(where, "is UTF-16 text", "Save it as UTF-8")
    lines = _first_lines(head, 2)
    if not lines:
        nothing = "holds no event" if len(head) < HEAD_BYTES else f"has no event in its first {HEAD_BYTES} bytes"
        raise FileError(where, nothing, "Record or copy it again")
    if b"\r" in head and b"\n" not in head:
        raise FileError(where, "ends its lines with carriage returns alone", "Convert it, with 'mac2unix'")
    line, begin, end = lines[0]
    geometry = _GEOMETRY.search(head[: begin + 1])
    size = _stated(where, *geometry.groups()) if geometry else None
    two = re.fullmatch(r"(\d{1,5})[\s,;]+(\d{1,5})", line)
    if two and len(lines) > 1:
        size = _stated(where, *two.groups())
        line, begin, end = lines[1]
    separator = _separator(line)
    if separator is None:
        raise FileError(where, f"has no four columns in its line '{line[:60]}'", "Give lines with t, x, y and p")
    fields = [field.strip('"') for field in _split(line, separator)]
    if len(fields) > MOST_COLUMNS:
        raise FileError(where, f"has {len(fields)} columns, at most {MOST_COLUMNS} are read", "Keep t, x, y and p")
    if sum(_is_value(field) for field in fields) * 2 > len(fields):
        names, start = _commented_names(head[:begin], separator, len(fields)), begin
    else:
        names, start = tuple(fields), end
        size = _size_in_names(where, names) or size
    places = places_of(where, names, len(fields), wanted) or {field: i for i, field in enumerate(FIELDS)}
    return Table(separator, len(fields), names, start, size, places)


def _size_in_names(where: str, names: Sequence[str]) -> Size | None:
    """(width, height), where the names of x and y say them."""
    places = find_columns(names)
    x, y = (_SIZE_IN_NAME.search(names[places[side][0]]) if side in places else None for side in "xy")
    return _stated(where, x[1], y[1]) if x and y else None


def _commented_names(head: bytes, separator: str, width: int) -> tuple[str, ...] | None:
    """The names in the last comment before the events, if it names t, x, y and p and as many columns as there are."""
    comments = [line for line in _decoded(head).splitlines() if line.startswith("#")]
    text = comments[-1].lstrip("# ") if comments else ""
    names = tuple(_split(text, separator))
    return names if len(names) == width and one_of_each(names) else None


def _stated(where: str, width: str | bytes, height: str | bytes) -> Size:
    size = known_size(int(width), int(height))
    if size is None:
        raise FileError(where, f"states a sensor of {int(width)}x{int(height)} pixels", "Repair that line")
    return size


READER = Reader("csv", "text with four columns", recognises, _open, EXTENSIONS, frozenset(("columns", "time_unit")))
