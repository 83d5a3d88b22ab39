"""Where decisions go: one line of JSON each, into a file or to a program that listens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from nirbridge.reports import json_text
from nirbridge_events.decisions import Decision
from nirbridge_events.sinks.base import Sink
from nirbridge_events.sinks.log import LineLog
from nirbridge_events.sinks.tcp import SCHEME, TcpLines
from nirbridge_events.streaming import Stream


def open_sink(where: str | os.PathLike[str], warn: Callable[[str], None] | None = None) -> Sink:
    """What takes lines: ``tcp://HOST:PORT`` of a program that listens (``TcpLines``), else a file (``LineLog``).

    Args:
        where: one of these.
        warn: told what goes wrong while lines are sent; by default the logger "nirbridge" is.

    Raises:
        FileError: the file cannot be written.
        InputError: the address is none, or nobody listens there.
    """
    text = os.fspath(where)
    return TcpLines(text, warn=warn) if text.startswith(SCHEME) else LineLog(text)


def written(stream: Stream, sinks: Iterable[Sink]) -> Iterator[Decision]:
    """The decisions of a stream, each written to all sinks before it is yielded, and at the end the summary.

    The summary, {"summary": ...}, is written whatever ends the stream.  The sinks stay open.

    Raises:
        NirbridgeError: as of the stream; or a file cannot be written.
    """
    targets = tuple(sinks)
    try:
        for decision in stream:
            line = json_text(decision.to_dict())
            for sink in targets:
                sink.put(line)
            yield decision
    finally:
        stream.close()
        line = json_text({"summary": stream.summary.to_dict()})
        for sink in targets:
            sink.put(line)


__all__ = ["LineLog", "Sink", "TcpLines", "open_sink", "written"]
