"""The options of event commands by which events are filtered before they become frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import PATH, require_apart, require_output, together
from nirbridge.cli.output import echo
from nirbridge.cli.quantities import microseconds
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge_events import EventFilter, Recording


def parse_filters(_context: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[EventFilter]:
    """The filters that the option names, in its order.

    Raises:
        InputError: one of them is no filter.
        FileError: a file of hot pixels cannot be read.
    """
    if not values:
        return []
    from nirbridge_events.filters import parse_filter

    option = param.opts[0]
    return [parse_filter(text, lambda value: microseconds(option, value, "a length", 1)) for text in values]


filter_option = click.option(
    "--filter",
    "filters",
    metavar="NAME=VALUE",
    multiple=True,
    callback=parse_filters,
    help="Takes events out, in the order given, and counts them: hot-pixels=learn[:1s] or =FILE (.npy mask, or "
    "lines x,y), background=5ms, refractory=1ms, rate=2M (events a second), roi=X,Y,WxH, polarity=on|off.",
)
"""For commands on many recordings, of which each would have hot pixels of its own."""
filter_options = together(
    filter_option,
    click.option(
        "--save-hot-pixels", type=PATH, metavar="MASK.npy", help="Write the mask of --filter hot-pixels, bool [H, W]."
    ),
)


def require_apart_from(
    read: Sequence[str | Path | None], written: Sequence[Path | None], flags: dict[str, Any]
) -> None:
    """What is read stays, but for a mask of hot pixels, to which others may be added.

    Raises:
        InputError: an output is one of the files that are read, or another output.
    """
    masks = (getattr(one, "given", None) for one in flags["filters"])
    require_apart(written, [*read, *(Path(mask) for mask in masks if isinstance(mask, (str, os.PathLike)))])
    require_apart([*written, flags["save_hot_pixels"]], read)


def require_filter_target(flags: dict[str, Any]) -> None:
    """Refuses a file for hot pixels that cannot be written, or that nothing would be written to.

    Raises:
        InputError: it is so.
        FileError: it cannot be written there.
    """
    target = flags["save_hot_pixels"]
    if target is None:
        return
    if all(one.name != "hot-pixels" for one in flags["filters"]):
        found = "has nothing to write, because no filter finds hot pixels"
        raise InputError("option --save-hot-pixels", found, "Add --filter hot-pixels=learn")
    require_output(target, ".npy")


def save_hot_pixels(recording: Recording, flags: dict[str, Any]) -> None:
    """Writes the mask that the last pass knew, if that was asked for."""
    import numpy as np

    from nirbridge.files import whole_file

    target = flags["save_hot_pixels"]
    if target is None:
        return
    mask = recording.current.filters.hot_pixels
    if mask is None:
        echo(f"Warning: {target} is not written: the stream ended before its hot pixels were learned.", err=True)
        return
    with whole_file(target) as file:
        np.save(file, mask)
    echo(f"{target}: {int(mask.sum())} hot pixels of {mask.shape[1]}x{mask.shape[0]}.", err=True)
