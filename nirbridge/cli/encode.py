"""``nirbridge encode``: events to frames; and the options by which both event commands say how."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.errors import InputError

if TYPE_CHECKING:
    import nir

    from nirbridge_events import FrameEncoder, Recording, Window

_UNITS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
_SIZE = re.compile(r"(\d+)x(\d+)")


def parse_duration(_context: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A length of time such as 10ms, 500us or 0.5s, as whole µs.

    Raises:
        InputError: it is anything else.
    """
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    time = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if time < 1 or time != int(time):
        found = f"'{value}' is not a length of whole microseconds, at least 1"
        raise InputError(_option(param), found, "Give a number and its unit, as 10ms, 500us or 0.5s")
    return int(time)


def parse_size(_context: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Width and height in pixels such as 34x34.

    Raises:
        InputError: it is anything else.
    """
    if value is None:
        return None
    match = _SIZE.fullmatch(value)
    if not match or not 0 < int(match[1]) <= 65536 or not 0 < int(match[2]) <= 65536:
        raise InputError(_option(param), f"'{value}' is not WIDTHxHEIGHT in pixels", "Give it as 34x34")
    return int(match[1]), int(match[2])


_ENCODER_OPTIONS = (
    click.option("--window", metavar="DURATION", callback=parse_duration, help="Length of a frame, as 10ms."),
    click.option("--coding", type=click.Choice(["binary", "count", "one-hot"]), help="How events become values."),
    click.option("--lanes", type=click.IntRange(1, 16), help="Lanes of one-hot coding; 3 if not given."),
    click.option("--subframes", type=click.IntRange(1, 65536), help="Parts of a window; 2^(lanes-1) for one-hot."),
    click.option("--size", metavar="WxH", callback=parse_size, help="Size of the frames; the sensor's if not given."),
    click.option("--downsample", type=click.Choice(["or", "sum", "max"]), help="How pixels merge, before coding."),
    click.option("--polarity", type=click.Choice(["keep", "merge"]), help="Two channels (OFF, ON) or one."),
    click.option("--max-gap", type=click.IntRange(0), help="Windows without any event that may follow each other."),
    click.option(
        "--sensor", metavar="WxH", callback=parse_size, help="Size of the sensor, where the recording does not say."
    ),
)
_ENCODER_NAMES = ("window", "coding", "lanes", "subframes", "size", "downsample", "polarity")


def encoder_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say how events become frames."""
    for option in reversed(_ENCODER_OPTIONS):
        function = option(function)
    return function


def open_encoder(
    source: str, graph: nir.NIRGraph | None, sensor: tuple[int, int] | None, flags: dict[str, Any]
) -> tuple[Recording, FrameEncoder]:
    """The recording, and the encoder that the graph's EventInput or the flags describe.

    Raises:
        InputError: neither describes it, both do, or they do not fit each other.
        FileError: the recording cannot be read.
    """
    from nirbridge_events import FrameEncoder, open_recording
    from nirbridge_events.encoding import check_same_sensor

    if re.match(r"[a-z]+://", source):
        raise InputError(f"source '{source}'", "is a live stream; recordings are read", "Record it to a file first")
    limits = {} if flags["max_gap"] is None else {"max_gap": flags["max_gap"]}
    given = {name: flags[name] for name in _ENCODER_NAMES if flags[name] is not None}
    node = None if graph is None else _event_input(graph)
    if node is None:
        _require_flags(given, "the model has no EventInput node" if graph else "no --model describes the frames")
        recording = open_recording(source, sensor)
        encoder = FrameEncoder(sensor_size=recording.sensor_size, **given, **limits)
    else:
        if given:
            found = "contradicts the EventInput node of the model, which describes the frames"
            raise InputError(f"option --{next(iter(given))}", found, "Leave it away")
        encoder = FrameEncoder.from_node(node, **limits)
        recording = open_recording(source, sensor or encoder.sensor_size)
        check_same_sensor(recording, encoder.sensor_size)
    if graph is not None:
        _check_shape(graph, encoder.frame_shape)
    for note in recording.notes():
        click.echo(note, err=True)
    return recording, encoder


@contextmanager
def progress(recording: Recording, label: str) -> Iterator[Callable[[], None]]:
    """A bar on stderr that follows the bytes read; hidden when stderr is no terminal."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=recording.total_bytes, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(max(0, recording.feed.position - bar.pos))


def report_lines(recording: Recording, encoder: FrameEncoder) -> list[str]:
    """What became of the events, for stderr."""
    report = encoder.report
    lines = [
        f"{report.events} events in {report.windows} frames of {encoder.window} µs, {report.empty_windows} empty; "
        f"the last one is cut short by the end and holds {report.partial_events} events."
    ]
    if report.saturated:
        lines.append(f"{report.saturated} values were cut to the highest that a frame can hold.")
    return lines + [f"{count} {kind} carry no event." for kind, count in sorted(recording.skipped.items())]


@click.command("encode")
@click.argument("source", metavar="REC")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npy file to write.")
@click.option("--model", type=click.Path(path_type=Path), help="Take the coding from this model's EventInput.")
@encoder_options
def command(source: str, output: Path, model: Path | None, sensor: tuple[int, int] | None, **flags: Any) -> None:
    """Turn the events of recording REC into frames [T, P, H, W].

    The frames are float32. REC is an N-MNIST .bin, Event Stream .es or Prophesee EVT 2.0 or 3.0 .raw file.
    With a model that has an EventInput node no further option is needed; else --window and --coding are.

    \b
    Example:
      nirbridge encode rec.raw -o frames.npy --sensor 640x480 --window 10ms --coding one-hot --lanes 3 --size 32x24
    """
    import nirbridge
    from nirbridge.files import atomic_write

    _require_npy(output)
    graph = None if model is None else nirbridge.read(model)
    recording, encoder = open_encoder(source, graph, sensor, flags)
    with atomic_write(output) as temporary, progress(recording, "encoding") as tick:
        shape = _write_frames(temporary, encoder.encode(recording), encoder.frame_shape, tick)
    for line in report_lines(recording, encoder):
        click.echo(line, err=True)
    click.echo(f"{output}: {shape}")


def _write_frames(
    path: Path, windows: Iterator[Window], frame_shape: tuple[int, int, int], tick: Callable[[], None]
) -> tuple[int, ...]:
    """Writes frame after frame, so that memory does not grow; the header is written again when their number is known.

    NumPy pads the header so that the first axis can grow in place.
    """
    import numpy as np

    count = 0
    with path.open("wb") as file:
        _write_header(file, (0, *frame_shape))
        begin = file.tell()
        for window in windows:
            np.ascontiguousarray(window.frame, dtype="<f4").tofile(file)
            count += 1
            tick()
        file.seek(0)
        _write_header(file, (count, *frame_shape))
        if file.tell() != begin:
            raise RuntimeError(f"the header of {path} grew from {begin} to {file.tell()} bytes")
    return (count, *frame_shape)


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    import numpy as np

    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _event_input(graph: nir.NIRGraph) -> Any:
    from nirbridge.ir import EventInput

    found = {name: node for name, node in graph.nodes.items() if type(node) is EventInput}
    if len(found) > 1:
        raise InputError("model", f"has {len(found)} EventInput nodes: {', '.join(sorted(found))}", "Use one with one")
    return next(iter(found.values()), None)


def _require_flags(given: dict[str, Any], reason: str) -> None:
    missing = [f"--{name}" for name in ("window", "coding") if name not in given]
    if missing:
        next_step = "Give for instance --window 10ms --coding one-hot --lanes 3"
        raise InputError(f"option {' and '.join(missing)}", f"is missing, and {reason}", next_step)


def _check_shape(graph: nir.NIRGraph, frame_shape: tuple[int, int, int]) -> None:
    import nir

    for name, node in graph.nodes.items():
        shape = tuple(int(n) for n in node.input_type["input"]) if type(node) is nir.Input else frame_shape
        if shape != frame_shape:
            found = f"takes {shape}, the frames are {frame_shape} (polarities, height, width)"
            raise InputError(f"node '{name}' (Input)", found, "Set --size and --polarity to match the model")


def _require_npy(output: Path) -> None:
    if output.suffix != ".npy":
        raise InputError(f"file '{output}'", "frames are written as .npy", "Give a name that ends in .npy")


def _option(param: click.Parameter) -> str:
    return f"option {param.opts[0]}"
