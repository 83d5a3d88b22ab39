"""Figures into files, whole or not at all."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nirbridge.files import require_suffix, whole_file

DPI = 110
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Without a date in it the same picture is the same file."""


def pixels_of(figure: Any) -> NDArray[np.uint8]:
    """The figure as RGB [height, width, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _settle(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def save_figure(figure: Any, path: str | os.PathLike[str], form: str = "png") -> None:
    """Writes a figure as "png", "svg" or "pdf".

    Raises:
        InputError: the file is named as one of another kind.
        FileError: it cannot be written.
    """
    require_named(path, form)
    with whole_file(path) as file:
        if form == "png":
            file.write(png_of(figure))
        else:
            _write_lines(figure, file, form)


def require_named(path: str | os.PathLike[str], form: str = "png") -> None:
    """Refuses a file that is named as a picture of another kind; pipes and devices have no such names.

    Raises:
        InputError: so.
    """
    require_suffix(path, f".{form}")


def png_of(figure: Any) -> bytes:
    """The figure as a PNG without the transparency that matplotlib adds, which costs a tenth of the bytes."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels_of(figure)).save(file, "PNG", optimize=True)
    return file.getvalue()


def _settle(figure: Any) -> None:
    """Places everything once: matplotlib's layout would move it by fractions of a pixel each time it is drawn."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure.set_dpi(DPI)
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def _write_lines(figure: Any, file: BinaryIO, form: str) -> None:
    from matplotlib import rc_context

    _settle(figure)
    with rc_context({"svg.hashsalt": "nirbridge"}):
        figure.savefig(file, format=form, dpi=DPI, metadata=_UNDATED[form])
