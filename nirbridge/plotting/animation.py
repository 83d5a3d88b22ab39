"""A film of a picture: the input's frames at the left, panels that grow with time at the right."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.files import whole_file
from nirbridge.pictures import polarity_image
from nirbridge.pictures.saving import DPI
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.figure import draw_sheet
from nirbridge.plotting.panel import Panel
from nirbridge.plotting.score import running_score
from nirbridge.reports import drawable
from nirbridge.runtime import Array

MOST_PICTURES = 300
"""More steps than these are several a picture."""
FRAME_INCHES = 3.0
_COVER = 2.9
"""Above lines and images, below the axes' own frame."""
Numbers = Callable[[Iterable[int]], Iterable[int]]


class Film:
    """Pictures of a growing sheet; all panels are drawn once, and a white cover over what is still to come moves.

    Attributes:
        steps: the last step that each picture shows.
    """

    def __init__(self, activity: Activity, panels: Sequence[Panel], title: str) -> None:
        self._activity = activity
        self._frames = _frames_of(activity)
        side = 0.0 if self._frames is None else FRAME_INCHES
        self._sheet = draw_sheet(panels, activity.clock, title, side)
        self._score = next(filter(None, (running_score(activity, name) for name in activity.plan.outputs)), None)
        stride = -(-activity.clock.steps // MOST_PICTURES)
        self.steps = [*range(stride - 1, activity.clock.steps, stride)]
        if self.steps[-1] != activity.clock.steps - 1:
            self.steps.append(activity.clock.steps - 1)
        self._covers = [self._cover(axis) for axis in self._sheet.axes]
        self._image = None if self._frames is None else self._sheet.side.imshow(self._frames[0], interpolation="nearest")
        self._settle()

    @property
    def figure(self) -> Any:
        """Of matplotlib; it shows the step of the last :meth:`show`."""
        return self._sheet.figure

    def show(self, step: int) -> None:
        """Uncovers all up to ``step`` of the time axis."""
        for cover in self._covers:
            cover.set_x(step + 0.5)
        if self._image is not None and self._frames is not None:
            number = int(step / self._activity.clock.finest)
            self._image.set_data(self._frames[number])
            self._sheet.side.set_title(self._caption(step, number), fontsize=9, loc="left")

    def _caption(self, step: int, number: int) -> str:
        factor, unit = self._activity.clock.unit
        lines = [f"input frame {number}, {(step + 1) * factor:.4g} {unit}"]
        if self._score is not None:
            decision = self._score.decision_at(step)
            lines.append("no decision yet" if decision is None else f"decision so far: class {decision}")
        return "\n".join(lines)

    def _cover(self, axis: Any) -> Any:
        from matplotlib.patches import Rectangle

        steps = self._activity.clock.steps
        cover = Rectangle((0, 0), steps + 1, 1, transform=axis.get_xaxis_transform(), fc="white", ec="none", zorder=_COVER)
        axis.add_patch(cover)
        for line in axis.lines:  # what holds at all times stays in sight
            if line.get_gid() in ("threshold", "reset"):
                line.set_zorder(_COVER + 0.1)
        return cover

    def _settle(self) -> None:
        """Places everything once, with the longest caption, so that nothing jumps from picture to picture."""
        if self._sheet.side is not None:
            self._sheet.side.set(xticks=[], yticks=[])
            self._sheet.side.set_xlabel(drawable(_legend(self._activity)), fontsize=8, loc="left")
        self.show(self.steps[-1])
        self.figure.set_dpi(DPI)
        _canvas(self.figure).draw()
        self.figure.set_layout_engine("none")

    def pictures(self, progress: Numbers) -> Iterable[Array]:
        """Each picture as RGB [height, width, 3]."""
        canvas = _canvas(self.figure)
        for step in progress(self.steps):
            self.show(step)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3]


def save_gif(film: Film, path: str | os.PathLike[str], fps: float, progress: Numbers) -> None:
    """Writes a film that runs for ever."""
    from PIL import Image

    palette = Image.Dither.NONE
    first, *others = [Image.fromarray(p).quantize(colors=96, dither=palette) for p in film.pictures(progress)]
    with whole_file(path) as file:
        first.save(
            file, format="GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0, optimize=False
        )


def save_mp4(film: Film, path: str | os.PathLike[str], fps: float, progress: Numbers) -> None:
    """Writes a film by the ffmpeg of imageio-ffmpeg.

    ffmpeg seeks in what it writes, so it gets a file of its own, which is copied when it is whole.
    """
    import imageio_ffmpeg
    from matplotlib import rc_context
    from matplotlib.animation import FFMpegWriter

    settings = {"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()}
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"]  # H.264 halves the colours' grid
    with tempfile.TemporaryDirectory() as folder, rc_context(settings), whole_file(path) as file:
        place = Path(folder) / "film.mp4"
        writer = FFMpegWriter(fps=fps, codec="libx264", extra_args=["-pix_fmt", "yuv420p", *even])
        with writer.saving(film.figure, str(place), DPI):
            for step in progress(film.steps):
                film.show(step)
                writer.grab_frame()
        file.write(place.read_bytes())


def _canvas(figure: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)


def _image_input(activity: Activity) -> str | None:
    """The first input whose frames are pictures: [H, W], or one or two channels of it."""
    fits = (name for name, x in activity.inputs.items() if x.ndim == 3 or (x.ndim == 4 and x.shape[1] in (1, 2)))
    return next(fits, None)


def _frames_of(activity: Activity) -> Array | None:
    """[T, H, W, 3] of the input; None where its frames are no pictures."""
    name = _image_input(activity)
    if name is None:
        return None
    x = np.asarray(activity.inputs[name], dtype=np.float64)
    if x.ndim == 4 and x.shape[1] == 2:
        return np.stack([polarity_image(frame, float(x.max(initial=0)) or 1.0) for frame in x])
    grey = x if x.ndim == 3 else x[:, 0]
    low, high = min(float(grey.min()), 0.0), float(grey.max())
    shade = np.rint(255 * (1 - (grey - low) / (high - low or 1.0))).astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=-1)


def _legend(activity: Activity) -> str:
    name = _image_input(activity)
    x = activity.inputs[name] if name is not None else np.zeros((1, 1, 1))
    return "ON orange, OFF blue, both violet" if x.ndim == 4 and x.shape[1] == 2 else "darker is more"
