"""A file of lines that grows while a stream runs."""

from __future__ import annotations

import os
import stat

from nirbridge.errors import FileError
from nirbridge.files import require_target
from nirbridge_events.sinks.base import Sink


class LineLog(Sink):
    """Lines in a file, each there as soon as it was put, so that whatever ends the program leaves whole lines.

    Unlike other outputs it does not appear whole at the end: a stream may have none.  A file that exists is replaced
    when the log is opened.  Where a line cannot be written, as on a full disk, what is there of it is removed.  A FIFO
    or a device is written as it is; opening a FIFO waits for its reader.

    Args:
        path: of the file.

    Raises:
        FileError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        target = require_target(path)
        self.name = f"file '{target}'"
        try:
            self._file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)
        self._open = True
        self._size = 0

    def put(self, line: str) -> None:
        """See ``Sink.put``."""
        data = memoryview(f"{line}\n".encode())
        left = data
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._regular:
                os.ftruncate(self._file, self._size)
            raise self._unwritable(error) from error
        self._size += len(data)

    def close(self) -> None:
        """See ``Sink.close``."""
        if self._open:
            self._open = False
            os.close(self._file)

    def notes(self) -> list[str]:
        """See ``Sink.notes``; a file loses nothing without an error."""
        return []

    def _unwritable(self, error: OSError) -> FileError:
        return FileError(self.name, f"cannot be written ({error.strerror or error})", "Choose another place")
