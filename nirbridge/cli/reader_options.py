"""The options of both event commands by which a user says what a recording leaves open."""

from __future__ import annotations

import click

from nirbridge.cli.common import together

reader_options = together(
    click.option(
        "--columns",
        metavar="NAMES",
        help="Columns of a table without names, as x,y,p,t; '_' stands for one without use.",
    ),
    click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of a table's times."),
    click.option("--camera", metavar="NAME|NUMBER", help="Which camera to read, where a recording holds several."),
    click.option("--sample", type=click.IntRange(0), help="Which sample to read, where a file holds several."),
)
"""How a recording is read: arguments of ``nirbridge_events.open_recording``."""
