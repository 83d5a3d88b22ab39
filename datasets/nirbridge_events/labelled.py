"""Labelled recordings on disk: a folder a class, a folder with ``labels.csv``, and the sets that tonic lays out."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.errors import FileError, InputError, brief
from nirbridge.reports import counted
from nirbridge_events.events import Size
from nirbridge_events.frame_cache import FileSample
from nirbridge_events.readers import claimed_formats, rosbag, tonic_sets

LABELS = "labels.csv"
TRAIN_SHARE = 0.9
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Folders that hold a part of a data set, not a class."""


@dataclass(frozen=True)
class Labelled:
    """Samples and what their labels mean.

    Attributes:
        samples: the recordings.
        classes: names; a label is a place in it.
        sensor_size: (width, height) of all recordings, or None where each one says its own.
        notes: what lies there too and is no sample.
    """

    samples: tuple[FileSample, ...]
    classes: tuple[str, ...]
    sensor_size: Size | None = None
    notes: tuple[str, ...] = ()

    def split(self, train: bool, share: float = TRAIN_SHARE) -> Labelled:
        """The first ``share`` of every class, or the rest; the order is that of the samples.

        Raises:
            InputError: the share is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise InputError("share", f"{share} is not between 0 and 1", "Give for instance 0.9")
        labels = np.array([sample.label for sample in self.samples])
        taken = []
        for label in np.unique(labels):
            places = np.flatnonzero(labels == label)
            limit = round(len(places) * share)
            taken += (places[:limit] if train else places[limit:]).tolist()
        return replace(self, samples=tuple(self.samples[place] for place in sorted(taken)))


def folder_per_class(root: str | os.PathLike[str], sensor_size: Size | None = None) -> Labelled:
    """A folder that holds a folder of recordings for each class; names are sorted as people count.

    Hidden files and folders are left out; a folder that is a bag of ROS 2 is a recording.  A link that leads nowhere,
    or to a folder of anything else, is a sample that cannot be read; in place of a class it is refused.
    Recordings beside the folders are no samples, which is noted.

    Raises:
        FileError: there is no such folder, no recording in it, or it holds parts such as "train" and "test".
    """
    place = _folder(root)
    entries = sorted((entry for entry in place.iterdir() if not entry.name.startswith(".")), key=_as_counted)
    classes = [entry for entry in entries if entry.is_dir()]
    for entry in entries:
        if not entry.exists():
            raise FileError(f"folder '{entry}'", "is a link that leads nowhere", "Mend or remove the link")
    samples = tuple(
        FileSample(path, label, sensor_size)
        for label, entry in enumerate(classes)
        for path in sorted(_recordings(entry), key=_as_counted)
    )
    if classes and all(entry.name.lower() in _PARTS for entry in classes):
        names = " and ".join(f"'{entry.name}'" for entry in classes)
        raise FileError(f"folder '{place}'", f"holds {names}, which are parts and no classes", "Give one of them")
    if not samples:
        beside = place.parent / LABELS
        step = f"Give '{place.parent}', where the labels are" if beside.is_file() else "Give one folder for each class"
        raise FileError(f"folder '{place}'", f"holds no folders with recordings, and no {LABELS}", step)
    files = (entry for entry in entries if entry.is_file() and entry.name != LABELS)
    outside = [file.name for file in files if claimed_formats(file)]
    count = counted(len(outside), "file")
    notes = (f"folder '{place}': {count} beside the folders of the classes left out: {brief(outside)}.",)
    return Labelled(samples, tuple(entry.name for entry in classes), sensor_size, notes if outside else ())


def folder_with_labels(
    root: str | os.PathLike[str], sensor_size: Size | None = None, lacking: bool = False, table: str = LABELS
) -> Labelled:
    """A folder with ``labels.csv``: columns "file" and "label", and perhaps others; files lie anywhere below.

    A file is looked for at its path from the folder, else below it by name.  Labels that are all numbers are sorted
    as such, others by name.

    Args:
        root: the folder.
        sensor_size: (width, height), for recordings that do not say.
        lacking: a file that is nowhere becomes a sample all the same, which cannot be opened.
        table: its name in the folder, where it has another.

    Raises:
        FileError: the table is missing or no table, a column is missing, a file is missing and not ``lacking``, a name
            fits several files, or a file has two labels.
    """
    place = _folder(root)
    rows = _read_table(place / table)
    classes = sorted({label for _, label in rows}, key=_as_counted)
    numbers = {name: number for number, name in enumerate(classes)}
    below: dict[str, list[Path]] = {}
    for path in place.rglob("*"):
        below.setdefault(path.name, []).append(path)
    samples = tuple(
        FileSample(_found(place / table, name, below, lacking), numbers[label], sensor_size) for name, label in rows
    )
    _require_one_label(place / table, samples, classes)
    return Labelled(samples, tuple(classes), sensor_size)


@dataclass(frozen=True)
class TonicSet:
    """A set that tonic fetches and unpacks; its files are read by the readers here.

    Attributes:
        name: tonic's class.
        sensor_size: (width, height).
        has_parts: whether it comes as a training and a test part; else the papers' 9:1 split of each class is made.
        reading: arguments of ``open_recording`` for its files.
    """

    name: str
    sensor_size: Size
    has_parts: bool = True
    reading: dict[str, Any] = field(default_factory=dict)


TONIC_SETS = {
    "nmnist": TonicSet("NMNIST", (34, 34)),
    "dvs_gesture": TonicSet("DVSGesture", (128, 128), reading={"columns": "x,y,p,t", "time_unit": "ms"}),
    "cifar10_dvs": TonicSet("CIFAR10DVS", (128, 128), has_parts=False),
    "ncaltech101": TonicSet("NCALTECH101", (240, 180), has_parts=False),
}


def from_tonic(key: str, root: str | os.PathLike[str], train: bool, download: bool = False) -> Labelled:
    """The recordings of a set of ``TONIC_SETS`` below ``root``, where tonic puts them.

    Raises:
        InputError: tonic is not installed, or the data are not there and ``download`` is False.
    """
    kind = TONIC_SETS[key]
    found = _tonic_data(kind, root, train, download)
    pairs = sorted(
        zip(map(Path, found.data), map(str, found.targets), strict=True), key=lambda pair: _as_counted(pair[0])
    )
    names = _class_names(found, sorted({target for _, target in pairs}, key=_as_counted))
    numbers = {target: number for number, target in enumerate(names)}
    samples = tuple(FileSample(path, numbers[target], kind.sensor_size, kind.reading) for path, target in pairs)
    whole = Labelled(samples, tuple(names.values()), kind.sensor_size)
    return whole if kind.has_parts else whole.split(train)


def _tonic_data(set_: TonicSet, root: str | os.PathLike[str], train: bool, download: bool) -> Any:
    where, place = f"data set '{set_.name}'", os.fspath(root)
    kind = tonic_sets.classes(where)[set_.name]
    if not download:
        kind = tonic_sets.offline(kind, where, place, "Put it there, or pass download=True to fetch it")
    return kind(place, **({"train": train} if set_.has_parts else {}))


def _class_names(found: Any, targets: Sequence[str]) -> dict[str, str]:
    """Target → name, in the order of the labels."""
    listed = getattr(found, "classes", None)
    if isinstance(listed, dict):
        return {str(number): name for name, number in sorted(listed.items(), key=lambda item: int(item[1]))}
    if listed is not None:
        return {str(number): name for number, name in enumerate(listed)}
    return {target: target for target in targets}


def _folder(root: str | os.PathLike[str]) -> Path:
    place = Path(root)
    if not place.is_dir():
        raise FileError(f"folder '{place}'", "does not exist", "Check the path")
    return place


def _read_table(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets put a mark before the first column
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"file '{path}'", f"is no readable table ({error})", "Give columns file,label") from error
    (_, header), *rows = lines or [(0, [])]
    if not rows or any(header.count(name) != 1 for name in ("file", "label")):
        columns = ", ".join(header) if rows else "no row"
        raise FileError(f"file '{path}'", f"has {columns}, not the columns file and label", "Give columns file,label")
    found = []
    for number, row in rows:
        named = dict(zip(header, row, strict=False))
        if not named.get("file") or not named.get("label"):
            raise FileError(f"file '{path}'", f"line {number} lacks a file or a label", "Complete the line")
        if len(row) > len(header):
            what = f"line {number} has {len(row)} cells for {len(header)} columns"
            raise FileError(f"file '{path}'", what, "Put quotes around a cell that holds a comma")
        found.append((named["file"], named["label"]))
    return found


def _require_one_label(table: Path, samples: Sequence[FileSample], classes: Sequence[str]) -> None:
    known: dict[Path, int] = {}
    for sample in samples:
        before = known.setdefault(sample.path, sample.label)
        if before != sample.label:
            found = f"'{sample.path.name}' has two labels, {classes[before]} and {classes[sample.label]}"
            raise FileError(f"file '{table}'", found, "Give it one")


def _found(table: Path, name: str, below: dict[str, list[Path]], lacking: bool) -> Path:
    place = table.parent
    path = place / name
    if path.is_file() or rosbag.is_folder(path):
        return path
    candidates = below.get(Path(name).name, [])
    if not candidates and lacking:
        return path
    if len(candidates) != 1:
        found = f"'{name}' is {'nowhere' if not candidates else f'in {len(candidates)} places'} below '{place}'"
        raise FileError(f"file '{table}'", found, "Give its path from the folder")
    return candidates[0]


def _recordings(folder: Path) -> Iterator[Path]:
    """The files and links anywhere below a folder, and the folders that are bags of ROS 2, but for what is hidden."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_file() or path.is_symlink() or rosbag.is_folder(path):
            yield path
        elif path.is_dir():
            yield from _recordings(path)


def _as_counted(name: str | Path) -> list[tuple[int, int, str]]:
    """A key that puts 2 before 10, and says at its end which of 1 and 01 comes first."""
    text = str(name)
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
    return [*parts, (-1, 0, text)]
