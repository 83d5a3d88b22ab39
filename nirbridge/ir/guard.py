"""Looks through an HDF5 file before anything of it is loaded: files come from strangers."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np

from nirbridge.errors import FileError, NirbridgeError, reason_of
from nirbridge.ir.heaps import longest_text
from nirbridge.ir.sources import MAX_BYTES, Origin, opened

MAX_OBJECTS = 50_000
MAX_DEPTH = 48
SMALL_BYTES = 2**27
"""Data up to this size are loaded whatever the file's size is."""
MAX_EXPANSION = 64
"""Bytes of data that a byte of file may stand for beyond that: weights do not compress like this, bombs do."""
_BATCH_BYTES = 2**24
_REFERENCE = 16
"""Bytes that stand for a text of any length: its own length (4), its heap's address (8), its number there (4)."""
_FEW = frozenset(
    (
        *("stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "shape", "input_shape"),
        *("input_type", "output_shape", "sensor_size", "type", "opset", "version"),
    )
)
"""Fields of a node that hold a few numbers, or one text."""
_FEW_VALUES = 64


SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def guarded(origin: Origin) -> Iterator[h5py.File]:
    """Opens an HDF5 file after a look through it; an error of h5py inside of the block says that it is damaged.

    Raises:
        FileError: it is missing, no HDF5, damaged, or breaks one of the limits of this module.
    """
    where = origin.where
    with opened(origin, SIGNATURE) as data:
        try:
            mapped = isinstance(data, mmap.mmap) and origin.path is not None
            with h5py.File(origin.path if mapped else h5py.h5f.open_file_image(data), "r") as file:
                guard(file, where, data)
                yield file
        except NirbridgeError:
            raise
        except Exception as error:  # h5py raises a dozen types on damaged files, the name of the file is what matters
            raise FileError(where, f"is damaged ({reason_of(error)})", "Export or copy it again") from error


def guard(file: h5py.File, where: str, data: bytes | mmap.mmap) -> None:
    """Refuses links out of the file, data kept elsewhere, and declared sizes that would exhaust memory.

    Args:
        file: the opened file.
        where: how messages name it.
        data: its bytes.

    Raises:
        FileError: the file breaks one of the limits of this module.
    """
    budget = _Budget(where, data)
    root = file["/"].id
    _require_no_lists(where, "/", root)
    pending = [(root, "", 0)]
    while pending:  # by identifiers: opening everything as objects of h5py takes longer than to read it
        group, path, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise FileError(where, f"groups are nested deeper than {MAX_DEPTH}", "This is no NIR graph")
        for name in group:
            inside = f"{path}/{name.decode('utf8', 'surrogateescape')}"
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise FileError(where, f"{inside} is a link to another place", "Store the data itself")
            item = h5py.h5o.open(group, name)
            _require_no_lists(where, inside, item)
            budget.add(item, inside)
            if isinstance(item, h5py.h5g.GroupID):
                pending.append((item, inside, depth + 1))


def _require_no_lists(where: str, name: str, item: h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID) -> None:
    """Nothing of NIR holds lists of different lengths, and where damage made them of a text HDF5 crashes on reading."""
    attributes = (h5py.h5a.open(item, index=i) for i in range(h5py.h5a.get_num_attrs(item)))
    for held in (*((item,) if isinstance(item, h5py.h5d.DatasetID) else ()), *attributes):
        if held.get_type().detect_class(h5py.h5t.VLEN):
            raise FileError(where, f"{name} holds lists of different lengths", "Export or copy it again")


class _Budget:
    """Counts what a file declares to hold."""

    def __init__(self, where: str, data: bytes | mmap.mmap) -> None:
        self.where = where
        self.data = data
        self.longest_text = longest_text(data, where)
        self.limit = min(MAX_BYTES, max(SMALL_BYTES, MAX_EXPANSION * len(data)))
        self.addresses: set[int] = set()
        self.bytes = 0

    def add(self, item: h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID, name: str) -> None:
        """Counts one object of the file."""
        address = h5py.h5o.get_info(item).addr
        if address in self.addresses:
            raise FileError(self.where, f"{name} is stored under several names", "Store the data itself")
        self.addresses.add(address)
        if len(self.addresses) > MAX_OBJECTS:
            raise FileError(self.where, f"more than {MAX_OBJECTS} objects", "This is no NIR graph")
        if not isinstance(item, h5py.h5d.DatasetID):
            return
        made, space, dtype = item.get_create_plist(), item.get_space(), item.dtype
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise FileError(self.where, f"{name} keeps its data in another file", "Store the data itself")
        empty = space.get_simple_extent_type() == h5py.h5s.NULL
        values = 0 if empty else math.prod(space.get_simple_extent_dims())
        if name.rpartition("/")[2] in _FEW and "/metadata/" not in name and values > _FEW_VALUES:
            found = f"{name} holds {values} values, expected up to {_FEW_VALUES}"
            raise FileError(self.where, found, "This is no NIR graph")
        self._count(values * dtype.itemsize, name)
        if h5py.check_string_dtype(dtype) is not None:
            self._count_texts(item, name, values)

    def _count(self, size: int, name: str) -> None:
        self.bytes += size
        if self.bytes > self.limit:
            text = f"declares {self.bytes / 2**20:.0f} MiB of data in {len(self.data)} bytes, up to {name}"
            raise FileError(self.where, text, "If it is a graph of yours, write it without compression")

    def _count_texts(self, found: h5py.h5d.DatasetID, name: str, entries: int) -> None:
        """Texts of any length: many entries can share one text, so what they come to is seen only by reading them."""
        place = found.get_offset()  # none where they lie in pieces, or in the head
        if place is not None and h5py.check_string_dtype(found.dtype).length is None:
            stated = np.frombuffer(self.data[place : place + _REFERENCE * entries], "<u4")[:: _REFERENCE // 4]
            if stated.max(initial=0) > self.longest_text:  # memory for it is taken before it is looked for
                raise FileError(self.where, f"is damaged (a text of {name})", "Export or copy it again")
        if entries * self.longest_text <= self.limit:
            return  # even if each were the longest
        item = h5py.Dataset(found)
        if item.ndim == 0:
            return
        rows = max(1, int(_BATCH_BYTES // max(1, self.longest_text * (entries // len(item) or 1))))
        for start in range(0, len(item), rows):
            texts = np.asarray(item[start : start + rows], dtype=object).ravel()
            self._count(sum(len(text) for text in texts if isinstance(text, (bytes, str))), name)
