"""Arrays as a data set: in memory, or in a file of which only what runs is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.arrays import read_arrays
from nirbridge.errors import FileError, InputError
from nirbridge.evaluating.layout import Layout, layout_of
from nirbridge.evaluating.samples import Batch
from nirbridge.runtime import Array, Plan

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


@dataclass(frozen=True)
class ArrayPart:
    """See ``samples.Part``."""

    cuts: Mapping[str, ArrayCut]
    layouts: Mapping[str, Layout]
    steps: int
    scale: float

    def load(self) -> Batch:
        """See ``samples.Part``: a sample that holds NaN or infinity is bad."""
        arrays = {name: self._frames(name) for name in self.cuts}
        count = next(iter(arrays.values())).shape[1]
        broken = {name: _broken(array) for name, array in arrays.items()}
        bad = {
            int(place): "holds NaN or infinity" + (f" for '{name}'" if len(arrays) > 1 else "")
            for name, places in broken.items()
            for place in places
        }
        places = np.setdiff1d(np.arange(count), list(bad)) if bad else np.arange(count)
        x = {name: array[:, places] if bad else array for name, array in arrays.items()}
        return Batch(x, places, np.full(len(places), self.steps), self._still, bad)

    @property
    def _still(self) -> bool:
        return all(layout.steps is None for layout in self.layouts.values())

    def _frames(self, name: str) -> Array:
        """[T, B, *shape] of one input."""
        layout, values = self.layouts[name], self.cuts[name].load()
        if self.scale != 1:
            values = values * np.float32(self.scale) if values.dtype.itemsize < 8 else values * self.scale
        if layout.steps is None:
            values = np.ascontiguousarray(values).reshape(len(values), *layout.shape)
            return np.broadcast_to(values, (self.steps, *values.shape))
        values = np.moveaxis(values, layout.axis, 1)
        return np.ascontiguousarray(values).reshape(*values.shape[:2], *layout.shape)


@dataclass(frozen=True)
class ArraySamples:
    """A data set of arrays by input name; see ``samples.Samples``."""

    sources: Mapping[str, ArraySource]
    layouts: Mapping[str, Layout]
    labels: Array | None
    steps: int | None
    notes: tuple[str, ...]
    identity: tuple[str | int | float, ...]
    scale: float = 1.0
    input_kind: str | None = None

    def __len__(self) -> int:
        return next(iter(self.layouts.values())).samples

    def part(self, first: int, stop: int) -> ArrayPart:
        """See ``samples.Samples``."""
        cuts = {name: source.cut(self.layouts[name].axis, first, stop) for name, source in self.sources.items()}
        assert self.steps is not None, "arrays have as many steps for each sample"
        return ArrayPart(cuts, self.layouts, self.steps, self.scale)

    def name(self, number: int) -> str:
        """Samples of an array have no file of their own."""
        return ""

    def noted(self, note: str) -> ArraySamples:
        """The same, with one more thing that a user must know."""
        return replace(self, notes=(note, *self.notes))


def array_samples(
    where: str,
    sources: Mapping[str, ArraySource],
    plan: Plan,
    *,
    still_steps: Any,
    labels: Array | None = None,
    steps: int | None = None,
    order: str | None = None,
    scale: float = 1.0,
) -> ArraySamples:
    """Arrays by input name as a data set.

    Args:
        where: what they are, for messages.
        sources: the arrays; the only one goes to the only input, whatever its name.
        plan: of the graph that takes them.
        still_steps: gives T for still images, or raises.
        labels: [N]; they also tell which axis is N.
        steps: that the caller asked for; frames must have as many.
        order: "nt" or "tn", where the axes do not say.
        scale: a factor on all values.

    Raises:
        InputError: an input has no array, or shapes or dtypes do not fit.
    """
    arrays = dict(zip(plan.inputs, sources.values(), strict=True)) if len(sources) == len(plan.inputs) == 1 else sources
    if set(arrays) != set(plan.inputs):
        found = f"holds {', '.join(sorted(arrays)) or 'no data'}, the graph's inputs are {', '.join(plan.inputs)}"
        raise InputError(where, found, "Give one array for each input, by its name")
    count = None if labels is None else len(labels)
    layouts, notes = {}, []
    for name, source in arrays.items():
        place = where if len(arrays) == 1 else f"{where}, input '{name}'"
        if source.array.dtype.kind not in "fiub":
            raise InputError(place, f"dtype {source.array.dtype}, expected real numbers", "Convert it to float32")
        layouts[name] = layout_of(place, source.array.shape, tuple(plan[name].output_shape), count, order)
        notes += [*layouts[name].notes, *_byte_note(place, source.array, scale)]
    sizes = {(layout.samples, layout.steps) for layout in layouts.values()}
    if len(sizes) > 1:
        differ = ", ".join(sorted(f"{n} samples of {t or 'no'} steps" for n, t in sizes))
        raise InputError(where, f"inputs disagree: {differ}", "Give arrays of equal ones")
    ((_, given),) = sizes
    made = _steps(where, given, steps, plan) if given is not None else still_steps()
    identity = (*(part for source in arrays.values() for part in _identity(source)), made, scale, str(order))
    return ArraySamples(arrays, layouts, labels, made, tuple(notes), identity, scale)


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


def take_labels(arrays: dict[str, ArraySource]) -> tuple[str, Array] | None:
    """Takes the classes out of the arrays of a file, and says under which name they stood."""
    for name in LABELS:
        found = arrays.get(name)
        if found is not None and found.array.ndim == 1 and found.array.dtype.kind in "iu" and len(arrays) > 1:
            del arrays[name]
            return name, np.asarray(found.array)
    return None


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


def _broken(array: Array) -> Array:
    """The samples that hold a number which is not finite."""
    one = array[:1] if array.strides[0] == 0 else array
    if one.dtype.kind != "f" or np.isfinite(one).all():
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(~np.isfinite(one).reshape(len(one), one.shape[1], -1).all(axis=(0, 2)))


def _steps(where: str, given: int, asked: int | None, plan: Plan) -> int:
    if asked is not None and asked != given:
        found = f"holds {given} steps, but {asked} are asked for"
        raise InputError(where, found, f"Give still images, data of {asked} steps, or leave the steps out")
    if given % plan.block:
        found = f"{given} steps are no multiple of the {plan.block} steps of a window"
        raise InputError(where, found, "Give whole windows")
    return given


def _byte_note(where: str, array: Array, scale: float) -> list[str]:
    if array.dtype != np.uint8 or scale != 1 or (len(array) and int(array[: min(len(array), 256)].max()) <= 1):
        return []
    return [f"{where}: bytes are taken as they are, 0 to 255; --scale 1/255 makes 0 to 1 of them."]


def _identity(source: ArraySource) -> tuple[str | int | float, ...]:
    """Of a file its path, size and time; of an array in memory a digest of its values."""
    if source.path is not None:
        state = os.stat(source.path)  # noqa: PTH116
        return str(source.path), state.st_size, state.st_mtime_ns
    digest = hashlib.sha256()
    for row in source.array:
        digest.update(np.ascontiguousarray(row).tobytes())
    return str(source.array.dtype), str(source.array.shape), digest.hexdigest()[:32]
