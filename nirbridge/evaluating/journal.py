"""The finished pieces of an evaluation in a file, so that an interrupted one goes on where it was."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from nirbridge.errors import FileError, InputError
from nirbridge.evaluating.work import Judged, from_plain, to_plain
from nirbridge.files import lock, unwritable

SUFFIX = ".partial"
"""Behind the name of the output file."""
_KIND, _VERSION = "nirbridge evaluation", 3


class Journal:
    """The finished pieces, in order: in memory, and in a file if there is one.

    The file has a line for each, behind a first line that says of what; it is removed when all are done.

    Attributes:
        path: of the file; None where there is none.
        done: the pieces, those that earlier runs finished first.
        samples: how many are in them.
    """

    def __init__(self, path: Path | None = None, file: TextIO | None = None, done: Sequence[Judged] = ()) -> None:
        self.path, self.done, self.samples = path, list(done), sum(map(len, done))
        self._file = file

    def add(self, judged: Judged) -> None:
        """Keeps a piece; with a file it outlives this process from here on."""
        if self.path is not None and self._file is not None:
            piece = to_plain(judged)
            _write(self._file, {"piece": piece, "check": _check(piece, len(self.done))}, self.path)
        self.done.append(judged)
        self.samples += len(judged)

    def remove(self) -> None:
        """All is done and written elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@contextmanager
def open_journal(output: Path, of: dict[str, Any], restart: bool) -> Iterator[Journal]:
    """The journal of an evaluation that writes ``output``, new or as an interrupted run left it.

    Args:
        output: the file of predictions.
        of: plain data that say what is evaluated and how; a journal of anything else is not gone on with.
        restart: begin anew, whatever is there.

    Raises:
        InputError: the journal that is there belongs to another evaluation.
        FileError: it cannot be read or written.
    """
    path = output.with_name(output.name + SUFFIX)
    head = {_KIND: _VERSION, **of}
    done = [] if restart or not path.exists() else _read(path, head)
    with _opened(path, "r+" if done else "a") as file:
        if lock(file.fileno()) is False:
            raise InputError(f"file '{path}'", "another process is writing it", "Wait for it, or give another output")
        if done:
            for _ in range(len(done) + 1):
                file.readline()
            file.seek(file.tell())
            file.truncate()
        else:
            file.truncate(0)
            _write(file, head, path)
        journal = Journal(path, file, done)
        try:
            yield journal
        finally:
            if not journal.samples:  # there is nothing to go on from
                journal.remove()


def _opened(path: Path, mode: str) -> TextIO:
    try:
        return cast(TextIO, path.open(mode, encoding="utf-8"))
    except OSError as error:
        raise unwritable(path, error) from error


def _read(path: Path, head: dict[str, Any]) -> list[Judged]:
    """The finished pieces; a last line that a killed process did not finish is none."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        found = dict(json.loads(lines[0]) if len(lines) > 1 else head)
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise FileError(f"file '{path}'", f"is no journal of an evaluation ({error})", "Remove it") from error
    if found.get(_KIND) != _VERSION:
        raise InputError(f"file '{path}'", "is of another version of nirbridge", "Give --restart to begin anew")
    wanted = json.loads(json.dumps(head))
    if found != wanted:
        differs = sorted(key for key in {*wanted, *found} if found.get(key) != wanted.get(key))
        what = f"is of an evaluation with another {' and '.join(differs)}"
        raise InputError(f"file '{path}'", what, "Give --restart to begin anew, or another output")
    try:
        return [_piece(json.loads(line), number) for number, line in enumerate(lines[1:-1])]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"file '{path}'", f"is damaged ({error})", "Give --restart to begin anew") from error


def _piece(line: dict[str, Any], number: int) -> Judged:
    if line["check"] != _check(line["piece"], number):
        raise ValueError(f"line {number + 2} is not as it was written")
    return from_plain(line["piece"])


def _check(piece: dict[str, Any], number: int) -> int:
    """A sum over a piece and its place: a changed figure may look as good as the right one."""
    return zlib.crc32(json.dumps(piece).encode(), number)


def _write(file: TextIO, data: dict[str, Any], path: Path) -> None:
    try:
        file.write(json.dumps(data) + "\n")
        file.flush()
    except OSError as error:
        with suppress(OSError):  # what is left to write would fail once more, in other words
            file.close()
        raise unwritable(path, error) from error
