"""Films as .gif and .mp4, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from nirbridge.errors import ExecutionError
from nirbridge.files import whole_file
from nirbridge.pictures import new_figure
from nirbridge.pictures.libraries import ffmpeg_program
from nirbridge.pictures.saving import DPI
from nirbridge.plotting.film import Film

Progress = Callable[[Iterable[int]], Iterable[int]]
_COLOURS = 96
_FASTEST = 50
"""Pictures a second of a .gif, which counts in hundredths of a second: programs show those of one as if of ten."""


def save_gif(film: Film, path: str | os.PathLike[str], fps: float, progress: Progress) -> None:
    """Writes a film that begins again when it ends.

    Raises:
        FileError: the file cannot be written.
    """
    from PIL import Image

    pictures = (Image.fromarray(film.picture(step)) for step in progress(film.steps))
    fast, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE
    first, *others = [picture.quantize(_COLOURS, fast, dither=plain) for picture in pictures]
    ends = [round(100 * number / min(fps, _FASTEST)) for number in range(len(others) + 2)]
    lengths = [10 * (end - begin) for begin, end in pairwise(ends)]
    with whole_file(path) as file:
        first.save(file, format="GIF", save_all=True, append_images=others, duration=lengths, loop=0, optimize=False)


def save_mp4(film: Film, path: str | os.PathLike[str], fps: float, progress: Progress) -> None:
    """Writes a film in H.264, by matplotlib and the ffmpeg of imageio-ffmpeg.

    ffmpeg seeks in what it writes, so it gets a file of its own, which is copied when it is whole.

    Raises:
        InputError: there is no ffmpeg.
        ExecutionError: it failed.
        FileError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.animation import FFMpegWriter

    first = film.picture(film.steps[0])
    # H.264 halves the grid of colours, so both sides are even.
    height, width = (side - side % 2 for side in first.shape[:2])
    figure = new_figure(width / DPI, height / DPI)
    image = figure.figimage(first[:height, :width])
    pictures_a_second: Any = fps  # FFMpegWriter hands on any number, whatever its annotation says
    writer = FFMpegWriter(fps=pictures_a_second, codec="libx264", extra_args=["-pix_fmt", "yuv420p"])
    settings = {"animation.ffmpeg_path": ffmpeg_program()}
    with tempfile.TemporaryDirectory() as folder, rc_context(settings), whole_file(path) as file:
        place = Path(folder) / "film.mp4"
        try:
            with writer.saving(figure, str(place), DPI):
                for step in progress(film.steps):
                    image.set_data(film.picture(step)[:height, :width])
                    writer.grab_frame()
            file.write(place.read_bytes())
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise ExecutionError("ffmpeg", f"made no film ({error})", "Draw a .gif") from error
