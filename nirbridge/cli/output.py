"""What commands print: text that cannot steer a terminal, and streams whose failure is one line."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

import click

from nirbridge.errors import FileError
from nirbridge.reports import json_text, printable

_TAKEN = "nirbridge.stdout_is_the_output"


def echo(line: str, err: bool = False) -> None:
    """Prints one line, whatever names of strangers it holds."""
    click.echo(printable(line), err=err or _taken())


def echo_text(text: str, err: bool = False) -> None:
    """Prints several lines; what is in a line must not hold the end of one."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err or _taken())


def print_json(data: Any, indent: int | None = 2) -> None:
    """Prints plain data; NaN and infinity, which JSON lacks, become null beforehand."""
    click.echo(json_text(data, indent), err=_taken())


def take_stdout() -> None:
    """The command's output file is stdout: its text goes to stderr from here on."""
    click.get_current_context().meta[_TAKEN] = True


def _taken() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_TAKEN))


def guard_streams() -> None:
    """Puts streams of this kind in place of Python's own, and fills the places of closed ones.

    A file opened in the place of a closed stdout would get what is meant for stdout.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:  # closed; what is open for reading alone refuses to be written
            os.open(os.devnull, mode)
    sys.stdout = _text(_Stream(1), sys.stdout)
    sys.stderr = _text(_Stream(2), sys.stderr)


def _text(raw: _Stream, like: TextIO | None) -> TextIO:
    encoding = "utf-8" if like is None else like.encoding
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=raw.fileno() == 2 or raw.isatty()
    )


class _Stream(io.FileIO):
    """Standard output or error: says once that it cannot be written, and stderr, to whom nobody could say it, never.

    The interpreter's last flush has nothing more to complain about.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._broken = False

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        if self._broken:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self._broken = True
            if self.fileno() == 2:
                return len(data)
            if isinstance(error, BrokenPipeError):
                raise
            found = f"cannot be written ({error.strerror})"
            raise FileError("standard output", found, "Lead it to another place") from error
