"""``nirbridge stream``: a recording or a live source through a model, one decision a window."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import PATH, read_network
from nirbridge.cli.encoder_options import encoder_options, open_encoder, progress, report_lines
from nirbridge.cli.failures import Terminated
from nirbridge.cli.filter_options import filter_options, require_apart_from, require_filter_target, save_hot_pixels
from nirbridge.cli.grid_options import grid_options
from nirbridge.cli.output import echo
from nirbridge.cli.outputs import Outputs, opened_outputs, out_option
from nirbridge.cli.quantities import parse_duration, parse_time
from nirbridge.cli.reader_options import reader_options
from nirbridge.cli.replay_options import parse_speed, replay
from nirbridge.cli.runtime_options import calculation_options, preferred_runtime, take_runtime_options
from nirbridge.errors import FileError, InputError

if TYPE_CHECKING:
    from nirbridge.runtime import Program
    from nirbridge_events import Recording, Stream
    from nirbridge_events.settings import EncoderSettings
    from nirbridge_events.viewing import View

_STREAM_NAMES = ("policy", "queue_size", "block", "readout", "readout_time", "segment", "confidence", "grace")
WATCH_SECONDS = 0.1


@click.command("stream")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--model", required=True, type=PATH, help="The model to run.")
@click.option("--runtime", help="What runs it; 'norse' where it is usable and runs the model, else 'reference'.")
@calculation_options
@click.option(
    "--pace",
    type=click.Choice(["real", "max"]),
    help="A recording at its recorded times, or as fast as it goes; max, and real with --view.",
)
@click.option(
    "--speed",
    metavar="FACTOR|max",
    callback=parse_speed,
    help="Instead of --pace: so much faster than its recorded times, as 0.1 or 2. Latencies stay those of the wall.",
)
@click.option(
    "--policy",
    type=click.Choice(["block", "drop-oldest", "drop-newest"]),
    help="What a full queue does: the reader waits, or the oldest or the newest window is dropped and counted; "
    "drop-oldest for live sources, else block.",
)
@click.option(
    "--grace",
    default="200ms",
    show_default=True,
    metavar="DURATION",
    callback=parse_time,
    help="How long the windows of a live source that is silent wait for late events, and how long windows may wait "
    "in a full queue before any is dropped.",
)
@click.option(
    "--budget",
    metavar="DURATION",
    callback=parse_duration,
    help="Warn when decisions come later after their window than this; 50ms, and none at --pace max.",
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
    type=click.Choice(["mean", "sum", "last", "leaky"]),
    help="Scores are the mean or sum of the outputs since the start, the last output, or a leaky mean, which forgets; "
    "leaky for live sources, else mean.",
)
@click.option(
    "--readout-time",
    metavar="DURATION",
    callback=parse_duration,
    help="Time constant of --readout leaky: an output that old counts 1/e; 1s if not given.",
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
@out_option
@click.option(
    "--labels", help="Names of the classes: a,b,c or a text file with one a line; their numbers if not given."
)
@click.option("--view", is_flag=True, help="Show the stream on a page of this machine; its address goes to stderr.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; a free one if not given.")
@encoder_options
@grid_options
@reader_options
@filter_options
def command(sources: tuple[str, ...], **options: Any) -> None:
    """Stream the events of SOURCE through a model.

    Prints one JSON line for each decision and, at the end, on Ctrl-C or on SIGTERM, a line {"summary": ...}. SOURCE
    is a recording that 'nirbridge encode' reads, or live: udp://HOST:PORT or - for a pipe. With a model that has an
    EventInput node no further option is needed; else --window (or --per-events) and --coding are. With --view the page
    stays when the stream is over, until Ctrl-C.

    latency_ms is the time from the end of a window to its decision: hold_ms, in which events of it might still come,
    queue_ms, in which it waited, and compute_ms. A live window ends when its last events arrive here; at --pace max
    a recording has no clock, and latency counts from when the window was read.

    Several SOURCEs are streamed at once, each by a process of its own, and every line has its "source". If one of them
    fails the others go on; the exit code is 2 at the end.

    \b
    Example:
      nirbridge stream rec.es --model model.nir --runtime norse --pace real --policy drop-oldest
      nirbridge stream udp://127.0.0.1:3333 --model model.nir --view
      nirbridge stream rec.es --model model.nir --speed 2 --out decisions.jsonl --out tcp://127.0.0.1:5555
      nirbridge stream 'udp://127.0.0.1:3333' 'udp://127.0.0.1:3334' --model model.nir
    """
    if options["port"] and not options["view"]:
        raise InputError("option --port", "is of the page, which is not asked for", "Add --view")
    # A file of decisions is emptied before the first.
    files = [Path(out) for out in dict.fromkeys(options["outs"])]
    require_apart_from([*sources, options["model"], options["labels"] or None], files, options)
    if len(sources) == 1:
        stream_one(sources[0], **options)
        return
    from nirbridge.cli.several_sources import stream_several

    stream_several(sources, stream_one, options)


def stream_one(
    source: str,
    model: Path,
    runtime: str | None,
    precision: str | None,
    dt: float | None,
    pace: str | None,
    sensor: tuple[int, int] | None,
    labels: str | None,
    view: bool,
    port: int,
    **flags: Any,
) -> None:
    """Streams one source, with the options of the command; needs click's context."""
    import nirbridge
    from nirbridge.runtime import step_note, streaming_options
    from nirbridge_events import Stream

    require_filter_target(flags)
    stack = click.get_current_context().with_resource(ExitStack())
    names = None if labels is None else _labels(labels)
    network = read_network(model, precision, dt)
    recording, encoder = open_encoder(source, network, sensor, flags, gap="count")
    stack.callback(recording.close)
    how = {name: flags[name] for name in _STREAM_NAMES}
    how["pace"], how["speed"] = replay(pace, flags["speed"], paced=view and not recording.live)
    how["budget"] = _budget(flags["budget"], recording.live or how["pace"] == "real" or how["speed"] is not None)
    chosen = runtime or preferred_runtime(network)
    meaning = {"dt": dt, "precision": precision, "integrator": flags["integrator"], "reset": flags["reset"]}
    options = {**meaning, **streaming_options(chosen), **take_runtime_options(flags)}
    program = stack.enter_context(nirbridge.compile(network, runtime=chosen, **options))
    settings = encoder.settings
    if note := step_note(program.plan, settings.window * 1e-6 / settings.frames_per_window):
        echo(f"Note: {note}", err=True)
    page = None
    if view:
        page = stack.enter_context(_open_view(Path(source).name, model, chosen, names, program, settings, port))
        how |= {"record": page.about.layers, "observe": page.observe}
    stream = stack.enter_context(Stream(recording, program, encoder, labels=names, **how))
    if page is not None:
        page.watch(lambda: stream.status)
    for line in _chosen(recording, stream.summary.to_dict(), flags):
        echo(line, err=True)
    with opened_outputs(flags["outs"]) as outputs, _watching(stream, recording.name, how["budget"]):
        summary, end = _write_stream(stream, recording, outputs)
    for line in (*report_lines(recording, encoder), *program.loss_lines(), *_latency_lines(summary)):
        echo(line, err=True)
    save_hot_pixels(recording, flags)
    if isinstance(end, Terminated):
        raise end
    if page is not None and end is None:
        _hold(page, summary)


