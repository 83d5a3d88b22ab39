"""The user's own code: however it ends, what it does to the process stays without effect."""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from torch import nn

from nirbridge.errors import ExportError, reason_of


@contextmanager
def nested(module: nn.Module) -> Iterator[None]:
    """Names the module where its modules are nested too deeply for the block.

    Raises:
        ExportError: they are.
    """
    try:
        yield
    except RecursionError as error:
        found = f"its modules are nested too deeply for Python's limit of {sys.getrecursionlimit()} calls"
        raise ExportError(f"module {type(module).__name__}", found, "Nest them less") from error


class CodeExitError(Exception):
    """Code raised what would end the process, as SystemExit; its text names that."""


def describe(error: BaseException) -> str:
    """What code raised, as "ValueError: the text"."""
    kind, text = type(error).__name__, reason_of(error)
    return text if isinstance(error, CodeExitError) or text == kind else f"{kind}: {text}"


@contextmanager
def user_code() -> Iterator[None]:
    """Runs code of the user.

    What is no ``Exception`` becomes one, but not Ctrl-C; a process that the code forks ends with the block; the working
    folder, to which the command's paths are relative, stays.

    Raises:
        CodeExitError: the code raises SystemExit or the like.
    """
    process, folder = os.getpid(), _folder()
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not _is_raised_by_code(error):
            raise
        raise CodeExitError(describe(error)).with_traceback(error.__traceback__) from error
    finally:
        if os.getpid() != process:
            os._exit(0)
        if folder is not None and _folder() != folder:
            with suppress(OSError):
                os.chdir(folder)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:  # it was removed
        return None


def _is_raised_by_code(error: KeyboardInterrupt) -> bool:
    """Whether a statement raised it: a signal can come between any two instructions, and hardly ever in a ``raise``."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if type(error) is not KeyboardInterrupt or last is None:
        return False
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
