"""One panel of a picture: axes over time, and a key at the right that covers no data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np

from nirbridge.pictures.names import short_name
from nirbridge.plotting.clock import Clock
from nirbridge.reports import drawable, shape_text
from nirbridge.runtime import PlannedNode

KEY_SIZE = 8
_KEY_LINE = 25
"""Characters of a line in a key."""
LASTING = ("threshold", "reset")
"""The ``gid`` of lines that hold at all times."""
FEW_STEPS = 40
"""So few steps of a line are dots too: one of a single step would be nothing."""


@dataclass(frozen=True)
class Space:
    """Where a panel is drawn.

    Attributes:
        axis: over time.
        key: at its right, without a frame.
        clock: of the time axis.
        width: of the axis, about, in points.
        height: likewise.
    """

    axis: Any
    key: Any
    clock: Clock
    width: float
    height: float


@dataclass(frozen=True)
class Panel:
    """What stands in a panel.

    Attributes:
        title: above it.
        height: in inches.
        draw: draws it.
    """

    title: str
    height: float
    draw: Callable[[Space], None]


def title_of(planned: PlannedNode, suffix: str = "", words: str = "") -> str:
    """The node's name with its type and shape, and which of its neurons are shown."""
    kind = f"{type(planned.node).__name__} {shape_text(planned.output_shape)}"
    return ", ".join(filter(None, [f"{short_name(planned.name, 44)}{suffix} ({kind})", drawable(words)]))


def dots(times: Sequence[float] | Any) -> dict[str, Any]:
    """The style of a line with as many steps."""
    return {"marker": "o", "markersize": 2.6} if len(times) <= FEW_STEPS else {}


def draw_key(space: Space, entries: Iterable[tuple[Any, str]], title: str = "") -> None:
    """A legend beside the panel, whose texts are drawable."""
    handles, labels = zip(*entries, strict=True)
    space.key.legend(
        handles,
        [fill(label, _KEY_LINE) for label in labels],
        title=title,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.0,
        borderpad=0.0,
        frameon=False,
        fontsize=KEY_SIZE,
        title_fontsize=KEY_SIZE,
        alignment="left",
        handlelength=1.4,
        labelspacing=0.3,
    )


def colour_bar(space: Space, image: Any) -> None:
    """The colours of an image, beside it."""
    bar = space.axis.figure.colorbar(image, cax=space.key.inset_axes((0.0, 0.0, 0.09, 1.0)))
    bar.ax.tick_params(labelsize=KEY_SIZE)
    bar.outline.set_linewidth(0.5)


def number_neurons(axis: Any, numbers: Any) -> None:
    """Ticks at rows are the numbers of neurons."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def name(row: float, _: int | None) -> str:
        place = int(np.rint(row))
        return f"{numbers[place]}" if 0 <= place < len(numbers) and abs(row - place) < 1e-6 else ""

    axis.set_ylim(-0.5, len(numbers) - 0.5)
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axis.yaxis.set_major_formatter(FuncFormatter(name))
    axis.set_ylabel("neuron")
