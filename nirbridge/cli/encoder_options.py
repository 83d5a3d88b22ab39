"""The options by which both event commands say how events become frames, and what they make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import together
from nirbridge.cli.grid_options import grid
from nirbridge.cli.output import echo
from nirbridge.cli.progress import bar_of
from nirbridge.cli.quantities import parse_duration, parsed
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge.ir import FlatGraph
    from nirbridge_events import FrameEncoder, Recording

_SIZE = re.compile(r"(\d+)x(\d+)")


@parsed
def parse_size(text: str, option: str) -> tuple[int, int]:
    """Width and height in pixels such as 34x34."""
    match = _SIZE.fullmatch(text)
    if not match or not 0 < int(match[1]) <= 65536 or not 0 < int(match[2]) <= 65536:
        raise InputError(f"option {option}", f"'{text}' is not WIDTHxHEIGHT in pixels", "Give it as 34x34")
    return int(match[1]), int(match[2])


@parsed
def parse_crop(text: str, option: str) -> tuple[int, int, int, int]:
    """A part of the sensor such as 53,10,240x240: its left upper corner and its size."""
    from nirbridge_events.areas import parse_area

    return parse_area(text, f"option {option}")


sensor_option = click.option(
    "--sensor",
    metavar="WxH",
    callback=parse_size,
    help="Size of the sensor, where the recording does not say; if not given, the smallest known one that holds its "
    "events.",
)
encoder_options = together(
    click.option(
        "--window", metavar="DURATION", callback=parse_duration, help="Length of a window, as 10ms, in us, ms or s."
    ),
    click.option(
        "--coding",
        type=click.Choice(["binary", "count", "one-hot", "phase", "voxel", "time-surface"]),
        help="How events become values; phase and voxel make several frames of a window, and time surfaces remember.",
    ),
    click.option("--lanes", type=click.IntRange(1, 16), help="Lanes of one-hot coding; 3 if not given."),
    click.option("--phases", type=click.IntRange(1, 24), help="Frames a window of phase coding; 8 if not given."),
    click.option("--bins", type=click.IntRange(2, 1024), help="Frames a window of a voxel grid; 5 if not given."),
    click.option(
        "--tau",
        metavar="DURATION",
        callback=parse_duration,
        help="Time constant of a time surface; 50ms if not given.",
    ),
    click.option(
        "--subframes",
        type=click.IntRange(1, 65536),
        help="Parts of a window that are counted: of one-hot, and of count where pixels merge by or and max; "
        "2^(lanes-1) for one-hot, else 1, if not given.",
    ),
    click.option("--size", metavar="WxH", callback=parse_size, help="Size of the frames; the sensor's if not given."),
    click.option(
        "--downsample",
        type=click.Choice(["or", "sum", "max"]),
        help="How pixels merge to a smaller --size, before coding; if not given, sum for count, phase and voxel, else "
        "or.",
    ),
    click.option(
        "--polarity",
        type=click.Choice(["keep", "merge", "signed"]),
        help="Two channels (OFF, ON), one of both, or ON less OFF; keep if not given.",
    ),
    click.option("--crop", metavar="X,Y,WxH", callback=parse_crop, help="Only these sensor pixels count."),
    click.option(
        "--max-gap",
        type=click.IntRange(0),
        help="Most empty windows in a row, 10000 if not given; more are an error, in stream left out and counted.",
    ),
    sensor_option,
)
"""How events become frames."""
_ENCODER_NAMES = (
    "window", "per_events", "coding", "lanes", "phases", "bins", "tau", "subframes", "size", "downsample", "polarity"
)  # fmt: skip


def encoder_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``nirbridge_events.encode`` that the options give, but for those of ``grid``."""
    names = {**{name: name for name in (*_ENCODER_NAMES, "crop")}, "sensor": "sensor_size"}
    return {name: flags[flag] for flag, name in names.items() if flags[flag] is not None}


