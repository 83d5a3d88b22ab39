"""Warnings about a file itself."""

from __future__ import annotations

import os

import h5py

from nirbridge.errors import Problem


def find_file_warnings(path: str | os.PathLike[str]) -> list[Problem]:
    """What ``path``, which :func:`nirbridge.read` has read, leaves open: the version of NIR that it was written by."""
    with h5py.File(path, "r") as file:
        if "version" in file:
            return []
    return [
        Problem(
            f"file '{path}'",
            "states no version of NIR, so it is read as 1.x",
            "Write it again with nirbridge.write",
            "version_is_stated",
            "warning",
        )
    ]
