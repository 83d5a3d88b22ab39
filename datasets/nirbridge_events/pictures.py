"""Pictures of frames and their lanes: a .png of some windows, or a .gif of all of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge.pictures import new_figure, polarity_image, require_libraries
from nirbridge.pictures.polarity import Image
from nirbridge.reports import drawable
from nirbridge_events.pixels import FloatFrame
from nirbridge_events.settings import EncoderSettings
from nirbridge_events.viewing.snapshots import channels, lane_numbers, shrunk
from nirbridge_events.windows import Window

COLUMNS = 6
LARGEST_FILM = 2000
FILM_SIDE = 480
SHORTEST_PICTURE = 40.0
# A cell of a sheet has about so many pixels.  Frames larger than that, or than FILM_SIDE, are merged by max.
CELL_PIXELS = 240
LANE_COLOURS = ("#ffffff", "#9ecae1", "#4292c6", "#08519c", "#54278f", "#2b0a3d")

_NEEDS = {".png": "matplotlib", ".gif": "PIL"}


class Gallery(Protocol):
    """Looks at windows as they pass, then draws."""

    def watch(self, windows: Iterator[Window]) -> Iterator[Window]:
        """The same windows; what the picture needs of them is kept."""

    def save(self, file: BinaryIO) -> None:
        """Writes the picture."""


def gallery_for(suffix: str, settings: EncoderSettings, name: str) -> Gallery:
    """What draws a ".png" or a ".gif".

    Raises:
        InputError: the package that draws it is not installed.
    """
    require_drawing(suffix)
    return Sheet(settings, name) if suffix == ".png" else Film(settings, name)


def require_drawing(suffix: str) -> None:
    """Refuses a ".png" or a ".gif" without the package that draws it.

    Raises:
        InputError: it is not installed.
    """
    require_libraries(f"a {suffix} picture", _NEEDS[suffix])


def _polarity_image(values: FloatFrame, settings: EncoderSettings) -> npt.NDArray[np.uint8]:
    """Channels [P, H, W] as RGB; what decays to nothing is seen to."""
    return polarity_image(values, faintest=0.0) if settings.coding == "time-surface" else polarity_image(values)


def level_map(values: FloatFrame, settings: EncoderSettings) -> npt.NDArray[np.float32]:
    """The largest value of a pixel over the polarities [H, W]; with "one-hot" its lane plus one."""
    levels = lane_numbers(values) if settings.coding == "one-hot" else values
    return np.asarray(levels.max(axis=0), dtype=np.float32)


class Sheet:
    """Windows spread evenly over the recording, each as events above and as lanes or values below.

    Which windows are even is known at the end only, so at most ``2·COLUMNS`` of them are kept on the way: whenever
    there are more, every second is dropped and from then on only every second one is taken.
    """

    def __init__(self, settings: EncoderSettings, name: str) -> None:
        self._settings, self._name = settings, name
        self._kept: list[Window] = []
        self._stride, self._count, self._events = 1, 0, 0

    def watch(self, windows: Iterator[Window]) -> Iterator[Window]:
        """See ``Gallery.watch``."""
        for window in windows:
            if self._count % self._stride == 0:
                self._kept.append(window)
            self._count += 1
            self._events += window.events
            if len(self._kept) > 2 * COLUMNS:
                self._kept = self._kept[::2]
                self._stride *= 2
            yield window

    def save(self, file: BinaryIO) -> None:
        """See ``Gallery.save``."""
        shown = self._shown()
        images = [shrunk(channels(window.frames, self._settings), CELL_PIXELS) for window in shown]
        figure = new_figure(*self._figure_size(len(shown)))
        axes = figure.subplots(2, len(shown), squeeze=False)
        mapped = None
        colours = self._colours(images)
        for column, (window, values) in enumerate(zip(shown, images, strict=True)):
            axes[0, column].imshow(_polarity_image(values, self._settings), interpolation="nearest")
            span = f"{window.t_start / 1e3:g}–{window.t_end / 1e3:g} ms"
            axes[0, column].set_title(f"{span}\n{window.events} events", fontsize=9)
            levels = level_map(values, self._settings)
            mapped = axes[1, column].imshow(levels, interpolation="nearest", **colours)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
        axes[0, 0].set_ylabel(
            "events: ON red, OFF blue" if self._settings.polarity != "merge" else "events", fontsize=9
        )
        one_hot = self._settings.coding == "one-hot"
        axes[1, 0].set_ylabel("lanes" if one_hot else "values", fontsize=9)
        bar = figure.colorbar(mapped, ax=axes[1, :], fraction=0.02, pad=0.01)
        if one_hot:
            lanes = range(self._settings.lanes + 1)
            bar.set_ticks(list(lanes), labels=["none", *(f"lane {s}: {2**s}" for s in range(self._settings.lanes))])
        bar.ax.tick_params(labelsize=8)
        figure.suptitle(self._title(), fontsize=10)
        figure.savefig(file, format="png", dpi=120)

    def _shown(self) -> list[Window]:
        if not self._kept:
            raise InputError("picture", "there is no frame to draw", "Check the recording and the window")
        places = np.unique(np.linspace(0, len(self._kept) - 1, COLUMNS).round().astype(int))
        return [self._kept[place] for place in places]

    def _figure_size(self, columns: int) -> tuple[float, float]:
        width, height = self._settings.frame_size
        cell = 2.1
        return max(5.5, cell * columns + 1.0), max(3.2, 2 * cell * min(1.6, height / width) + 0.9)

    def _colours(self, images: list[FloatFrame]) -> dict[str, Any]:
        from matplotlib.colors import LinearSegmentedColormap

        if self._settings.coding != "one-hot":
            largest = max(float(level_map(values, self._settings).max()) for values in images)
            cmap = LinearSegmentedColormap.from_list("values", LANE_COLOURS)
            return {"cmap": cmap, "vmin": 0, "vmax": max(largest, 1)}
        levels = self._settings.lanes + 1
        cmap = LinearSegmentedColormap.from_list("lanes", LANE_COLOURS[: max(levels, 2)], N=levels)
        return {"cmap": cmap, "vmin": -0.5, "vmax": levels - 0.5}

    def _title(self) -> str:
        settings = self._settings
        return (
            f"{drawable(self._name)}: {self._events} events, {self._count} windows of {settings.length_text}, "
            f"coding '{settings.coding}', frames {'×'.join(map(str, settings.frame_shape))}"
        )


class Film:
    """Every window as one picture of a film: the events at the left, the lanes or values at the right.

    A film plays as fast as it was recorded, but no picture is shorter than 40 ms.

    Raises:
        InputError: there are more windows than LARGEST_FILM, none, or one picture that stands too long for the format.
    """

    def __init__(self, settings: EncoderSettings, name: str) -> None:
        self._settings, self._name = settings, name
        self._pictures: list[Any] = []
        self._lengths: list[float] = []
        """ms that each picture stands."""

    def watch(self, windows: Iterator[Window]) -> Iterator[Window]:
        """See ``Gallery.watch``."""
        for window in windows:
            if len(self._pictures) >= LARGEST_FILM:
                found = f"{self._name} has more than {LARGEST_FILM} windows"
                raise InputError("a .gif picture", found, "Use a longer window, or a .png")
            self._pictures.append(self._picture(window))
            self._lengths.append(max(SHORTEST_PICTURE, (window.t_end - window.t_start) / 1000))
            yield window

    def save(self, file: BinaryIO) -> None:
        """See ``Gallery.save``."""
        if not self._pictures:
            raise InputError("picture", "there is no frame to draw", "Check the recording and the window")
        first, *others = self._pictures
        # The format counts hundredths of a second, in 16 bits; equal pictures that follow each other become one.
        ends = 10 * np.rint(np.cumsum(self._lengths) / 10)
        duration = np.diff(ends, prepend=0).astype(int).tolist()
        try:
            first.save(
                file, format="GIF", save_all=True, append_images=others, duration=duration, loop=0, optimize=False
            )
        except struct.error as error:
            found = "would show a picture for more than 655 s, which the format cannot"
            raise InputError("a .gif picture", found, "Use shorter windows, or a .png") from error

    def _picture(self, window: Window) -> Any:
        from PIL import Image as Pillow

        values = shrunk(channels(window.frames, self._settings), FILM_SIDE)
        zoom = max(1, FILM_SIDE // max(values.shape[1:]))
        left, right = _polarity_image(values, self._settings), self._level_image(values)
        gap = np.full((left.shape[0], max(1, left.shape[1] // 16), 3), 128, dtype=np.uint8)
        both = np.concatenate((left, gap, right), axis=1)
        size = (both.shape[1] * zoom, both.shape[0] * zoom)
        large = Pillow.fromarray(both).resize(size, Pillow.Resampling.NEAREST)
        return large.quantize(colors=64, dither=Pillow.Dither.NONE)

    def _level_image(self, values: FloatFrame) -> Image:
        levels = level_map(values, self._settings)
        top = len(LANE_COLOURS) - 1
        largest = max(float(levels.max(initial=0)), 1.0)
        ramp = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in LANE_COLOURS], dtype=np.float64)
        # A lane has its colour whatever the number of lanes; other values fill the ramp.
        place = np.minimum(levels, top) if self._settings.coding == "one-hot" else levels / largest * top
        low = np.floor(place).astype(int)
        part = (place - low)[..., None]
        mixed = ramp[low] * (1 - part) + ramp[np.minimum(low + 1, top)] * part
        return np.asarray(np.rint(mixed), dtype=np.uint8)
