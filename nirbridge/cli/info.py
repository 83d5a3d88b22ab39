"""``nirbridge info``: what recordings hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import PATH, json_option, require_output
from nirbridge.cli.encoder_options import progress, sensor_option
from nirbridge.cli.grid_options import jitter_option
from nirbridge.cli.output import echo, print_json
from nirbridge.cli.reader_options import reader_options
from nirbridge.errors import NirbridgeError, Problem
from nirbridge.reports import count_text, counted, rate_text, seconds_text

if TYPE_CHECKING:
    from nirbridge_events import RecordingInfo
    from nirbridge_events.recording_info import Survey

SHOWN = 8
"""Hot pixels that the text names; JSON has all."""


@click.command("info")
@click.argument("sources", metavar="REC...", nargs=-1, required=True)
@json_option
@click.option("--picture", type=PATH, help="A .png of the events by pixel and of the rate.")
@sensor_option
@jitter_option
@reader_options
def command(
    sources: tuple[str, ...],
    as_json: bool,
    picture: Path | None,
    sensor: tuple[int, int] | None,
    jitter: int | None,
    **flags: Any,
) -> None:
    """Say what recordings REC hold: format, size, time, rates, polarities, cameras and hot pixels.

    REC is a recording that 'nirbridge encode' reads; of a file with several cameras all are looked at, unless --camera
    chooses one. Each is read once to its end, in bounded memory; bad events are left out and counted. A recording that
    is damaged is described as far as it goes. --json prints a list with an entry for each.

    \b
    Example:
      nirbridge info rec.raw
      nirbridge info left.bag right.bag --json --picture both.png
    """
    if picture is not None:
        _require_picture(picture, sources)
    from nirbridge_events.readers.wanted import SeveralCamerasError

    how = {"sensor_size": sensor, "jitter": jitter, **flags}
    infos: list[RecordingInfo] = []
    surveys: list[Survey] = []
    problems: list[Problem] = []
    waiting: list[tuple[str, dict[str, Any], dict[str, str]]] = [(source, how, {}) for source in sources]
    while waiting:
        source, asked, cameras = waiting.pop(0)
        try:
            info, survey = _look(source, asked, cameras)
        except SeveralCamerasError as error:
            waiting[:0] = [(source, {**asked, "camera": number}, error.cameras) for number in error.cameras]
        except NirbridgeError as error:
            which = f", camera {asked['camera']}" if cameras else ""
            problems += [replace(problem, where=problem.where + which) for problem in error.problems]
        else:
            infos.append(info)
            surveys += [survey] if picture is not None else []
    if as_json:
        print_json([info.to_dict() for info in infos])
    else:
        for number, info in enumerate(infos):
            for line in [*([""] if number else []), *_block(info)]:
                echo(line)
    if picture is not None and infos:
        _draw(picture, infos, surveys)
    problems += [info.problem for info in infos if info.problem is not None]
    if problems:
        raise NirbridgeError.from_problems(problems)


def _draw(picture: Path, infos: list[RecordingInfo], surveys: list[Survey]) -> None:
    from nirbridge.files import whole_file
    from nirbridge_events.info_picture import save_picture

    with whole_file(picture) as file:
        save_picture(file, list(zip(infos, surveys, strict=True)))
    echo(f"Picture: {picture}", err=True)


def _require_picture(picture: Path, sources: tuple[str, ...]) -> None:
    """What the picture needs, before recordings are read."""
    from nirbridge_events.info_picture import require_drawable

    require_output(picture, ".png", *map(Path, sources))
    require_drawable(len(sources))


def _look(source: str, how: dict[str, Any], cameras: dict[str, str]) -> tuple[RecordingInfo, Survey]:
    """What a recording holds, or one of its ``cameras``.

    Raises:
        NirbridgeError: as of ``nirbridge_events.info``.
    """
    from nirbridge_events.recording_info import Survey, cameras_of, open_recorded

    camera = int(how["camera"]) if cameras else how["camera"]  # a number, whatever the others are called
    recording = open_recorded(source, **{**how, "camera": camera})
    survey = Survey(recording)
    with progress(recording, f"reading {source}") as tick:
        problem = survey.read(tick)
    return survey.result(problem, how["camera"], cameras or cameras_of(source)), survey


def _block(info: RecordingInfo) -> list[str]:
    """What is printed of a recording."""
    from nirbridge_events.recording_info import SIZE_FROM

    (width, height), off = info.sensor_size, 1 - info.on_share
    rows = {
        "size": f"{count_text(info.bytes)} bytes" if info.bytes else "",
        "sensor": f"{width}x{height} pixels, {SIZE_FROM[info.sensor_from]}",
        "cameras": _cameras(info),
        "events": f"{count_text(info.events)}: {info.on_share:.1%} ON, {off:.1%} OFF",
        "time": f"{info.first_us / 1e6:.6f} s to {info.last_us / 1e6:.6f} s, {seconds_text(info.duration)} long",
        "rate": _rate(info),
        "bad": f"{counted(info.bad_events, 'event')} left out" if info.bad_events else "no event",
        "hot pixels": _hot(info),
    }
    lines = [f"{info.source} ({info.format})"]
    lines += [f"  {name:<10}  {text}" for name, text in rows.items() if text]
    return lines + [f"  note        {note}" for note in info.notes]


def _cameras(info: RecordingInfo) -> str:
    listed = ", ".join(f"{number} ({name})" if name else number for number, name in info.cameras.items())
    return f"{listed}; this is {info.camera}" if listed and info.camera is not None else listed


def _rate(info: RecordingInfo) -> str:
    if info.mean_rate is None or info.peak_rate is None:
        return "unknown: all events have one time"
    return f"{rate_text(info.mean_rate)} on average, {rate_text(info.peak_rate)} at most over 10 ms"


def _hot(info: RecordingInfo) -> str:
    hot = info.hot_pixels
    if hot is None or info.active_pixels is None:
        return "not looked for: the sensor is too large for a map"
    if not hot:
        return f"none of {counted(info.active_pixels, 'active pixel')}"
    share = sum(pixel.events for pixel in hot) / info.events
    named = ", ".join(f"({pixel.x}, {pixel.y}) {count_text(pixel.events)}" for pixel in hot[:SHOWN])
    more = ", ..." if len(hot) > SHOWN else ""
    return f"{len(hot)} of {count_text(info.active_pixels)} active ones, {share:.1%} of the events: {named}{more}"
