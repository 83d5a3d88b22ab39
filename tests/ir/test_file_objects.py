"""Graphs come from and go to paths of every kind and to objects that read and write bytes."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError
from nirbridge.ir import graphs_equal
from tests.ir.graphs import chain

GRAPH = chain(nir.Linear(np.arange(6.0).reshape(2, 3)), shape=(3,), out=(2,))


class _Path:
    """As ``os.PathLike`` asks, giving bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self.path)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode, _Path])
def test_paths(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    path = kind(tmp_path / "käse.nir")
    nirbridge.write(path, GRAPH)
    assert graphs_equal(nirbridge.read(path), GRAPH)


@pytest.mark.parametrize(
    "make",
    [io.BytesIO, tempfile.TemporaryFile, tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile],
)
def test_objects_that_seek(make: Callable[[], Any]) -> None:
    """As h5py does: whatever the position is, the file begins at 0 and ends with the graph."""
    with make() as file:
        file.write(b"x" * 100_000)
        nirbridge.write(file, GRAPH)
        assert graphs_equal(nirbridge.read(file), GRAPH)
        file.seek(0)
        assert len(file.read()) < 100_000
        file.seek(0)
        assert list(nir.read(io.BytesIO(file.read())).nodes) == ["input", "n0", "output"]


def test_nirs_own_bytes_are_read() -> None:
    file = io.BytesIO()
    nir.write(file, GRAPH)
    assert graphs_equal(nirbridge.read(file), GRAPH)


@pytest.mark.parametrize("buffering", [0, -1])
def test_raw_and_buffered_files(tmp_path: Path, buffering: int) -> None:
    with (tmp_path / "raw.nir").open("wb", buffering=buffering) as file:
        nirbridge.write(file, GRAPH)
    with (tmp_path / "raw.nir").open("rb", buffering=buffering) as file:
        assert graphs_equal(nirbridge.read(file), GRAPH)
    assert graphs_equal(nirbridge.read(tmp_path / "raw.nir"), GRAPH)


def test_objects_that_cannot_seek(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        nirbridge.write(target, GRAPH)
        target.close()
        assert graphs_equal(nirbridge.read(source), GRAPH)
    with gzip.open(tmp_path / "g.nir.gz", "wb") as file:
        nirbridge.write(file, GRAPH)
    with gzip.open(tmp_path / "g.nir.gz", "rb") as file:
        assert graphs_equal(nirbridge.read(file), GRAPH)
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive, archive.open("g.nir", "w") as file:
        nirbridge.write(file, GRAPH)
    with zipfile.ZipFile(tmp_path / "g.zip") as archive, archive.open("g.nir") as file:
        assert graphs_equal(nirbridge.read(file), GRAPH)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system has no /dev/fd")
def test_a_pipe_by_its_path() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as target:
        nirbridge.write(target, GRAPH)
        target.close()
        assert graphs_equal(nirbridge.read(f"/dev/fd/{reading}"), GRAPH)


def _closed() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (io.StringIO, "cannot be written"),
        (_closed, "closed file"),
        (lambda: 5, "no path and no file object"),
        (lambda: None, "no path and no file object"),
        (lambda: "a\0b.nir", "holds a NUL"),
        (lambda: b"a\0b.nir", "holds a NUL"),
        (lambda: io.FileIO("/dev/null", "r"), "cannot be written"),
        (lambda: io.FileIO("/dev/full", "w"), "No space left"),
    ],
)
def test_what_cannot_be_written_to(make: Callable[[], Any], found: str) -> None:
    target = make()
    with pytest.raises(FileError, match=found) as error:
        nirbridge.write(target, GRAPH)
    assert len(str(error.value).splitlines()) == 1
    if hasattr(target, "close"):
        target.close()


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (io.StringIO, "gives str, not bytes"),
        (_closed, "closed file"),
        (io.BytesIO, "is empty"),
        (lambda: io.BytesIO(b"\x89HDF"), "no HDF5"),
        (lambda: io.BytesIO(b"\x89HDF\r\n\x1a\n123"), "damaged"),
        (lambda: 5, "no path and no file object"),
        (lambda: "a\0b.nir", "holds a NUL"),
        (lambda: "/dev/zero", "no HDF5"),
        (lambda: "/dev/null", "is empty"),
    ],
)
def test_what_cannot_be_read(make: Callable[[], Any], found: str) -> None:
    with pytest.raises(FileError, match=found) as error:
        nirbridge.read(make())
    assert len(str(error.value).splitlines()) == 1
