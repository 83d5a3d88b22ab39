"""The options by which both event commands say which events count, and where windows begin and end."""

from __future__ import annotations

from typing import Any

import click

from nirbridge.cli.common import together
from nirbridge.cli.quantities import microseconds, parse_time, parsed
from nirbridge.errors import InputError


@parsed
def parse_start(text: str, option: str) -> int | str:
    """A time as of ``parse_time``, or "first" or "zero"."""
    return text if text in ("first", "zero") else microseconds(option, text, "first, zero or a time", 0)


jitter_option = click.option(
    "--jitter",
    metavar="DURATION",
    callback=parse_time,
    help="How far events may come out of order; they are sorted back. 1ms if not given.",
)
grid_options = together(
    click.option(
        "--start",
        metavar="first|zero|TIME",
        callback=parse_start,
        help="Where window 0 begins, on the recording's own clock: at its first event (the default), at its time 0, "
        "or at a time as 100ms. Events before it are counted and left out.",
    ),
    click.option(
        "--end",
        metavar="TIME",
        callback=parse_time,
        help="Where windows end, on the same clock, as 1.5s, whether events come until there or not.",
    ),
    click.option(
        "--per-events",
        type=click.IntRange(1),
        metavar="N",
        help="Windows of N events, instead of --window; not for voxel.",
    ),
    click.option(
        "--bad-events",
        type=click.Choice(["error", "skip"]),
        help="What becomes of events off the sensor, times that go back and unknown words: the first ends the reading, "
        "or all are left out and counted. If not given: error for recordings, skip for live sources.",
    ),
    jitter_option,
)
"""Which events count, and where windows begin and end."""


def grid(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``FrameEncoder`` that the options give, but for ``per_events``.

    Raises:
        InputError: two options exclude each other.
    """
    if flags["per_events"] is not None:
        for other, why in (("window", "both say the length of a window"), ("max_gap", "gaps are between times")):
            if flags[other] is not None:
                found = f"does not go with --{other.replace('_', '-')}: {why}"
                raise InputError("option --per-events", found, "Give one of them")
    return {name: flags[name] for name in ("start", "end", "max_gap") if flags[name] is not None}