def _budget(given: int | None, clocked: bool) -> int | None:
    """How late decisions may come [µs], where the source has a clock."""
    from nirbridge_events import streaming

    if given is not None and not clocked:
        found = "does not go with --pace max, at which a recording has no clock"
        raise InputError("option --budget", found, "Add --pace real, or a --speed")
    return given or (streaming.BUDGET if clocked else None)


def _chosen(recording: Recording, summary: dict[str, Any], flags: dict[str, Any]) -> list[str]:
    """What a live source chose by itself, which decides what is dropped and what scores mean."""
    chosen = [f"--{name} {summary[name]}" for name in ("policy", "readout") if recording.live and flags[name] is None]
    return [f"{recording.name}: is live, so {' and '.join(chosen)} hold unless given."] if chosen else []


@contextmanager
def _watching(stream: Stream, name: str, budget: int | None) -> Iterator[None]:
    """Says on stderr what goes wrong, while it does."""
    from nirbridge_events.watching import Watch

    watch, over = Watch(name, None if budget is None else budget / 1e3), threading.Event()

    def look() -> None:
        while not over.wait(WATCH_SECONDS):
            for line in watch.lines(stream.status, time.monotonic()):
                echo(f"Warning: {line}", err=True)

    thread = threading.Thread(target=look, name="nirbridge-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _latency_lines(summary: dict[str, Any]) -> list[str]:
    """The latency as a sentence, if there were decisions."""
    from nirbridge_events.decisions import LATENCY_FROM

    if summary["latency_ms"] is None:
        return []
    whole, hold, queue, compute = (
        f"{summary[name]['p50']:.1f} / {summary[name]['p99']:.1f} ms"
        for name in ("latency_ms", "hold_ms", "queue_ms", "compute_ms")
    )
    origin = LATENCY_FROM[summary["latency_from"]]
    return [f"Latency p50 / p99 {whole}, {origin}: late events {hold}, queue {queue}, model {compute}."]


def _open_view(
    source: str,
    model: Path,
    runtime: str,
    labels: list[str] | None,
    program: Program,
    settings: EncoderSettings,
    port: int,
) -> View:
    from nirbridge.ir import spec_of
    from nirbridge_events.viewing import View
    from nirbridge_events.viewing.snapshots import About

    spiking = tuple(planned.name for planned in program.plan.nodes if spec_of(planned.node).sends.spikes)
    names = None if labels is None else tuple(labels)
    view = View(About(source, model.name, runtime, names, spiking, settings), port)
    echo(f"Page: {view.url}", err=True)
    return view


def _hold(page: View, summary: dict[str, Any]) -> None:
    """Keeps the page until Ctrl-C, so that a short recording can be looked at."""
    page.end(summary)
    try:
        echo(f"The stream is over; {page.url} stays until Ctrl-C.", err=True)
        threading.Event().wait()
    except KeyboardInterrupt as interrupt:
        echo("Page closed.", err=True)
        if isinstance(interrupt, Terminated):
            raise


def _write_stream(
    stream: Stream, recording: Recording, outputs: Outputs
) -> tuple[dict[str, Any], KeyboardInterrupt | None]:
    """Writes decisions and, whatever ends them, the summary; returns the summary and what interrupted them.

    Ctrl-C and SIGTERM are two of the ends, and no error.
    """
    end: KeyboardInterrupt | None = None
    try:
        with progress(recording, "streaming") as tick:
            for decision in stream:
                outputs.put(decision.to_dict())
                tick()
    except KeyboardInterrupt as interrupt:
        echo("Terminated." if isinstance(interrupt, Terminated) else "Interrupted.", err=True)
        end = interrupt
    finally:
        stream.close()
        summary = stream.summary.to_dict()
        outputs.put_last({"summary": summary}, asked_for=end is not None)
    return summary, end


def _labels(text: str) -> list[str]:
    """The lines of a file of that name, else names separated by commas."""
    if os.path.isfile(text):  # noqa: PTH113  Path complains of names that are too long for a path
        try:
            # Windows puts a mark before the first line.
            names = Path(text).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"file '{text}'", f"is no readable text ({error})", "Give one label a line") from error
    else:
        names = text.split(",")
    names = [name.strip() for name in names]
    if not all(names):
        raise InputError("option --labels", f"label {names.index('')} of '{text}' is empty", "Name every class")
    return names
