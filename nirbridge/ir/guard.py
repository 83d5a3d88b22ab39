"""Looks through an HDF5 file before anything of it is loaded: files come from strangers."""

from __future__ import annotations

import h5py

from nirbridge.errors import FileError

MAX_BYTES = 4 * 2**30
MAX_OBJECTS = 200_000
MAX_DEPTH = 32


def guard(file: h5py.File, where: str) -> None:
    """Refuses links out of the file, data kept elsewhere, and declared sizes that would exhaust memory.

    Raises:
        FileError: the file breaks one of the limits of this module.
    """
    budget = _Budget(where)
    pending: list[tuple[h5py.Group, int]] = [(file, 0)]
    while pending:
        group, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise FileError(where, f"groups are nested deeper than {MAX_DEPTH}", "This is no NIR graph")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FileError(where, f"{group.name}/{name} is a link to another place", "Store the data itself")
            item = group[name]
            budget.add(item)
            if isinstance(item, h5py.Group):
                pending.append((item, depth + 1))


class _Budget:
    """Counts what a file declares to hold."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.objects = 0
        self.bytes = 0

    def add(self, item: h5py.HLObject) -> None:
        """Counts one object of the file."""
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise FileError(self.where, f"more than {MAX_OBJECTS} objects", "This is no NIR graph")
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_virtual or item.external:
            raise FileError(self.where, f"{item.name} keeps its data in another file", "Store the data itself")
        self.bytes += int(item.nbytes)
        if self.bytes > MAX_BYTES:
            raise FileError(self.where, f"declares more than {MAX_BYTES // 2**30} GiB of data", "This is no NIR graph")
