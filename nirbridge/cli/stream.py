"""``nirbridge stream``: a recording or a live source through a model, one decision a window."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import note_precision, precision_option
from nirbridge.cli.encoder_options import encoder_options, open_encoder, progress, report_lines
from nirbridge.cli.output import echo, print_json
from nirbridge.errors import FileError, InputError

if TYPE_CHECKING:
    import nir

    from nirbridge.runtime import Program
    from nirbridge_events import Recording, Stream
    from nirbridge_events.settings import EncoderSettings
    from nirbridge_events.viewing import View

PREFERRED = ("norse", "reference")
"""Runtimes that ``stream`` tries by itself, the faster one first."""
_STREAM_NAMES = ("policy", "queue_size", "block", "readout", "segment", "confidence")


@click.command("stream")
@click.argument("source")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model to run.")
@precision_option
@click.option("--runtime", help="What runs it; 'norse' where it is usable and runs the model, else 'reference'.")
@click.option(
    "--pace",
    type=click.Choice(["real", "max"]),
    help="At the recorded times, or as fast as it goes; max, and real with --view.",
)
@click.option(
    "--policy",
    default="block",
    show_default=True,
    type=click.Choice(["block", "drop-oldest", "drop-newest"]),
    help="What a full queue does: the reader waits, or the oldest or the newest window is dropped and counted.",
)
@click.option("--queue", "queue_size", default=8, show_default=True, type=click.IntRange(1), help="Windows that wait.")
@click.option(
    "--block",
    default=8,
    show_default=True,
    type=click.IntRange(1, 65536),
    help="Windows that go through the model in one call, if they wait; decisions do not depend on it.",
)
@click.option(
    "--readout",
    default="mean",
    show_default=True,
    type=click.Choice(["mean", "sum", "last"]),
    help="Scores are the mean or sum of the outputs since the start, or the last output.",
)
@click.option(
    "--segment",
    type=click.IntRange(1),
    metavar="WINDOWS",
    help="Judge so many windows as one, each time from fresh states; the whole stream if not given.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0),
    metavar="MARGIN",
    help='A larger margin is an early decision ("early": true): the rest of the segment, or stream, is left out.',
)
@click.option("--labels", help="Names of the classes: a,b,c or a text file with one a line.")
@click.option("--view", is_flag=True, help="Show the stream on a page of this machine; its address goes to stderr.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; a free one if not given.")
@encoder_options
def command(
    source: str,
    model: Path,
    runtime: str | None,
    precision: str | None,
    pace: str | None,
    sensor: tuple[int, int] | None,
    labels: str | None,
    view: bool,
    port: int,
    **flags: Any,
) -> None:
    """Stream the events of SOURCE through a model.

    Prints one JSON line for each decision and, at the end or on Ctrl-C, a line {"summary": ...}. SOURCE is a
    recording that 'nirbridge encode' reads, or live: udp://HOST:PORT or - for stdin. With a model that has an
    EventInput node no further option is needed; else --window and --coding are. With --view the page stays when the
    stream is over, until Ctrl-C.

    \b
    Example:
      nirbridge stream rec.es --model model.nir --runtime norse --pace real --policy drop-oldest
      nirbridge stream udp://127.0.0.1:3333 --model model.nir --view
    """
    import nirbridge
    from nirbridge.runtime import streaming_options
    from nirbridge_events import Stream

    names = None if labels is None else _labels(labels)
    graph = nirbridge.read(model)
    note_precision(model, graph, precision)
    recording, encoder = open_encoder(source, graph, sensor, flags)
    how = {name: flags[name] for name in _STREAM_NAMES}
    how["pace"] = pace or ("real" if view and not recording.live else "max")
    chosen = runtime or _preferred_runtime(graph)
    with ExitStack() as stack:
        stack.callback(recording.close)
        options = {"precision": precision, **streaming_options(chosen)}
        program = stack.enter_context(nirbridge.compile(graph, runtime=chosen, **options))
        page = None
        if view:
            page = stack.enter_context(
                _open_view(Path(source).name, model, chosen, names, program, encoder.settings, port)
            )
            how |= {"record": page.about.layers, "observe": page.observe}
        stream = stack.enter_context(Stream(recording, program, encoder, labels=names, **how))
        finished, summary = _print_stream(stream, recording)
        for line in (*report_lines(recording, encoder), *program.loss_lines()):
            echo(line, err=True)
        if page is not None and finished:
            _hold(page, summary)


def _preferred_runtime(graph: nir.NIRGraph) -> str:
    """The first of ``PREFERRED`` that is usable and runs the graph; said on stderr, because the user named none."""
    import nirbridge

    states = nirbridge.runtimes()
    for name in PREFERRED:
        if name in states and states[name].usable and _runs(graph, name):
            echo(f"Runs on '{name}'.", err=True)
            return name
    return PREFERRED[-1]


def _runs(graph: nir.NIRGraph, runtime: str) -> bool:
    """Whether nothing but warnings stands against it."""
    import nirbridge

    return not any(problem.severity == "error" for problem in nirbridge.check(graph, runtime))


def _open_view(
    source: str,
    model: Path,
    runtime: str,
    labels: list[str] | None,
    program: Program,
    settings: EncoderSettings,
    port: int,
) -> View:
    from nirbridge_events.viewing import View
    from nirbridge_events.viewing.snapshots import About

    names = None if labels is None else tuple(labels)
    view = View(About(source, model.name, runtime, names, _spiking(program), settings), port)
    echo(f"Page: {view.url}", err=True)
    return view


def _spiking(program: Program) -> tuple[str, ...]:
    """The nodes that send spikes."""
    from nirbridge.ir import PhaseEncode, PhaseIF
    from nirbridge.showing.roles import role_of

    phase = (PhaseEncode, PhaseIF)
    return tuple(
        planned.name
        for planned in program.plan.nodes
        if role_of(planned.node) in ("binary", "multilevel") or type(planned.node) in phase
    )


def _hold(page: View, summary: dict[str, Any]) -> None:
    """Keeps the page until Ctrl-C, so that a short recording can be looked at."""
    page.end(summary)
    try:
        echo(f"The stream is over; {page.url} stays until Ctrl-C.", err=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        echo("Page closed.", err=True)


def _print_stream(stream: Stream, recording: Recording) -> tuple[bool, dict[str, Any]]:
    """Prints decisions and, whatever ends them, the summary; returns whether they came to their end, and the summary.

    Ctrl-C is one of the ends, and no error.
    """
    finished = True
    try:
        with progress(recording, "streaming") as tick:
            for decision in stream:
                print_json(decision.to_dict(), indent=None)
                tick()
    except KeyboardInterrupt:
        echo("Interrupted.", err=True)
        finished = False
    finally:
        stream.close()
        summary = stream.summary.to_dict()
        print_json({"summary": summary}, indent=None)
    return finished, summary


def _labels(text: str) -> list[str]:
    """Names separated by commas, or the lines of a file of that name."""
    path = Path(text)
    if "," in text or not path.is_file():
        names = [name.strip() for name in text.split(",")]
    else:
        try:
            names = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"file '{path}'", f"is no readable text ({error})", "Give one label a line") from error
    if not all(names):
        raise InputError("option --labels", f"label {names.index('')} of '{text}' is empty", "Name every class")
    return names
