"""Several sources of ``nirbridge stream`` at once, a process for each.

A child writes its lines and messages into two pipes, as if it were alone; here every line gets the name of its source
and goes where the command's lines go, and every message gets the name in front.  Children have no terminal: what ends
the command ends them by SIGTERM, which they answer with their summary, and they end by themselves when this process is
gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import click

from nirbridge.cli import failures
from nirbridge.cli.output import echo, guard_streams
from nirbridge.cli.outputs import Outputs, opened_outputs
from nirbridge.errors import InputError, NirbridgeError, Problem
from nirbridge.workers import all_cores
from nirbridge.workers.lifetime import bind_to_parent, without_interrupts
from nirbridge.workers.one_thread import threads_unless_said

StreamOne = Callable[..., None]
PATIENCE = 10.0
"""Seconds that children have for their summaries when they are ended, before they are killed."""
LOOK = 0.1


@dataclass
class Child:
    """The process of a source.

    Attributes:
        name: of its source, unlike all others.
        process: it.
        relays: the threads that read its pipes.
    """

    name: str
    process: BaseProcess
    relays: tuple[threading.Thread, ...]

    def failure(self) -> Problem | None:
        """How it failed, if it did."""
        code = self.process.exitcode
        if not code:
            return None
        if code > 0:
            return Problem(self._where, f"its stream ended with exit code {code}", "What was wrong is said above")
        return Problem(self._where, f"its process was ended by signal {-code}", "It crashed, or memory ran out")

    @property
    def _where(self) -> str:
        return f"source '{self.name}'"


class Relay:
    """Takes what children write; one line at a time, whoever writes.

    Attributes:
        broken: why lines cannot be written any more.
    """

    def __init__(self, outputs: Outputs) -> None:
        self._outputs, self._one_by_one = outputs, threading.Lock()
        self.broken: BaseException | None = None

    def decision(self, name: str, text: str) -> None:
        """A line that a child writes to stdout."""
        try:
            line = {"source": name, **json.loads(text)}
        except (TypeError, ValueError):  # a library that prints
            self.message(name, text)
            return
        with self._one_by_one:
            if self.broken is None:
                try:
                    self._outputs.put(line)
                except (NirbridgeError, OSError) as error:
                    self.broken = error

    def message(self, name: str, text: str) -> None:
        """A line that a child says on stderr."""
        with self._one_by_one:
            echo(f"[{name}] {text.rstrip()}", err=True)


def stream_several(sources: Sequence[str], stream_one: StreamOne, options: dict[str, Any]) -> None:
    """Streams all sources at once, until the last has ended or a signal ends them all.

    Args:
        sources: as the user gave them.
        stream_one: what streams one of them, with ``options``; a function of a module.
        options: of the command.

    Raises:
        InputError: an option or a source does not go with several.
        NirbridgeError: a source failed; one problem for each.
    """
    _require_several(sources, options)
    debug = bool(click.get_current_context().meta.get(failures.DEBUG))
    own = {**options, "outs": ()}
    with opened_outputs(options["outs"]) as outputs:
        relay, children = Relay(outputs), []
        try:
            with threads_unless_said(max(1, all_cores() // len(sources))):
                for name, source in _named(sources):
                    children.append(_started(name, relay, (source, stream_one, own, debug)))
            _wait(children, relay)
            ended: KeyboardInterrupt | None = None
        except KeyboardInterrupt as interrupt:
            echo("Terminated." if isinstance(interrupt, failures.Terminated) else "Interrupted.", err=True)
            ended = interrupt
        finally:
            running = _end(children)
    problems = [problem for child in children if child not in running and (problem := child.failure())]
    if relay.broken is not None:
        raise relay.broken
    if problems:
        raise NirbridgeError.from_problems(problems)
    if isinstance(ended, failures.Terminated):
        raise ended


def _require_several(sources: Sequence[str], options: dict[str, Any]) -> None:
    if options["view"]:
        found = f"shows one source, {len(sources)} are given"
        raise InputError("option --view", found, "Stream each with a command of its own, and --view")
    if options["save_hot_pixels"]:
        found = f"is of one sensor, {len(sources)} sources are given"
        raise InputError("option --save-hot-pixels", found, "Learn those of each with a command of its own")
    if piped := next((source for source in sources if source.startswith(("stdin:", "-"))), None):
        raise InputError(f"source '{piped}'", "does not go with others, whose processes have no stdin", "Give it alone")


def _named(sources: Sequence[str]) -> list[tuple[str, str]]:
    """Each source with a name that no other one has: itself, with its number where it is given again."""
    again = [sources[: i + 1].count(source) for i, source in enumerate(sources)]
    return [(f"{source}#{n}" if n > 1 else source, source) for n, source in zip(again, sources, strict=True)]


def _started(name: str, relay: Relay, task: tuple[str, StreamOne, dict[str, Any], bool]) -> Child:
    context = get_context("spawn")
    (lines, lines_in), (said, said_in) = context.Pipe(duplex=False), context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(*task, lines_in, said_in), name=f"nirbridge {name}")
    with without_interrupts(), lines_in, said_in:
        process.start()
    relays = tuple(
        threading.Thread(target=_relayed, args=(take, name, pipe), name=f"nirbridge-relay-{name}", daemon=True)
        for take, pipe in ((relay.decision, lines), (relay.message, said))
    )
    for thread in relays:
        thread.start()
    return Child(name, process, relays)


def _relayed(take: Callable[[str, str], None], name: str, pipe: Connection) -> None:
    """Hands on what a child writes into a pipe, line by line, until it ends."""
    with pipe, os.fdopen(os.dup(pipe.fileno()), encoding="utf-8", errors="backslashreplace") as file:
        for text in file:
            take(name, text)


def _wait(children: list[Child], relay: Relay) -> None:
    """Until all have ended, or what they say cannot be written."""
    running = {child.process.sentinel: child.process for child in children}
    while running and relay.broken is None:
        for ready in connection.wait(list(running), LOOK):
            assert isinstance(ready, int)
            # Its end of the pipe closes a moment before the process counts as ended, and has an exit code.
            running.pop(ready).join()


def _end(children: list[Child]) -> list[Child]:
    """Ends those that run, and waits for what they still say; returns them."""
    running = [child for child in children if child.process.is_alive()]
    for child in running:
        child.process.terminate()
    until = time.monotonic() + PATIENCE
    for child in children:
        child.process.join(max(0.0, until - time.monotonic()))
        if child.process.is_alive():
            child.process.kill()
            child.process.join()
        for thread in child.relays:
            thread.join(PATIENCE)
    return running


def _run(
    source: str, stream_one: StreamOne, options: dict[str, Any], debug: bool, lines: Connection, said: Connection
) -> None:
    """The child: streams one source with pipes in the place of stdout and stderr."""
    bind_to_parent()
    for pipe, descriptor in ((lines, 1), (said, 2)):
        os.dup2(pipe.fileno(), descriptor)
        pipe.close()
    guard_streams()
    code = 0
    try:
        failures.end_on_sigterm()
        with failures.warnings_as_lines(), click.Context(click.Command("stream")):
            stream_one(source, **options)
    except (Exception, KeyboardInterrupt) as error:
        code = failures.report(error, debug)
    sys.stdout.flush()
    sys.exit(code)
