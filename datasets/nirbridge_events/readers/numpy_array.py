"""NumPy files: ``.npy`` and ``.npz`` with a structured array, with four columns, or with the arrays x, y, t and p.

Arrays are read block by block, from the archive too, and never unpickled.  Names of fields and arrays may be those
of ``columns.ALIASES``; an array [N, 2] named ``xy`` holds both.  What nothing names, ``evidence`` concludes.
An archive may hold the size of the sensor and an offset of the times too (``beside``).
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.beside import LARGEST, as_numbers, stated_size, time_offset
from nirbridge_events.readers.columns import find_columns, one_of_each
from nirbridge_events.readers.table import Meaning, columns_of, decode_blocks, meaning_of
from nirbridge_events.readers.wanted import FIELDS, Wanted

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
ROWS = 1 << 16
SAMPLE_ROWS = 1 << 14
MOST_MEMBERS = MOST_COLUMNS = 64
OPTIONS = frozenset(("columns", "time_unit"))
MISSING = "events at the end are missing: the file is cut"
Opener = Callable[[], IO[bytes]]
_BROKEN = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


@dataclass
class _Array:
    """An array in a file: its type, its shape, the open file at its next row, and the rows read so far."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool = False
    read: int = 0

    def rows(self, most: int) -> npt.NDArray[Any]:
        """The next rows, at most ``most``; none at the end of the array, or of a file that ends before it."""
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        wanted = min(most, self.shape[0] - self.read)
        data = self.file.read(wanted * size) if wanted else b""
        count = len(data) // size
        self.read += count
        return np.frombuffer(data, dtype=self.dtype, count=count * size // self.dtype.itemsize).reshape(
            count, *self.shape[1:]
        )


@dataclass
class Table:
    """The arrays that hold the events, side by side, and the names of their columns, None where nothing names them."""

    arrays: list[_Array]
    names: tuple[str, ...] | None

    def columns(self, most: int) -> list[npt.NDArray[Any]]:
        """The next rows of every column, at most ``most``; none where one of them ends."""
        columns = [column for array in self.arrays for column in columns_of(array.rows(most))]
        count = min(len(column) for column in columns)
        return [column[:count] for column in columns]

    def blocks(self) -> Iterator[list[npt.NDArray[Any]]]:
        """All rows that are left, ROWS at a time."""
        while len((columns := self.columns(ROWS))[0]):
            yield columns


def decode(feed: Feed, meaning: Meaning, offset: int | float = 0) -> Iterator[Events]:
    """One pass over the arrays, block by block.

    Raises:
        FileError: an array holds something else than events.
    """
    try:
        with ExitStack() as stack:
            table = open_table(feed.path, stack)
            yield from decode_blocks(feed, meaning, table.blocks(), offset)
            if missing := max(array.shape[0] - array.read for array in table.arrays):
                feed.lost[MISSING] += missing
    except _BROKEN as error:
        raise _damaged(feed.path, error) from error
    feed.position = feed.path.stat().st_size


def open_table(path: Path, stack: ExitStack) -> Table:
    """The table of events of a file.

    Raises:
        FileError: the file is damaged, or holds no such table.
    """
    file = stack.enter_context(path.open("rb"))
    magic = file.read(len(ZIP_MAGIC))
    if magic != ZIP_MAGIC:
        return _table(path, lambda: stack.enter_context(path.open("rb")))
    archive = stack.enter_context(zipfile.ZipFile(file))
    names = [name for name in archive.namelist() if name.endswith(".npy")]

    def opener(name: str) -> Opener:
        return lambda: stack.enter_context(archive.open(name))

    labels = [name[:-4] for name in names]
    found = {field: [labels[i] for i in places] for field, places in find_columns(labels).items()}
    pairs = [label for label in labels if label.lower().split("_")[-1] == "xy"]
    if one_of_each(labels):
        members = tuple(found[field][0] for field in FIELDS)
        return _side_by_side(path, [_open_array(path, opener(f"{member}.npy")) for member in members], members)
    if set(found) == set("tp") and len(found["t"]) == len(found["p"]) == len(pairs) == 1:
        (t,), (p,) = found["t"], found["p"]
        arrays = [_open_array(path, opener(f"{member}.npy")) for member in (t, pairs[0], p)]
        if [array.shape[1:] for array in arrays] == [(), (2,), ()]:
            return _side_by_side(path, arrays, (t, "x", "y", p))
    return _table(path, opener(_only_member(path, names, opener)))


def _side_by_side(path: Path, arrays: list[_Array], names: tuple[str, ...]) -> Table:
    lengths = sorted({array.shape[0] for array in arrays})
    if len(lengths) > 1:
        raise FileError(file_label(path), f"columns have {lengths} values", "Give all of them the same length")
    return Table(arrays, names)


