"""The options of both event commands by which a user says what a recording leaves open."""

from __future__ import annotations

from typing import Any

import click

from nirbridge.cli.common import F, with_options

_READER_OPTIONS = (
    click.option(
        "--columns",
        metavar="NAMES",
        help="Columns of a table without names, as x,y,p,t; '_' stands for one without use.",
    ),
    click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of a table's times."),
    click.option("--camera", metavar="NAME|NUMBER", help="Which camera to read, where a recording holds several."),
    click.option("--sample", type=click.IntRange(0), help="Which sample to read, where a file holds several."),
)
_NAMES = ("columns", "time_unit", "camera", "sample")


def reader_options(function: F) -> F:
    """Adds the options that say how a recording is read."""
    return with_options(_READER_OPTIONS, function)


def reader_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's flags that ``nirbridge_events.open_recording`` takes."""
    return {name: flags[name] for name in _NAMES}
