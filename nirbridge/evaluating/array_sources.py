"""Where the arrays of a data set are: in memory, or in a file of which only what runs is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.arrays import as_array, read_arrays
from nirbridge.errors import FileError
from nirbridge.runtime import Array

_IN_MEMORY = 2**26
"""Bytes up to which an array of an .npz file is kept in memory; larger ones are unpacked into a temporary file."""
LABELS = ("labels", "label", "y", "targets", "target")
"""Names under which .npz files keep the classes."""
Cut = Callable[[], Array]
"""Gives some samples of an array in the process to which it travels, with the values or with where they are."""


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

    def cut(self, axis: int, first: int, stop: int) -> Cut:
        """The samples ``first`` to ``stop`` - 1 along ``axis``."""
        place = (*(slice(None),) * axis, slice(first, stop))
        if self.path is not None:
            return partial(_read_part, self.path, place)
        return partial(np.asarray, np.ascontiguousarray(self.array[place]))


def given_arrays(data: Any) -> dict[str, ArraySource]:
    """What a caller gave: arrays by name, or one array, whose name is empty."""
    arrays = data if isinstance(data, Mapping) else {"": data}
    return {name: ArraySource(as_array("data", array)) for name, array in arrays.items()}


def source_of(path: Path) -> dict[str, ArraySource]:
    """The arrays of an .npy or .npz file, by name, of which no more is held in memory than runs.

    Raises:
        FileError: it is missing, damaged, of another format, or holds Python objects.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            large = any(member.file_size > _IN_MEMORY for member in archive.infolist())
        return _spilled(path) if large else _in_memory(path)
    try:
        array = mapped(path)
    except (OSError, ValueError, EOFError):  # read_arrays says what is wrong, or reads what cannot be mapped
        return _in_memory(path)
    return {"": ArraySource(array, path.resolve())}


def mapped(path: Path) -> Array:
    """The array of an .npy file, read when it is looked at."""
    found: Array = np.lib.format.open_memmap(path, mode="r")
    return found


def _read_part(path: Path, place: tuple[slice, ...]) -> Array:
    return mapped(path)[place]


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


def _in_memory(path: Path) -> dict[str, ArraySource]:
    found = read_arrays(path, "[N, *shape] or [N, T, *shape]")
    named = found if isinstance(found, dict) else {"": found}
    return {name: ArraySource(array) for name, array in named.items()}


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
                found[member.filename.removesuffix(".npy")] = ArraySource(mapped(place), kept=folder)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(f"file '{path}'", f"cannot be read ({error})", "Save plain numbers with numpy.savez") from error
    return found


class _Folder:
    """A temporary folder that goes with the last array that is mapped from it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="nirbridge-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def identity_of(source: ArraySource) -> tuple[str | int | float, ...]:
    """Of a file its path, size and time; of an array in memory a digest of its values."""
    if source.path is not None:
        state = os.stat(source.path)  # noqa: PTH116
        return str(source.path), state.st_size, state.st_mtime_ns
    digest = hashlib.sha256()
    for row in source.array:
        digest.update(np.ascontiguousarray(row).tobytes())
    return str(source.array.dtype), str(source.array.shape), digest.hexdigest()[:32]
