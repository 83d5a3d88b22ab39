"""Where a graph is read from and written to: a path, or an object with the methods of a binary file."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nirbridge.errors import FileError, brief
from nirbridge.files import atomic_write

MAX_BYTES = 4 * 2**30
"""Bytes of a file, or that it may stand for when it is unpacked."""
_CHUNK = 2**24


class Origin:
    """A path or a file object, with the words by which messages name it.

    Args:
        given: a path as text, bytes or ``os.PathLike``, or an object with ``read`` or ``write``.
        method: "read" or "write", which an object must have.

    Raises:
        FileError: it is neither, or the path holds a NUL.
    """

    def __init__(self, given: Any, method: str) -> None:
        self.path: Path | None = None
        self.stream: Any = None
        if isinstance(given, (str, bytes, os.PathLike)):
            self.path = Path(os.fsdecode(given))
            self.where = f"file '{self.path}'"
            if "\0" in str(self.path):
                raise FileError(f"file {brief(str(self.path))}", "its name holds a NUL", "Give another name")
        elif hasattr(given, method):
            self.stream = given
            name = getattr(given, "name", None)
            self.where = f"file object '{name}'" if isinstance(name, str) else f"file object ({type(given).__name__})"
        else:
            found = f"{brief(given)} is no path and no file object with '{method}'"
            raise FileError("file", found, "Give a path, or a file opened in binary mode")


@contextmanager
def opened(origin: Origin, signature: bytes) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file that begins with ``signature``; those of a regular file are mapped, not copied.

    A file object is read from its beginning where it can seek, else from where it stands.

    Raises:
        FileError: it is missing, a folder, cannot be read, too long, or begins otherwise.
    """
    if origin.path is None:
        yield _whole(origin.stream, origin.where, signature)
        return
    path, where = origin.path, origin.where
    if not path.exists():
        raise FileError(where, "does not exist", "Check the path")
    if path.is_dir():
        raise FileError(where, "is a folder", "Give the .nir file inside it")
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileError(where, f"cannot be read ({error.strerror})", "Check its permissions") from error
    with file:
        if not path.is_file():  # a pipe has no length
            yield _whole(file, where, signature)
            return
        _require_signature(file.read(len(signature)), where, signature)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def put(origin: Origin, data: bytes) -> None:
    """Writes a whole file: to a path in one step, to a file object from its beginning where it can seek.

    Raises:
        FileError: it cannot be written.
    """
    if origin.path is not None:
        with atomic_write(origin.path) as temporary:
            temporary.write_bytes(data)
        return
    stream = origin.stream
    try:
        if _can_seek(stream):
            stream.seek(0)
        rest = memoryview(data)
        while len(rest):
            written = stream.write(rest)
            rest = rest[written if isinstance(written, int) else len(rest) :]
        if _can_seek(stream) and hasattr(stream, "truncate"):
            with suppress(io.UnsupportedOperation):  # compressed streams end where they are closed
                stream.truncate()
        if hasattr(stream, "flush"):
            stream.flush()
    except (OSError, TypeError, ValueError) as error:
        found = f"cannot be written ({_reason(error)})"
        raise FileError(origin.where, found, "Open it for writing in binary mode") from error


def _whole(stream: Any, where: str, signature: bytes) -> bytes:
    try:
        if _can_seek(stream):
            stream.seek(0)
        parts, size = [stream.read(_CHUNK)], 0
        if not isinstance(parts[0], (bytes, bytearray)):
            raise TypeError(f"it gives {type(parts[0]).__name__}, not bytes")
        if len(parts[0]) >= len(signature):
            _require_signature(bytes(parts[0][: len(signature)]), where, signature)
        while parts[-1]:
            size += len(parts[-1])
            if size > MAX_BYTES:
                raise FileError(where, f"is longer than {MAX_BYTES} bytes", "This is no NIR graph")
            parts.append(stream.read(_CHUNK))
        data = b"".join(parts)
    except (OSError, TypeError, ValueError) as error:
        found = f"cannot be read ({_reason(error)})"
        raise FileError(where, found, "Open it for reading in binary mode") from error
    _require_signature(data[: len(signature)], where, signature)
    return data


def _require_signature(head: bytes, where: str, signature: bytes) -> None:
    if head != signature:
        found = "is empty" if not head else "is no HDF5 file"
        raise FileError(where, found, "NIR files are HDF5 files")


def _can_seek(stream: Any) -> bool:
    """Not every object that can seek says so."""
    try:
        return bool(stream.seekable())
    except AttributeError:
        return hasattr(stream, "seek")


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
