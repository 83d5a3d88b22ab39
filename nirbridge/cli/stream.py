"""``nirbridge stream``: a recording through a model, one decision a window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.encode import encoder_options, open_encoder, progress, report_lines
from nirbridge.errors import FileError, InputError

if TYPE_CHECKING:
    from nirbridge_events import Recording, Stream


@click.command("stream")
@click.argument("source")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model to run.")
@click.option("--runtime", default="reference", show_default=True, help="What runs it; see 'nirbridge runtimes'.")
@click.option(
    "--pace",
    default="max",
    show_default=True,
    type=click.Choice(["real", "max"]),
    help="At the recorded times, or as fast as it goes.",
)
@click.option(
    "--policy",
    default="block",
    show_default=True,
    type=click.Choice(["block", "drop-oldest"]),
    help="What a full queue does: the reader waits, or the oldest window is dropped and counted.",
)
@click.option("--queue", "queue_size", default=8, show_default=True, type=click.IntRange(1), help="Windows that wait.")
@click.option(
    "--readout",
    default="mean",
    show_default=True,
    type=click.Choice(["mean", "sum", "last"]),
    help="Scores are the mean or sum of the outputs since the start, or the last output.",
)
@click.option("--labels", help="Names of the classes: a,b,c or a text file with one a line.")
@encoder_options
def command(
    source: str,
    model: Path,
    runtime: str,
    sensor: tuple[int, int] | None,
    labels: str | None,
    **flags: Any,
) -> None:
    """Stream the events of SOURCE through a model.

    Prints one JSON line for each decision and, at the end or on Ctrl-C, a line {"summary": ...}. SOURCE is a
    recording that 'nirbridge encode' reads. With a model that has an EventInput node no further option is needed;
    else --window and --coding are.

    \b
    Example:
      nirbridge stream rec.es --model model.nir --runtime norse --pace real --policy drop-oldest
    """
    import nirbridge
    from nirbridge_events import Stream

    names = None if labels is None else _labels(labels)
    graph = nirbridge.read(model)
    recording, encoder = open_encoder(source, graph, sensor, flags)
    how = {name: flags[name] for name in ("policy", "pace", "queue_size", "readout")}
    with (
        nirbridge.compile(graph, runtime=runtime) as program,
        Stream(recording, program, encoder, labels=names, **how) as stream,
    ):
        try:
            _print_decisions(stream, recording)
        finally:
            stream.close()
            click.echo(json.dumps({"summary": stream.summary.to_dict()}, allow_nan=False))
    for line in report_lines(recording, encoder):
        click.echo(line, err=True)


def _print_decisions(stream: Stream, recording: Recording) -> None:
    """Prints until the stream ends; Ctrl-C is one of its ends."""
    try:
        with progress(recording, "streaming") as tick:
            for decision in stream:
                click.echo(json.dumps(decision.to_dict(), allow_nan=False))
                tick()
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)


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
