"""The file that a platform reads."""

from __future__ import annotations

from io import BytesIO
from os import PathLike

import h5py

from nirbridge.expanding.reach import Reached
from nirbridge.files import whole_file
from nirbridge.ir import write


def write_reached(path: str | PathLike[str], reached: Reached) -> None:
    """Writes the graph; without ``v_reset`` where the platform's version of NIR knows no such field.

    It is 0 in every graph that is made for a platform, which is what a file without it means.
    """
    content = BytesIO()
    write(content, reached.graph)
    if not reached.target.writes_v_reset:
        _drop(content, "v_reset")
    with whole_file(path) as file:
        file.write(content.getbuffer())


def _drop(content: BytesIO, field: str) -> None:
    with h5py.File(content, "r+") as file:
        found: list[str] = []
        file.visit(lambda name: found.append(name) if name.rpartition("/")[2] == field else None)
        for name in found:
            del file[name]
