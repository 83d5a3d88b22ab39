"""Output files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nirbridge.errors import FileError


def require_target(path: str | os.PathLike[str]) -> Path:
    """``path`` as a place where a file can be put, which commands ask before they work for minutes.

    Raises:
        FileError: its folder does not exist, or it is a folder itself.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileError(f"file '{target}'", f"its folder '{target.parent}' does not exist", "Create the folder first")
    if target.is_dir():
        raise FileError(f"file '{target}'", "it is a folder", "Give the name of a file")
    return target


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` that takes its place when the block ends well.

    When the block raises, the temporary file is removed and an existing ``path`` stays as it was.  The suffix is
    kept, because writers such as ``numpy.save`` choose by it.

    Raises:
        FileError: the folder does not exist or cannot be written.
    """
    target = require_target(path)
    temporary = target.parent / f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}{target.suffix}"
    try:
        try:
            yield temporary
            temporary.replace(target)
        except OSError as error:
            if error.filename is not None and Path(error.filename) != temporary:
                raise
            reason = error.strerror or str(error)
            raise FileError(f"file '{target}'", f"cannot be written ({reason})", "Choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)
