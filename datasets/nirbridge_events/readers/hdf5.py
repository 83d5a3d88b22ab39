"""HDF5 event files: the layouts of ``hdf5_layouts``, read block by block.

Compressed files may need filters that HDF5 loads as plugins; those of the package hdf5plugin are used where it is
installed.  Prophesee's tables are compressed with ECF (number 0x8ECF), a plugin of its own.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np

from nirbridge.errors import FileError, InputError, reason_of
from nirbridge_events.events import Events
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.beside import stated_size, time_offset
from nirbridge_events.readers.hdf5_layouts import Place, beside, find_events, known_unit
from nirbridge_events.readers.table import Column, Meaning, columns_of, decode_blocks, meaning_of
from nirbridge_events.readers.wanted import Wanted, choose_camera

MAGIC = b"\x89HDF\r\n\x1a\n"
ROWS, SAMPLE_ROWS = 1 << 16, 1 << 14
LARGEST_CHUNK = 1 << 28
SHD_CHANNELS = 700
ECF = 0x8ECF
# Filters of the package hdf5plugin.
FILTERS = {
    307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ",
    32018: "FciDecomp", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip
_BROKEN = (OSError, KeyError, ValueError, RuntimeError, TypeError, MemoryError)


def decode(feed: Feed, camera: int, meaning: Meaning, offset: int | float, sample: int) -> Iterator[Events]:
    """One pass over the table, block by block.

    Args:
        feed: the file.
        camera: number of the place in ``find_events``.
        meaning: of its columns.
        offset: added to all times, in their unit.
        sample: number of a sample of spikes.

    Raises:
        FileError: a block cannot be read, or a row is no event.
    """
    try:
        with h5py.File(feed.path, "r") as file:
            place = find_events(file).places[camera]
            count = 1 if place.is_spikes else len(place.arrays[0])
            blocks = (_columns(place, start, ROWS, sample) for start in range(0, count, ROWS))
            yield from decode_blocks(feed, meaning, blocks, offset)
    except _BROKEN as error:
        raise _damaged(feed.path, error) from error
    feed.position = feed.path.stat().st_size


def _columns(place: Place, start: int, most: int, sample: int) -> list[Column]:
    """Some rows of all columns; of spikes the whole sample, as t, x, y and p."""
    if place.is_spikes:
        times, units = (np.asarray(data[sample]) for data in place.arrays)
        return [times, units, np.zeros(len(units), np.uint8), np.ones(len(units), np.uint8)]
    blocks = (np.asarray(data[start : start + most]) for data in place.arrays)
    return [column for block in blocks for column in columns_of(block)]


def _open(path: Path, _head: bytes, wanted: Wanted) -> Source:
    where = file_label(path)
    try:
        with h5py.File(path, "r") as file:
            return _source(where, file, wanted)
    except _BROKEN as error:
        raise _damaged(path, error) from error


def _source(where: str, file: h5py.File, wanted: Wanted) -> Source:
    content = find_events(file)
    if not content.places:
        if content.links:
            found = f"has no events of its own; '{content.links[0][:60]}' is a link to another place"
            raise FileError(where, found, "Store the events themselves")
        listed = ", ".join(content.listed[:8]) + (", ..." if len(content.listed) > 8 else "") or "nothing"
        next_step = "Store arrays t, x, y and p in one group; a model goes to --model"
        raise FileError(where, f"is an HDF5 file without known events; it holds {listed[:300]}", next_step)
    cameras = {str(i): place.camera for i, place in enumerate(content.places)}
    number = int(choose_camera(where, cameras, wanted.camera))
    place = content.places[number]
    for data in place.arrays:
        _require_readable(where, data)
    if place.is_spikes:
        _require_sound_lists(where, file, place)
    lengths = sorted({len(data) for data in place.arrays})
    if len(lengths) > 1:
        raise FileError(where, f"the columns in '{place.path[:60]}' have {lengths} values", "Store as many of each")
    sample = _sample(where, place, wanted)
    columns = _columns(place, 0, SAMPLE_ROWS, sample)
    # Spikes are made into t, x, y and p here; arrays that have names have no order.
    names = ("t", "x", "y", "p") if place.is_spikes else place.names
    meaning = meaning_of(where, columns, names, wanted, known_unit(file, place), ordered=len(place.arrays) == 1)
    said = beside(file, place)
    offset, (size, notes) = time_offset(where, said), stated_size(said, wanted.sensor_size)
    notes = (*meaning.notes, *notes)
    if place.is_spikes:
        notes = (*notes, f"sample {sample} of {len(place.arrays[0])} is read; units are x, all of its spikes ON")
    usual = (SHD_CHANNELS, 1) if place.is_spikes else None
    return Source("hdf5", 0, size, lambda feed: decode(feed, number, meaning, offset, sample), notes, usual)


def _sample(where: str, place: Place, wanted: Wanted) -> int:
    if not place.is_spikes:
        if wanted.sample is not None:
            raise InputError(where, "holds one recording, to which --sample does not apply", "Leave --sample away")
        return 0
    count = len(place.arrays[0])
    if wanted.sample is None and count != 1:
        next_step = f"Choose one with --sample 0 to {count - 1} (sample=0)"
        raise InputError(where, f"holds {count} samples of spikes", next_step)
    if (wanted.sample or 0) >= count:
        raise InputError(where, f"has no sample {wanted.sample}; it holds {count}", "Give a smaller number")
    return wanted.sample or 0


def _require_readable(where: str, data: h5py.Dataset) -> None:
    """Refuses what is kept elsewhere, in pieces that are too large or missing, or behind a filter that is not there.

    Raises:
        FileError: the array is one of these.
    """
    if data.is_virtual or data.external:
        raise FileError(where, f"'{data.name}' is kept in another file", "Store the events themselves")
    whole = data.dtype.itemsize * int(np.prod(data.shape, dtype=object))
    if data.chunks:
        _require_filters(where, data)
        if int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > LARGEST_CHUNK:
            found = f"'{data.name}' is stored in pieces of {data.chunks[0]} events, too large to read"
            raise FileError(where, found, "Store it in smaller pieces, with h5repack")
        needed = int(np.prod([-(-n // m) for n, m in zip(data.shape, data.chunks, strict=True)], dtype=object))
        missing = data.id.get_num_chunks() < needed
    else:
        missing = data.id.get_storage_size() < whole
    if missing:
        found = f"'{data.name}' claims {data.shape[0]} rows, of which not all were written"
        raise FileError(where, found, "Copy or record it again")


def _require_sound_lists(where: str, file: h5py.File, place: Place) -> None:
    """Of lists of different lengths: where damage changed their type HDF5 crashes, in a damaged heap it reads for ever.

    Raises:
        FileError: one of these is damaged.
    """
    from nirbridge.ir.heaps import longest_text  # loads nir, which no other recording needs

    for data in place.arrays:
        if data.id.get_type().encode()[_KIND_OF_LISTS] & 0xF:
            raise FileError(where, f"is damaged (the type of '{data.name[:60]}')", "Copy or record it again")
    with Path(file.filename).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        longest_text(content, where)


_KIND_OF_LISTS = 3
"""Byte of an encoded type of lists whose lower half is 0 for sequences, 1 for texts, and else nothing that HDF5 knows;
the message's number, the encoding's version, and class and version of the type precede it (HDF5 file format
specification, section IV.A.2.d)."""


def _require_filters(where: str, data: h5py.Dataset) -> None:
    plist = data.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        code, name = plist.get_filter(i)[0], plist.get_filter(i)[3].decode("latin-1")
        if h5py.h5z.filter_avail(code) or (_load_plugins() and h5py.h5z.filter_avail(code)):
            continue
        what = "Prophesee's ECF codec" if code == ECF else FILTERS.get(code, name[:40] or "an unknown filter")
        found = f"its events are compressed with {what} (HDF5 filter {code}), which is not installed here"
        plugin = "hdf5_ecf of OpenEB" if code == ECF else "that HDF5 plugin"
        next_step = f"Install {plugin} and set HDF5_PLUGIN_PATH, or convert the file to EVT 3.0 or .dat"
        raise FileError(where, found, "Install it with: pip install hdf5plugin" if code in FILTERS else next_step)


def _load_plugins() -> bool:
    """Whether the package hdf5plugin is there; importing it registers its filters."""
    try:
        import_module("hdf5plugin")
    except ImportError:
        return False
    return True


def _damaged(path: Path, error: BaseException) -> FileError:
    found = f"is an HDF5 file that cannot be read ({reason_of(error)})"
    return FileError(file_label(path), found, "Give a whole recording; a model goes to --model")


READER = Reader(
    "hdf5", "an HDF5 file with events", lambda _path, head: head.startswith(MAGIC), _open, (".hdf5", ".h5"),
    frozenset(("columns", "time_unit", "camera", "sample")),
)  # fmt: skip
