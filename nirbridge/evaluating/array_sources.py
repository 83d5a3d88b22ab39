"""Where the arrays of a data set are: in memory, or in a file of which only what runs is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nirbridge.arrays import read_arrays
from nirbridge.errors import FileError
from nirbridge.runtime import Array

_IN_MEMORY = 2**26
"""Bytes up to which an array of an .npz file is kept in memory; larger ones are unpacked into a temporary file."""
LABELS = ("labels", "label", "y", "targets", "target")
"""Names under which .npz files keep the classes."""


@dataclass(frozen=True)
class ArraySource:
    """An array, or the .npy file that holds it.

    Attributes:
        array: in memory, or mapped from a file.
        path: the .npy file, which another process maps for itself; None where the values must travel.
        kept: what must not go before the array.
    """

    array: Array
    path: Path | None = None
    kept: object = None

    def cut(self, axis: int, first: int, stop: int) -> ArrayCut:
        """Some samples, ready to travel."""
        if self.path is not None:
            return ArrayCut(axis, first, stop, path=self.path)
        values = np.ascontiguousarray(self.array[_along(axis, first, stop)])
        return ArrayCut(axis, 0, stop - first, values=values)


@dataclass(frozen=True)
class ArrayCut:
    """Some samples of an array: the values, or where they are."""

    axis: int
    first: int
    stop: int
    values: Array | None = None
    path: Path | None = None

    def load(self) -> Array:
        """The values."""
        found = self.values
        if found is None:
            assert self.path is not None, "a cut has values or a path"
            found = mapped(self.path)
        return found[_along(self.axis, self.first, self.stop)]


def source_of(path: Path) -> dict[str, ArraySource]:
    """The arrays of an .npy or .npz file, by name, of which no more is held in memory than runs.

    Raises:
        FileError: it is missing, damaged, of another format, or holds Python objects.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        return _unpacked(path)
    try:
        array = mapped(path)
    except (OSError, ValueError, EOFError):  # read_arrays says what is wrong, or reads what cannot be mapped
        found = read_arrays(path, "[N, *shape] or [N, T, *shape]")
        return (
            {"": ArraySource(found)} if isinstance(found, np.ndarray) else {k: ArraySource(v) for k, v in found.items()}
        )
    return {"": ArraySource(array, path.resolve())}


def mapped(path: Path) -> Array:
    """The array of an .npy file, read when it is looked at."""
    found: Array = np.lib.format.open_memmap(path, mode="r")
    return found


def take_labels(arrays: dict[str, ArraySource], inputs: Sequence[str] = ()) -> tuple[str, Array] | None:
    """Takes the classes out of the arrays of a file, and says under which name they stood.

    Of several such names that of whole numbers [N] is taken; labels of another kind are for ``require_labels`` to
    refuse.  What has the name of one of the graph's ``inputs`` is data.
    """
    named = [name for name in LABELS if name in arrays and name not in inputs]
    if not named or len(arrays) < 2:
        return None
    name = next((name for name in named if _classes(arrays[name].array)), named[0])
    return name, np.asarray(arrays.pop(name).array)


def _classes(array: Array) -> bool:
    return array.ndim == 1 and array.dtype.kind in "iu"


def _unpacked(path: Path) -> dict[str, ArraySource]:
    with zipfile.ZipFile(path) as archive:
        large = [member for member in archive.infolist() if member.file_size > _IN_MEMORY]
    if not large:
        found = read_arrays(path, "[N, *shape] or [N, T, *shape]")
        single = {"": found} if isinstance(found, np.ndarray) else found
        return {name: ArraySource(array) for name, array in single.items()}
    return {name.removesuffix(".npy"): source for name, source in _spilled(path).items()}


def _spilled(path: Path) -> dict[str, ArraySource]:
    """Each array in a temporary file of its own, which is mapped and goes with the data set."""
    folder = _Folder()
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                place = folder.path / f"{number}.npy"
                with archive.open(member) as packed, place.open("wb") as file:
                    while piece := packed.read(2**22):
                        file.write(piece)
                found[member.filename] = ArraySource(mapped(place), kept=folder)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(f"file '{path}'", f"cannot be read ({error})", "Save plain numbers with numpy.savez") from error
    return found


class _Folder:
    """A temporary folder that goes with the last array that is mapped from it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="nirbridge-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _along(axis: int, first: int, stop: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(first, stop))


def identity_of(source: ArraySource) -> tuple[str | int | float, ...]:
    """Of a file its path, size and time; of an array in memory a digest of its values."""
    if source.path is not None:
        state = os.stat(source.path)  # noqa: PTH116
        return str(source.path), state.st_size, state.st_mtime_ns
    digest = hashlib.sha256()
    for row in source.array:
        digest.update(np.ascontiguousarray(row).tobytes())
    return str(source.array.dtype), str(source.array.shape), digest.hexdigest()[:32]