def _only_member(path: Path, names: list[str], opener: Callable[[str], Opener]) -> str:
    """The array of an archive that holds the events: the only one, or the only one that names its columns or itself."""
    if len(names) == 1:
        return names[0]
    structured = [name for name in names[:MOST_MEMBERS] if set(_fields(path, opener(name))) == set(FIELDS)]
    chosen = structured or [name for name in names if name[:-4].lower() in ("events", "event", "ev")]
    if len(chosen) != 1:
        listed = ", ".join(name[:-4] for name in names[:8]) or "nothing"
        found = f"holds {listed} instead of the arrays x, y, t and p, or one structured array"
        raise FileError(file_label(path), found, "Save it with numpy.savez(path, x=x, y=y, t=t, p=p)")
    return chosen[0]


def _fields(path: Path, opener: Opener) -> Collection[str]:
    try:
        return find_columns(_open_array(path, opener).dtype.names or ())
    except FileError:
        return ()


def _table(path: Path, opener: Opener) -> Table:
    """The columns of one array; where they are stored one after the other, each is read from its own place."""
    array = _open_array(path, opener)
    if array.dtype.names:
        return Table([array], array.dtype.names)
    turned = len(array.shape) == 2 and array.shape[0] == len(FIELDS) != array.shape[1]
    if turned or len(array.shape) != 2 or not len(FIELDS) <= array.shape[1] <= MOST_COLUMNS:
        found = f"holds an array {array.shape} of {array.dtype} instead of rows with x, y, t and p"
        next_step = "Save its transpose" if turned else "Save a structured array with these four fields"
        raise FileError(file_label(path), found, next_step)
    if array.fortran:
        rows, width = array.shape
        columns = [_open_array(path, opener) for _ in range(width)]
        for i, column in enumerate(columns):
            column.file.seek(column.file.tell() + i * rows * column.dtype.itemsize)
            column.shape = (rows,)
        return Table(columns, None)
    return Table([array], None)


def _open_array(path: Path, opener: Opener) -> _Array:
    where, file = file_label(path), opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
    except Exception as error:
        # The header is a Python literal: a damaged one may raise whatever Python's own parsers and NumPy's types do.
        raise _damaged(path, error) from error
    if dtype.hasobject:
        raise FileError(where, "holds Python objects, which are not loaded", "Save a plain array of numbers")
    if dtype.itemsize == 0 or not shape or any(n < 0 for n in shape) or len(shape) > 2:
        raise FileError(where, f"holds an array {shape} of {dtype}", "Save an array of one event a row")
    return _Array(file, dtype, tuple(int(n) for n in shape), fortran and len(shape) > 1)


def _damaged(path: Path, error: BaseException) -> FileError:
    reason = str(error).split("\n")[0][:120] or type(error).__name__
    return FileError(file_label(path), f"is a damaged NumPy file ({reason})", "Copy it or save it again")


def _open(path: Path, head: bytes, wanted: Wanted) -> Source:
    where = file_label(path)
    name = "npz" if head.startswith(ZIP_MAGIC) else "npy"
    said = [partial(_numbers, path)] if name == "npz" else []
    try:
        offset, (size, notes) = time_offset(where, said), stated_size(said, wanted.sensor_size)
        with ExitStack() as stack:
            table = open_table(path, stack)
            meaning = meaning_of(
                where,
                table.columns(SAMPLE_ROWS),
                table.names,
                wanted,
                ordered=len(table.arrays) == 1 or not table.names,
            )
    except _BROKEN as error:
        raise _damaged(path, error) from error
    return Source(name, 0, size, lambda feed: decode(feed, meaning, offset), (*meaning.notes, *notes))


def _numbers(path: Path, name: str, count: int) -> list[int | float] | None:
    """See ``beside.Said``, of the small arrays of an archive."""
    with zipfile.ZipFile(path) as archive:
        if (member := f"{name}.npy") not in archive.namelist():
            return None
        with archive.open(member) as file:
            content = io.BytesIO(file.read(LARGEST))
    try:
        return as_numbers(np.lib.format.read_array(content, allow_pickle=False), count)
    except Exception:  # it is larger, holds objects, or has a damaged header: see ``_open_array``
        return []


def _is_zip(path: Path, head: bytes) -> bool:
    return head.startswith(ZIP_MAGIC) and (path.suffix.lower() == ".npz" or b".npy" in head[:128])


READERS = (
    Reader(
        "npy", "first bytes '\\x93NUMPY'", lambda _path, head: head.startswith(NPY_MAGIC), _open, (".npy",), OPTIONS
    ),
    Reader("npz", "a zip archive of .npy arrays", _is_zip, _open, (".npz",), OPTIONS),
)
