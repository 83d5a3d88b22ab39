"""NumPy files: ``.npy`` and ``.npz`` with a structured array, with four columns, or with the arrays x, y, t and p.

Arrays are read block by block, from the archive too, and never unpickled.  Field and array names may be those of
``columns.ALIASES``.  An array [N, 4] without names is taken as t, x, y, p.
"""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.columns import find_columns, table_events

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
ROWS = 1 << 16
MISSING = "events at the end are missing: the file is cut"
ORDER = ("t", "x", "y", "p")
_BROKEN = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


@dataclass
class _Array:
    """An array in a file: its type, its shape, the open file after the header, and the rows read so far."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: int = 0

    def rows(self) -> npt.NDArray[Any]:
        """The next rows, at most ROWS; none at the end of the array, or of a file that ends before it."""
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        wanted = min(ROWS, self.shape[0] - self.read)
        data = self.file.read(wanted * size) if wanted else b""
        count = len(data) // size
        self.read += count
        return np.frombuffer(data, dtype=self.dtype, count=count * size // self.dtype.itemsize).reshape(
            count, *self.shape[1:]
        )


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the arrays, block by block.

    Raises:
        FileError: an array holds something else than events.
    """
    where = file_label(feed.path)
    try:
        with ExitStack() as stack:
            arrays = open_arrays(feed.path, stack)
            first = 0
            while True:
                blocks = {name: array.rows() for name, array in arrays.items()}
                columns = _columns(where, blocks)
                events = table_events(feed.path, columns, first)
                if not len(events):
                    break
                first += len(events)
                feed.position += sum(block.nbytes for block in blocks.values())
                yield events
            if missing := max(array.shape[0] - array.read for array in arrays.values()):
                feed.lost[MISSING] += missing
    except _BROKEN as error:
        raise _damaged(feed.path, error) from error
    feed.position = feed.path.stat().st_size


def open_arrays(path: Path, stack: ExitStack) -> dict[str, _Array]:
    """The arrays that hold the events, by name; a single array has the name ""."""
    file = stack.enter_context(path.open("rb"))
    magic = file.read(len(ZIP_MAGIC))
    file.seek(0)
    if magic != ZIP_MAGIC:
        return {"": _open_array(path, file)}
    archive = stack.enter_context(zipfile.ZipFile(file))
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    found = find_columns([name[:-4] for name in names])
    if len(found) == len(ORDER):
        chosen = {field: names[i] for field, i in found.items()}
    elif len(names) == 1 or "events.npy" in names:
        chosen = {"": names[0] if len(names) == 1 else "events.npy"}
    else:
        listed = ", ".join(name[:-4] for name in names[:8]) or "nothing"
        found_text = f"holds {listed} instead of the arrays x, y, t and p, or one structured array"
        raise FileError(file_label(path), found_text, "Save it with numpy.savez(path, x=x, y=y, t=t, p=p)")
    return {field: _open_array(path, stack.enter_context(archive.open(name))) for field, name in chosen.items()}


def _open_array(path: Path, file: IO[bytes]) -> _Array:
    where = file_label(path)
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
    if fortran and len(shape) > 1:
        raise FileError(where, "its columns are stored one after the other (Fortran order)", "Save it as .npz columns")
    return _Array(file, dtype, tuple(int(n) for n in shape))


def _columns(where: str, blocks: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    if "" not in blocks:
        return {name: blocks[name] for name in ORDER}
    block = blocks[""]
    if block.dtype.names:
        found = find_columns(block.dtype.names)
        if len(found) == len(ORDER):
            return {name: block[block.dtype.names[i]] for name, i in found.items()}
    elif block.ndim == 2 and block.shape[1] == len(ORDER):
        return {name: block[:, i] for i, name in enumerate(ORDER)}
    what = (
        f"fields {block.dtype.names}" if block.dtype.names else f"an array of {block.dtype} with rows {block.shape[1:]}"
    )
    raise FileError(where, f"holds {what} instead of x, y, t and p", "Save a structured array with these four fields")


def _damaged(path: Path, error: BaseException) -> FileError:
    reason = str(error).split("\n")[0][:120] or type(error).__name__
    return FileError(file_label(path), f"is a damaged NumPy file ({reason})", "Copy it or save it again")


def _open(path: Path, head: bytes, _given: Size | None) -> Source:
    try:
        with ExitStack() as stack:
            arrays = open_arrays(path, stack)
            _columns(
                file_label(path), {name: np.empty((0, *each.shape[1:]), each.dtype) for name, each in arrays.items()}
            )
            plain = "" in arrays and not arrays[""].dtype.names
    except _BROKEN as error:
        raise _damaged(path, error) from error
    notes = ("has no names of columns; they are taken as t, x, y, p",) if plain else ()
    return Source("npz" if head.startswith(ZIP_MAGIC) else "npy", 0, None, False, decode, notes)


def _is_zip(path: Path, head: bytes) -> bool:
    return head.startswith(ZIP_MAGIC) and (path.suffix.lower() == ".npz" or b".npy" in head[:128])


READERS = (
    Reader("npy", "first bytes '\\x93NUMPY'", lambda _path, head: head.startswith(NPY_MAGIC), _open, (".npy",)),
    Reader("npz", "a zip archive of .npy arrays", _is_zip, _open, (".npz",)),
)
