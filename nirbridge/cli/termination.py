"""SIGTERM, by which services, containers and ``kill`` end a command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

TERMINATED = 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM came: it ends a command as Ctrl-C does, also where a shell ignores Ctrl-C for ``command &``."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises ``Terminated`` in the block, once; what it leaves behind ends with the exit code 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(number: int, _frame: Any) -> None:
        # A forked worker that inherited this handler has no summary to give.
        signal.signal(number, signal.SIG_IGN if os.getpid() == owner else signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
            return
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except Terminated as error:
        raise click.exceptions.Exit(TERMINATED) from error
    finally:
        signal.signal(signal.SIGTERM, before)
