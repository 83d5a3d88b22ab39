"""How far long work is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from nirbridge.cli.output import echo
from nirbridge.reports import seconds_text

SECONDS = 5.0
"""Before the first line and between two, where stderr is no terminal: short work says nothing."""

Progress = Callable[[int, int], None]
Clock = Callable[[], float]


@contextmanager
def progress_of(label: str, clock: Clock = time.monotonic) -> Iterator[Progress]:
    """Yields what is to be called with (done, total); rate and remaining time stand behind the label."""
    if not sys.stderr.isatty():
        yield _Lines(label, clock)
        return
    rate = _Rate(clock)
    bar: Any = None
    with ExitStack() as stack:

        def show(done: int, total: int) -> None:
            nonlocal bar
            # The total is told with the first call: until then there is no bar, and notes may be printed.
            if bar is None:
                bar = stack.enter_context(
                    click.progressbar(length=total, file=sys.stderr, show_pos=True, show_eta=False)
                )
            bar.label = f"{label}{rate.text(done, total)}"
            bar.update(done - bar.pos)

        yield show


def bar_of(label: str, pieces: Iterable[Any] | None = None, total: int | None = None) -> Any:
    """A bar over ``pieces``, or over a ``total`` which ``update`` is told; hidden where stderr is no terminal."""
    return click.progressbar(pieces, total, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def adding(progress: Progress, total: int) -> Callable[[int], None]:
    """What is to be called with the number of pieces that were done since the last call."""
    done = 0

    def add(new: int) -> None:
        nonlocal done
        done += new
        progress(done, total)

    add(0)
    return add


class _Rate:
    """Samples a second and the time that remains, since the first call, which says what an earlier run had done."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._started, self._before = clock, clock(), -1

    def text(self, done: int, total: int) -> str:
        if self._before < 0:
            self._started, self._before = self._clock(), done
        new, seconds = done - self._before, self._clock() - self._started
        if new <= 0 or seconds <= 0:
            return ""
        left = f", {seconds_text((total - done) * seconds / new)} left" if done < total else ""
        return f", {new / seconds:,.4g}/s{left}"


class _Lines:
    def __init__(self, label: str, clock: Clock) -> None:
        self._label, self._clock, self._rate = label, clock, _Rate(clock)
        self._told, self._any = clock(), False

    def __call__(self, done: int, total: int) -> None:
        rate = self._rate.text(done, total)
        if (done and self._clock() - self._told >= SECONDS) or (done == total and self._any):
            self._told, self._any = self._clock(), True
            echo(f"{self._label} {done:,} of {total:,} ({done / max(1, total):.0%}{rate})", err=True)