def reading(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``nirbridge_events.open_recording`` that the options give, but for the sensor."""
    names = ("columns", "time_unit", "camera", "sample", "bad_events", "jitter", "filters")
    return {name: flags[name] for name in names if flags[name] not in (None, [])}


def open_encoder(
    source: str,
    graph: FlatGraph | None,
    sensor: tuple[int, int] | None,
    flags: dict[str, Any],
    **limits: Any,
) -> tuple[Recording, FrameEncoder]:
    """The recording, and the encoder that the graph's EventInput or the flags describe.

    With a crop, the sensor of the graph's EventInput is the part that is cut out.  ``limits`` are what the encoder
    does about bad events and gaps, for a source of any kind.

    Raises:
        InputError: neither describes it, both do, or they do not fit each other.
        FileError: the recording cannot be read.
    """
    from nirbridge_events import open_recording

    how = reading(flags)
    given = {name: flags[name] for name in _ENCODER_NAMES if flags[name] is not None}
    limits |= grid(flags)
    node = None if graph is None else _event_input(graph)
    if node is None:
        _require_flags(given, "the model has no EventInput node" if graph else "no --model describes the frames")
        recording = open_recording(source, sensor, **how)
    else:
        if given:
            found = "contradicts the EventInput node of the model, which describes the frames"
            raise InputError(f"option --{next(iter(given)).replace('_', '-')}", found, "Leave it away")
        width, height = (int(n) for n in node.sensor_size)
        recording = open_recording(source, sensor or (None if flags["crop"] else (width, height)), **how)
    encoder = _make_encoder(recording, node, given, flags, limits)
    if graph is not None:
        _check_shape(graph, encoder.frame_shape)
    for note in recording.notes():
        echo(note, err=True)
    return recording, encoder


def _make_encoder(
    recording: Recording, node: Any, given: dict[str, Any], flags: dict[str, Any], limits: dict[str, Any]
) -> FrameEncoder:
    from nirbridge_events import EncoderSettings, FrameEncoder
    from nirbridge_events.encoding import check_same_sensor

    if recording.live:
        # A camera goes on whatever it sends: what does not fit is counted.
        limits = {"outside": "count", "late": "count", **limits}
    crop = flags["crop"]
    if node is None:
        return FrameEncoder(sensor_size=recording.sensor_size, crop=crop, **given, **limits)
    settings = EncoderSettings.from_node(node).to_dict()
    if crop is None:
        encoder = FrameEncoder(**settings, **limits)
        check_same_sensor(recording, encoder.sensor_size)
        return encoder
    wanted = tuple(settings["sensor_size"])
    if crop[2:] != wanted:
        found = f"{crop[2]}x{crop[3]} pixels are not the {wanted[0]}x{wanted[1]} of the model's EventInput"
        raise InputError("option --crop", found, f"Give it as X,Y,{wanted[0]}x{wanted[1]}")
    return FrameEncoder(**{**settings, "sensor_size": recording.sensor_size, "crop": crop}, **limits)


@contextmanager
def progress(recording: Recording, label: str) -> Iterator[Callable[[], None]]:
    """A bar on stderr that follows the bytes read; hidden when stderr is no terminal."""
    with bar_of(label, total=recording.source.total_bytes) as bar:
        yield lambda: bar.update(max(0, recording.current.feed.position - bar.pos))


def report_lines(recording: Recording, encoder: FrameEncoder) -> list[str]:
    """What became of the events, for stderr."""
    report = encoder.report
    several = f" ({encoder.frames_per_window} frames each)" if encoder.frames_per_window > 1 else ""
    of = f"{encoder.settings.per_events} events" if encoder.settings.per_events else f"{encoder.settings.window} µs"
    partial = f"; the last one is cut short and holds {report.partial_events} events" if report.partial_events else ""
    left_out = report.outside + report.cropped + report.late + report.before_start + report.after_end
    inside = f"{report.events - left_out} of {report.events}" if left_out else str(report.events)
    lines = [f"{inside} events in {report.windows} windows of {of}{several}, {report.empty_windows} empty{partial}."]
    counts = (
        (report.saturated, "values were cut to the highest that a frame can hold"),
        (report.outside, "events outside the sensor were left out"),
        (report.cropped, "events outside the crop were left out"),
        (report.late, "events came after their window was closed and were left out"),
        (report.gap_windows, "empty windows of gaps longer than --max-gap were left out"),
        (report.before_start, "events before the first window were left out"),
        (report.after_end, "events after the last window were left out"),
    )
    lines += [f"{count} {text}." for count, text in counts if count]
    return lines + [f"{recording.name}: {line}." for line in recording.report.lines()]


def _event_input(graph: FlatGraph) -> Any:
    from nirbridge.ir import EventInput

    found = {name: node for name, node in graph.nodes.items() if type(node) is EventInput}
    if len(found) > 1:
        raise InputError("model", f"has {len(found)} EventInput nodes: {', '.join(sorted(found))}", "Use one with one")
    return next(iter(found.values()), None)


def _require_flags(given: dict[str, Any], reason: str) -> None:
    missing = [f"--{name}" for name in ("window", "coding") if name not in given]
    if "per_events" in given and "window" not in given:
        missing.remove("--window")
    if missing:
        next_step = "Give for instance --window 10ms (or --per-events 1000) --coding one-hot --lanes 3"
        raise InputError(f"option {' and '.join(missing)}", f"is missing, and {reason}", next_step)


def _check_shape(graph: FlatGraph, frame_shape: tuple[int, int, int]) -> None:
    import nir

    for name, node in graph.nodes.items():
        shape = tuple(int(n) for n in node.input_type["input"]) if type(node) is nir.Input else frame_shape
        if shape != frame_shape:
            found = f"takes {shape}, the frames are {frame_shape} (polarities, height, width)"
            raise InputError(f"node '{name}' (Input)", found, "Set --size and --polarity to match the model")
