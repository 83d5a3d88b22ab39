"""Exceptions → lines on stderr and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from nirbridge.errors import GraphWarning, NirbridgeError
from nirbridge.reports import printable

DEBUG = "nirbridge.debug"
"""Key of click's ``ctx.meta`` that tells whether tracebacks are wanted."""
ANSWER_IS_NO = 1
BAD_INPUT = 2
INTERNAL = 3
INTERRUPTED = 130
BROKEN_PIPE = 141
_EXTRAS = {
    "torch": "norse",
    "norse": "norse",
    "numba": "norse",
    "safetensors": "norse",
    "lava": "lava",
    "lz4": "events",
    "zstandard": "events",
    "sklearn": "demo",
    "matplotlib": "demo",
    "PIL": "demo",
}
"""Library → the extra of nirbridge that brings it."""


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """What is odd about a graph becomes a line on stderr, once; other warnings stay as they are."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        text = str(message)
        if not issubclass(category, GraphWarning):
            usual(message, category, *where, **more)
        elif text not in said:
            said.add(text)
            click.echo(f"Warning: {printable(' '.join(text.split()))}", err=True)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", GraphWarning)
        warnings.showwarning = show
        yield


def report(error: BaseException, debug: bool) -> int:
    """Says on stderr what went wrong, one line for each problem; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    lines, code = _explain(error)
    for line in lines:
        click.echo(f"Error: {printable(' '.join(line.split()))}", err=True)
    return code


def _explain(error: BaseException) -> tuple[list[str], int]:
    if isinstance(error, NirbridgeError):
        return [str(problem) for problem in error.problems], BAD_INPUT
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        name = error.name
        return [f"library '{name}': is not installed. Run: pip install \"nirbridge[{_EXTRAS[name]}]\"."], BAD_INPUT
    if isinstance(error, MemoryError):
        detail = str(error) or "an allocation failed"
        return [f"memory: {detail}. Give fewer steps or samples at once."], BAD_INPUT
    detail = f"{type(error).__name__}: {error}".rstrip(": ")
    return [f"internal error ({detail}). Run it with --debug and report the traceback."], INTERNAL


def silence_stdout() -> None:
    """Points stdout to nowhere, so that the interpreter's last flush has no broken pipe to complain about."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
