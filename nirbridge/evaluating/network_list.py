"""The networks of a sweep as files: on a command line, or as the rows of a .csv file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nirbridge.errors import FileError, InputError
from nirbridge.files import write_whole

T = TypeVar("T")
SUFFIX = ".csv"
COLUMNS = ("graph", "input", "steps", "label", "group")


@dataclass(frozen=True)
class NetworkFile:
    """One network of a sweep.

    Attributes:
        graph: its file.
        input: its data; ``None``: those of all.
        steps: T for still images; ``None``: as for all.
        label: what tells it from others of its group; empty: its steps.
        group: its family; empty: that of its neurons.
    """

    graph: Path
    input: Path | None = None
    steps: int | None = None
    label: str = ""
    group: str = ""


def listed(graphs: Sequence[Path], inputs: Sequence[Path] = (), steps: Sequence[int] = ()) -> tuple[NetworkFile, ...]:
    """Networks from files, .nir or a .csv of networks, with one of ``inputs`` and of ``steps`` for all or for each.

    What a .csv says of a network comes first.

    Raises:
        FileError: a .csv cannot be read.
        InputError: the numbers of networks, inputs and steps do not fit, or a network has no data.
    """
    found = [row for path in graphs for row in _expanded(path)]
    if not found:
        raise InputError("networks", "there is none", "Give at least one .nir file")
    for option, given in (("--input", inputs), ("--steps", steps)):
        if len(given) not in (0, 1, len(found)):
            what = f"{len(given)} given for {len(found)} networks"
            raise InputError(f"option '{option}'", what, "Give one for all, or one for each in their order")
    made = []
    for index, row in enumerate(found):
        source = row.input or _of(inputs, index)
        if source is None:
            raise InputError(f"file '{row.graph}'", "has no data", "Give -i X.npy, or a column 'input' in the .csv")
        made.append(NetworkFile(row.graph, source, row.steps or _of(steps, index), row.label, row.group))
    return tuple(made)


def read_network_list(path: str | os.PathLike[str]) -> tuple[NetworkFile, ...]:
    """The rows of a .csv file with a column ``graph`` and any of ``input``, ``steps``, ``label``, ``group``.

    Files are looked for from the folder of the .csv on.

    Raises:
        FileError: it cannot be read, or a column or a number of steps is not what it should be.
    """
    where, folder = f"file '{path}'", Path(path).parent
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is not text with commas"
        raise FileError(where, f"cannot be read ({reason})", f"Give a .csv with the columns {_columns()}") from error
    unknown = [name for name in names if name not in COLUMNS]
    twice = len(set(names)) < len(names)  # of which DictReader takes the last
    if "graph" not in names or unknown or twice or any(None in row for row in rows):
        found = f"its columns are {', '.join(map(str, names)) or 'missing'}"
        raise FileError(where, found, f"Name a column 'graph', and others among {_columns()} once, in the first line")
    return tuple(_row(f"{where}, row {number}", folder, row) for number, row in enumerate(rows, 1))


def write_network_list(path: str | os.PathLike[str], networks: Sequence[NetworkFile]) -> None:
    """Writes what :func:`read_network_list` reads; files in or below the folder of ``path`` stay found if it moves.

    Raises:
        FileError: the file cannot be written.
    """
    folder = Path(path).parent
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in networks:
        places = [_relative(place, folder) if place is not None else "" for place in (one.graph, one.input)]
        writer.writerow([*places, one.steps or "", one.label, one.group])
    write_whole(path, text.getvalue())


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The part of each path that tells it from the others: ``a/model.nir`` and ``b/model.nir`` are a and b.

    Where all are one file nothing does, and its own name is left.
    """
    if len(set(paths)) == 1:
        return [paths[0].stem] * len(paths)
    parts = [list(path.with_suffix("").parts) for path in paths]
    for place in (-1, 0):
        while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[place] for p in parts}) == 1:
            for part in parts:
                part.pop(place)
    return ["/".join(part) if len(paths) > 1 else part[-1] for part in parts]


def _expanded(path: Path) -> tuple[NetworkFile, ...]:
    return read_network_list(path) if path.suffix.lower() == SUFFIX else (NetworkFile(path),)


def _of(given: Sequence[T], index: int) -> T | None:
    return None if not given else given[index if len(given) > 1 else 0]


def _columns() -> str:
    return ", ".join(COLUMNS)


def _row(where: str, folder: Path, row: dict[str, str | None]) -> NetworkFile:
    told = {name: (value or "").strip() for name, value in row.items()}
    if not told["graph"]:
        raise FileError(where, "names no graph", "Give its file in the column 'graph'")
    text = told.get("steps", "")
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise FileError(where, f"steps '{text}' is no whole number from 1 on", "Give T, or nothing")
    source = told.get("input", "")
    return NetworkFile(
        folder / told["graph"],
        folder / source if source else None,
        int(text) if text else None,
        told.get("label", ""),
        told.get("group", ""),
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return str(path.resolve())
