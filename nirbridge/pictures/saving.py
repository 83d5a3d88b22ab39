"""Figures into files, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.files import whole_file

DPI = 110
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Without a date in it the same picture is the same file."""


def pixels_of(figure: Any) -> NDArray[np.uint8]:
    """The figure as RGB [height, width, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def save_figure(figure: Any, path: str | os.PathLike[str], form: str = "png") -> None:
    """Writes a figure as "png", "svg" or "pdf".

    Raises:
        FileError: the file cannot be written.
    """
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "nirbridge"}), whole_file(path) as file:
        figure.savefig(file, format=form, dpi=DPI, metadata=_UNDATED.get(form))
