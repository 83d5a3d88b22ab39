"""Output files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from nirbridge.errors import FileError, InputError

_PART = ".nirbridge-{}.part"
"""Name of the n-th unfinished file of a folder: short, so that a name of 255 bytes can be written, and predictable, so
that what a killed process left is found without reading a folder of 60,000 files."""
_LEFT = 16
"""How many unfinished files of a folder are looked at for dead ones."""
_MOST_LINKS = 40


def require_target(path: str | os.PathLike[str]) -> Path:
    """``path`` as a place where a file can be put, which commands ask before they work for minutes.

    Raises:
        FileError: its folder does not exist or takes no files, it is a folder itself, or it may not be written.
    """
    target = Path(path)
    if "\0" in str(target):  # pathlib takes it for a file that does not exist
        raise FileError(f"file {str(target)!r}", "its name holds a NUL", "Choose another name")
    try:
        real = _followed(target)
        if target.is_dir():
            raise FileError(f"file '{target}'", "it is a folder", "Give the name of a file")
        if not is_stream(target):
            _require_folder(target, real.parent)
        if real.exists() and not os.access(real, os.W_OK):
            raise unwritable(target, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    except OSError as error:  # a name that is too long, a loop of links
        raise unwritable(target, error) from error
    return target


def require_suffix(path: str | os.PathLike[str], *known: str) -> None:
    """Refuses a file whose name ends with none of these suffixes; pipes and devices have no such names.

    Raises:
        InputError: so.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in known and not is_stream(path):
        expected = " or ".join(f"'{one}'" for one in known)
        raise InputError(f"file '{path}'", f"ends with '{suffix}', expected {expected}", "Rename the output")


def _require_folder(target: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise FileError(f"file '{target}'", f"its folder '{folder}' does not exist", "Create the folder first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"file '{target}'", f"its folder '{folder}' takes no new files", "Choose another place")


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether what is written to ``path`` goes on to somebody: a FIFO, a device, or an open file as /dev/stdout."""
    real = _followed(Path(path))
    return _descriptor(real) is not None or (real.exists() and not real.is_file() and not real.is_dir())


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is this process's standard output."""
    real = _followed(Path(path))
    if _descriptor(real) is not None:
        return _descriptor(real) == 1
    try:
        return is_stream(path) and os.path.samestat(real.stat(), os.fstat(1))
    except OSError:
        return False


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yields a file, to write and to seek in, whose content takes the place of ``path`` when the block ends well.

    When the block raises, or the disk is full, an existing ``path`` stays as it was.  Links are followed; into a FIFO,
    a device or an open file (/dev/stdout) the content is written at the end of the block.  Until then it is in an
    unnamed file or beside the target, where it is removed whatever ends the block; after SIGKILL, by the next one that
    writes into the folder.  Of several hard links the others keep the old content.

    The file has no ``fileno``: a library that writes past Python's files could not say what went wrong, and HDF5
    crashes the process where the disk is full.  Build such a file in ``io.BytesIO``.

    Raises:
        FileError: the file cannot be written.
        BrokenPipeError: the reader of a FIFO or of standard output went away.
    """
    target = require_target(path)
    real = _followed(target)
    try:
        kept = _Through(real) if is_stream(target) else _Beside(real)
    except OSError as error:
        raise unwritable(target, error) from error
    raw = _Raw(os.dup(kept.descriptor), "w+b")
    try:
        with io.BufferedRandom(raw) as file:
            yield cast(BinaryIO, file)
        try:
            kept.finish()
        except OSError as error:
            raw.failed = raw.failed or error
            raise
    except BrokenPipeError:
        raise
    except Exception as error:
        # The error is the library's own, or that of something else in the block: what counts is what the file said.
        if raw.failed is None:
            raise
        raise unwritable(target, raw.failed) from error
    finally:
        kept.drop()


def write_whole(path: str | os.PathLike[str], content: str | bytes | memoryview) -> None:
    """Writes bytes, or text in UTF-8, as :func:`whole_file` does.

    Raises:
        FileError: the file cannot be written.
        BrokenPipeError: as for :func:`whole_file`.
    """
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


class _Raw(io.FileIO):
    """Remembers why it could not be written: libraries turn that into errors of their own."""

    failed: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        try:
            return super().write(data)
        except OSError as error:
            self.failed = error
            raise

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


class _Beside:
    """An unfinished file in the folder of its target.  The lock that it holds says that its process lives."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part, self.descriptor = _claimed(target.parent)
        with suppress(OSError):  # there is no older file, or the file system has no modes
            os.fchmod(self.descriptor, stat.S_IMODE(target.stat().st_mode))

    def finish(self) -> None:
        self._part.replace(self._target)

    def drop(self) -> None:
        if _is_at(self._part, self.descriptor):
            self._part.unlink(missing_ok=True)
        os.close(self.descriptor)


class _Through:
    """An unnamed file whose content is copied into what cannot be replaced."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115
        self.descriptor = self._spool.fileno()

    def finish(self) -> None:
        known = _descriptor(self._target)
        # An open file is written where it stands: opened anew it would be cut, as by '>> file'.
        opened = os.open(self._target, os.O_WRONLY) if known is None else os.dup(known)
        with open(opened, "wb") as stream:  # noqa: PTH123
            self._spool.seek(0)
            shutil.copyfileobj(self._spool, stream)

    def drop(self) -> None:
        self._spool.close()


def _claimed(folder: Path) -> tuple[Path, int]:
    """A new locked file in ``folder``; what dead processes left there is removed."""
    claimed = None
    for number in itertools.count():
        part = folder / _PART.format(number)
        _remove_dead(part)
        if claimed is None:
            claimed = _created(part)
        elif number >= _LEFT:
            break
    assert claimed is not None, "numbers do not end"
    return claimed


def _created(part: Path) -> tuple[Path, int] | None:
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return None
    # Before it is locked another process may take the file for a dead one's: it holds the lock then, or has removed it.
    if lock(descriptor) is not False and _is_at(part, descriptor):
        return part, descriptor
    os.close(descriptor)
    return None


def _remove_dead(part: Path) -> None:
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # there is none, or it is another user's
        return
    try:
        if lock(descriptor) and _is_at(part, descriptor):
            with suppress(OSError):
                part.unlink()
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool | None:
    """Takes the lock of an open file, and says whether it could: False where another process has it.

    None stands for a file system without locks, so that nothing there counts as dead.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _followed(path: Path) -> Path:
    """What links lead to; the name of an open file is kept, because what it leads to may have no name."""
    for _ in range(_MOST_LINKS):
        if _descriptor(path) is not None or not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _descriptor(path: Path) -> int | None:
    """The number of an open file of this process, as 1 for /dev/fd/1."""
    number = path.name.isdecimal() and os.path.realpath(path.parent) == f"/proc/{os.getpid()}/fd"
    return int(path.name) if number else None


def unwritable(target: Path, error: OSError) -> FileError:
    """The error of an output file."""
    reason = error.strerror or str(error)
    return FileError(f"file '{target}'", f"cannot be written ({reason})", "Choose another place")
