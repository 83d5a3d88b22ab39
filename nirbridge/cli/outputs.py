"""Where ``nirbridge stream`` writes its lines: stdout, files, programs that listen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.output import echo, print_json
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge_events.sinks import Sink

STDOUT = "-"

out_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--out",
    "outs",
    multiple=True,
    metavar="FILE|tcp://HOST:PORT|-",
    help="Where lines go, instead of stdout: a file that grows line by line, or a program that listens there; - is "
    "stdout. May be given several times.",
)


class Outputs:
    """Gives every line to stdout and to sinks.

    Args:
        stdout: whether stdout is one of them.
        sinks: the others.
    """

    def __init__(self, stdout: bool, sinks: Sequence[Sink] = ()) -> None:
        self._stdout, self._sinks = stdout, tuple(sinks)

    def put(self, data: dict[str, Any]) -> None:
        """Writes plain data as a line of JSON.

        Raises:
            BrokenPipeError: nobody reads stdout any more; the sinks have the line.
            FileError: a file cannot be written.
        """
        from nirbridge.reports import json_text

        for sink in self._sinks:
            sink.put(json_text(data))
        if self._stdout:
            print_json(data, indent=None)

    def put_last(self, data: dict[str, Any], asked_for: bool) -> None:
        """Writes the last line; to stderr if it was asked for by a signal and nobody reads stdout any more."""
        try:
            self.put(data)
        except BrokenPipeError:
            if not asked_for:
                raise
            echo(json.dumps(data, allow_nan=False), err=True)


@contextmanager
def opened_outputs(outs: Sequence[str]) -> Iterator[Outputs]:
    """What ``--out`` names, closed at the end; what was lost on the way is then said on stderr.

    Raises:
        InputError: one is named twice, or nobody listens there.
        FileError: a file cannot be written.
    """
    from nirbridge_events.sinks import open_sink

    if twice := next((out for out in outs if outs.count(out) > 1), None):
        raise InputError("option --out", f"'{twice}' is given twice", "Give it once")
    with ExitStack() as stack:
        sinks: list[Sink] = []
        for out in outs:
            if out != STDOUT:
                sinks.append(stack.enter_context(open_sink(out, _warn)))
        try:
            yield Outputs(STDOUT in outs or not outs, sinks)
        finally:
            for sink in sinks:
                sink.close()
                for note in sink.notes():
                    echo(note, err=True)


def _warn(line: str) -> None:
    echo(f"Warning: {line}", err=True)
