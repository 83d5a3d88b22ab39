"""HDF5 event files: Prophesee's table ``CD/events`` (x, y, p, t), or a group ``events`` with the arrays x, y, t, p.

Prophesee compresses its tables with ECF, a filter that HDF5 loads as a plugin (number 0x8ECF).  Without the plugin
such a file cannot be decoded, and the message says so.

Source: Prophesee, HDF5 event file format; the second layout is DSEC's, whose ``t_offset`` is added to the times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.columns import find_columns, table_events

MAGIC = b"\x89HDF\r\n\x1a\n"
ROWS = 1 << 16
LARGEST_CHUNK = 1 << 28
FILTERS = {0x8ECF: "Prophesee's ECF codec", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32015: "Zstandard"}
_BROKEN = (OSError, KeyError, ValueError, RuntimeError, TypeError, MemoryError)


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the table, block by block.

    Raises:
        FileError: a block cannot be read.
    """
    try:
        with h5py.File(feed.path, "r") as file:
            columns, offset = _columns(feed.path, file)
            rows = len(next(iter(columns.values()))[0])
            for start in range(0, rows, ROWS):
                block = {name: _part(data, field, start) for name, (data, field) in columns.items()}
                feed.position += sum(values.nbytes for values in block.values())
                if offset:
                    block["t"] = block["t"].astype(np.int64) + offset
                yield table_events(feed.path, block, start)
    except _BROKEN as error:
        raise _damaged(feed.path, error) from error
    feed.position = feed.path.stat().st_size


def _part(data: h5py.Dataset, field: str, start: int) -> npt.NDArray[Any]:
    rows = slice(start, start + ROWS)
    return np.asarray(data.fields(field)[rows] if field else data[rows])


def _columns(path: Path, file: h5py.File) -> tuple[dict[str, tuple[h5py.Dataset, str]], int]:
    """For each of t, x, y, p its dataset, and its field there; and what is to be added to the times."""
    _refuse_links(path, file)
    table = file.get("CD/events")
    if isinstance(table, h5py.Dataset) and table.dtype.names:
        names = find_columns(table.dtype.names)
        found = {name: (table, table.dtype.names[i]) for name, i in names.items()}
        offset = 0
    else:
        group = file.get("events")
        names = find_columns(list(group)) if isinstance(group, h5py.Group) else {}
        found = {name: (group[list(group)[i]], "") for name, i in names.items()}
        offset = int(file["t_offset"][()]) if "t_offset" in file else 0
    if set(found) != set("txyp"):
        raise FileError(
            file_label(path),
            "is an HDF5 file without events: neither 'CD/events' nor 'events/x', 'y', 't', 'p'",
            "Give a recording; a model goes to --model",
        )
    for data, _ in found.values():
        _check(path, data)
    return found, offset


def _refuse_links(path: Path, file: h5py.File) -> None:
    """Events that are kept in another file are not followed there: files come from strangers."""
    for name in ("CD", "CD/events", "events", *(f"events/{each}" for each in file.get("events", ()))):
        if name in file and not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise FileError(file_label(path), f"'{name}' is a link to another place", "Store the events themselves")


def _check(path: Path, data: Any) -> None:
    where = file_label(path)
    if not isinstance(data, h5py.Dataset) or data.ndim != 1 or data.is_virtual or data.external:
        raise FileError(where, "its events are no plain one-dimensional table", "Export it again")
    if data.chunks and data.chunks[0] * data.dtype.itemsize > LARGEST_CHUNK:
        found = f"'{data.name}' is stored in pieces of {data.chunks[0]} events, too large to read"
        raise FileError(where, found, "Store it in smaller pieces, with h5repack")
    plist = data.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        code, name = plist.get_filter(i)[0], plist.get_filter(i)[3].decode("latin-1")
        if not h5py.h5z.filter_avail(code):
            what = FILTERS.get(code, name or "an unknown filter")
            found = f"its events are compressed with {what} (HDF5 filter {code}), which is not installed here"
            next_step = "Install that HDF5 plugin and set HDF5_PLUGIN_PATH, or convert the file to EVT 3.0 or .dat"
            raise FileError(where, found, next_step)


def _damaged(path: Path, error: BaseException) -> FileError:
    found = f"is an HDF5 file that cannot be read ({error})"
    return FileError(file_label(path), found, "Give a whole recording; a model goes to --model")


def _geometry(file: h5py.File) -> Size | None:
    text = file.attrs.get("geometry", b"")
    text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        return None
    size = int(width[:9]), int(height[:9])
    return size if 0 < size[0] <= 65536 and 0 < size[1] <= 65536 else None


def _open(path: Path, _head: bytes, _given: Size | None) -> Source:
    try:
        with h5py.File(path, "r") as file:
            _columns(path, file)
            size = _geometry(file)
    except _BROKEN as error:
        raise _damaged(path, error) from error
    return Source("hdf5", 0, size, size is not None, decode)


READER = Reader(
    "hdf5", "an HDF5 file with CD/events", lambda _path, head: head.startswith(MAGIC), _open, (".hdf5", ".h5")
)
