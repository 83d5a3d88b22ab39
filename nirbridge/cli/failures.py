"""Exceptions and signals → lines on stderr and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nirbridge.cli.output import echo, echo_text
from nirbridge.errors import GraphWarning, NirbridgeError

DEBUG = "nirbridge.debug"
"""Key of click's ``ctx.meta`` that tells whether tracebacks are wanted."""
ANSWER_IS_NO = 1
BAD_INPUT = 2
INTERNAL = 3
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
_PACKAGES = {
    "nir": "nir>=1.0.8,<2",
    "numpy": "numpy>=1.26",
    "h5py": "h5py>=3.16",
    "torch": "torch>=2.8",
    "norse": "norse>=1.1",
    "numba": "numba>=0.59",
    "safetensors": "safetensors>=0.4",
    "lava": "lava-nc>=0.10",
    "lz4": "lz4>=4",
    "zstandard": "zstandard>=0.19",
    "sklearn": "scikit-learn>=1.5",
    "matplotlib": "matplotlib>=3.10",
    "PIL": "pillow>=10",
}
"""Library → what to install; nirbridge itself is on no index, so its extras cannot be named."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: whatever Ctrl-C ends, it ends too."""


def end_on_sigterm() -> None:
    """Lets SIGTERM raise ``Terminated``, so that unfinished files are removed and programs closed."""
    owner = os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked child, as of Lava: it ends as it would without nirbridge
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        signal.signal(number, signal.SIG_IGN)  # once is enough; a second one must not break the clearing up
        raise Terminated

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


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
            echo(f"Warning: {' '.join(text.split())}", err=True)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", GraphWarning)
        warnings.showwarning = show
        yield


def report(error: BaseException, debug: bool) -> int:
    """Says on stderr what went wrong, one line for each problem; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if debug:
        echo_text("".join(traceback.format_exception(error)).rstrip("\n"), err=True)
    lines, code = _explain(error)
    for line in lines:
        echo(f"Error: {' '.join(line.split())}", err=True)
    return code


def _explain(error: BaseException) -> tuple[list[str], int]:
    if isinstance(error, NirbridgeError):
        return [str(problem) for problem in error.problems], BAD_INPUT
    if isinstance(error, ModuleNotFoundError) and error.name in _PACKAGES:
        name = error.name
        return [f"library '{name}': is not installed. Run: pip install '{_PACKAGES[name]}'."], BAD_INPUT
    if isinstance(error, MemoryError):
        detail = str(error) or "an allocation failed"
        return [f"memory: {detail}. Give fewer steps or samples at once."], BAD_INPUT
    if isinstance(error, RecursionError):
        return [f"input: it is nested deeper than {sys.getrecursionlimit()} calls. Nest it less."], BAD_INPUT
    if isinstance(error, OSError) and error.strerror:
        where = "system" if error.filename is None else f"file '{error.filename}'"
        return [f"{where}: {error.strerror}. Check the place, its permissions and its space."], BAD_INPUT
    detail = f"{type(error).__name__}: {error}".rstrip(": ")
    return [f"internal error ({detail}). Run it with --debug and report the traceback."], INTERNAL
