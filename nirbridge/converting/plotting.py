"""The report of a conversion as a picture: error, activity and range of every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nirbridge.converting.measuring import LayerError, Report
from nirbridge.errors import InputError
from nirbridge.pictures import new_figure, save_figure
from nirbridge.reports import counted, drawable, span

_BLUE, _ORANGE, _RED, _GREY = "#3b75af", "#e0812c", "#b2182b", "#666666"
_ERRORS = ("accumulated", "error", _BLUE), ("of the layer's own code", "own_error", _ORANGE)
_SHARES = (
    ("spikes a neuron", "rate", _BLUE),
    ("silent neurons", "silent", _GREY),
    ("values cut off", "clipped", _ORANGE),
    ("values too small", "below", _RED),
)
"""Of each bar its label, the field of a layer and its colour."""
_SHOWN_NAME = 22
_FEWEST_COLUMNS = 5
"""The room of so many layers is kept, so that one bar is no wall."""


def draw(report: Report, path: Path) -> None:
    """Writes three rows of bars, a column for each layer.

    Raises:
        InputError: the network has no spiking layer.
    """
    if not report.layers:
        raise InputError("report", "has no spiking layer to draw", "Leave the plot away")
    layers = report.layers
    width = min(max(9.0, 0.42 * len(layers) + 3.5), 26.0)
    figure = new_figure(width, 7.6)
    axes = figure.subplots(3, 1, sharex=True)
    _bars(axes[0], layers, _ERRORS, "error, % of the\nactivations' power")
    _bars(axes[1], layers, _SHARES, "share, %")
    _range_row(axes[2], layers)
    margin = max(0.7, (_FEWEST_COLUMNS - len(layers)) / 2)
    axes[2].set_xlim(-margin, len(layers) - 1 + margin)
    axes[2].set_xticks(
        range(len(layers)), [_short(layer.name) for layer in layers], rotation=60, ha="right", fontsize=8
    )
    figure.suptitle(_title(report), fontsize=11)
    save_figure(figure, path)


def _short(name: str) -> str:
    return drawable(name if len(name) <= _SHOWN_NAME else f"…{name[1 - _SHOWN_NAME :]}")


def _title(report: Report) -> str:
    options, latency = report.options, report.latency
    if report.method == "one-spike":
        bits = options["weight_bits"]
        several = f"{options['spikes']} spikes, " if options["spikes"] > 1 else ""
        bases = span(layer.base for layer in report.layers)
        kind = f"{several}T = {options['phases']}, wait {options['wait']}, Q = {bases}"
        kind += f", INT{bits}" if bits else ""
    else:
        kind = f"T = {options['steps']}"
    return (
        f"{report.method} conversion ({kind}): same answer for {report.agreement:.1%} of the decisions\n"
        f"{latency['one_image']} steps an image; {counted(latency['images'], 'image')}: "
        f"{latency['pipelined']} steps pipelined, {latency['sequential']} one by one"
    )


def _bars(axis: Any, layers: tuple[LayerError, ...], kinds: tuple[tuple[str, str, str], ...], unit: str) -> None:
    """A bar for each kind, side by side."""
    wide = 0.8 / len(kinds)
    for place, (label, name, colour) in enumerate(kinds):
        heights = [100 * getattr(layer, name) for layer in layers]
        places = [x + wide * (place - (len(kinds) - 1) / 2) for x in range(len(layers))]
        axis.bar(places, heights, wide - 0.01, label=label, color=colour)
    axis.set_ylabel(unit)
    axis.set_ylim(0, max(max(axis.get_ylim()), 1.0))
    _legend(axis, len(kinds))


def _range_row(axis: Any, layers: tuple[LayerError, ...]) -> None:
    low, high = zip(*(layer.scale for layer in layers), strict=True)
    axis.vlines(range(len(layers)), low, high, color=_BLUE, lw=4)
    axis.plot(range(len(layers)), high, "_", color=_BLUE, ms=10, label="smallest to largest λ of a channel")
    axis.plot(range(len(layers)), low, "_", color=_BLUE, ms=10)
    axis.set_yscale("log")
    axis.set_ylabel("λ, in the analog\nnetwork's units")
    _legend(axis, 1)


def _legend(axis: Any, columns: int) -> None:
    """Above the axes, where no bar can be."""
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
    axis.legend(**place, fontsize=8, frameon=False, ncols=columns)
