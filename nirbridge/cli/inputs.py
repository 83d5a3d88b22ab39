"""``-i``: the data for a graph, in one file, or one file for each of its inputs by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from nirbridge.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Inputs:
    """The files of a call.

    Attributes:
        files: name of an input → its file; "" where one file holds all that the graph takes.
    """

    files: dict[str, Path]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        return tuple(self.files.values())

    def file_of(self, where: str) -> Path | None:
        """The file that an error about ``where`` is about, as in "input for node 'a' (Input)"."""
        if len(self.files) == 1:
            return self.paths[0]
        return next((path for name, path in self.files.items() if f"'{name}'" in where), None)


def _parsed(_ctx: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Inputs:
    """``X.npy``, or ``a=x.npy`` for each input; a file whose own name has a "=" is taken as it stands."""
    files: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = "", text
        if name in files:
            found = f"is given twice, as '{files[name]}' and '{path}'" if name else "is one of several without a name"
            where = f"input '{name}'" if name else f"file '{path}'"
            raise InputError(where, found, "Give one file, or -i NAME=FILE once for each input")
        files[name] = Path(path)
    if "" in files and len(files) > 1:
        raise InputError(f"file '{files['']}'", "has no name beside files that have one", "Give it as -i NAME=FILE")
    return Inputs(files)


def data_option(required: bool, help_: str) -> Callable[[F], F]:
    """``-i``, which may be given once for each input; without it a command gets no files."""
    return click.option(
        "-i",
        "--input",
        "source",
        multiple=True,
        required=required,
        callback=_parsed,
        metavar="[NAME=]X.npy",
        help=help_,
    )


_DATA = (
    "Data [T, B, *shape], or [T, *shape] of one sample: .npy, .npz with one array or one for each input by name, "
    "or .nird, NIR's data format. Several inputs may have a file each: -i a=x.npy -i b=y.npy."
)
input_option = data_option(True, _DATA)
