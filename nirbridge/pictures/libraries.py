"""The libraries that pictures need, which are no part of the smallest installation."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from nirbridge.errors import InputError

PACKAGES = {"matplotlib": "matplotlib", "PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg"}
"""Module → the package that holds it."""


def require_libraries(what: str, *modules: str) -> None:
    """Asks for libraries before minutes of work end in front of a missing one.

    Raises:
        InputError: one is not installed.
    """
    missing = [PACKAGES[module] for module in modules if find_spec(module) is None]
    if missing:
        names = " and ".join(missing)
        found = f"needs {names}, which {'are' if len(missing) > 1 else 'is'} not installed"
        raise InputError(what, found, f"Run: pip install {' '.join(missing)}")


def ffmpeg_program() -> str:
    """Where the ffmpeg of imageio-ffmpeg is.

    Raises:
        InputError: it is not installed, or has no program for this machine.
    """
    require_libraries("a .mp4 picture", "imageio_ffmpeg")
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        found = "imageio-ffmpeg has no ffmpeg for this machine"
        raise InputError("a .mp4 picture", found, "Name one in IMAGEIO_FFMPEG_EXE, or draw a .gif") from error


def new_figure(width: float, height: float) -> Any:
    """An empty figure in inches, of no window and no list of open ones: a program's own pictures stay as they are.

    Raises:
        InputError: matplotlib is not installed.
    """
    require_libraries("a picture", "matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
