"""A picture of a network at work, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nirbridge.errors import InputError
from nirbridge.files import is_stream
from nirbridge.pictures import require_libraries, save_figure
from nirbridge.pictures.libraries import ffmpeg_program
from nirbridge.pictures.saving import png_of
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.analog import analog_panel
from nirbridge.plotting.figure import draw_sheet
from nirbridge.plotting.film import Film, steps_a_picture
from nirbridge.plotting.film_files import Progress, save_gif, save_mp4
from nirbridge.plotting.membrane import membrane_panel
from nirbridge.plotting.panel import Panel
from nirbridge.plotting.raster import raster_panel
from nirbridge.plotting.rates import rates_panel
from nirbridge.plotting.score import score_panel
from nirbridge.runtime import sends_spikes

STILLS, FILMS = (".png", ".svg", ".pdf"), (".gif", ".mp4")
SUFFIXES = (*STILLS, *FILMS)
"""Of the files that a picture can be saved as."""
FRAMES_A_SECOND = 10
"""Of a film."""
_NEEDS = {".gif": ("matplotlib", "PIL"), ".mp4": ("matplotlib", "imageio_ffmpeg")}


@dataclass(frozen=True)
class Picture:
    """What ``nirbridge.plot`` gives back; a notebook shows it.

    Attributes:
        figure: the still, of matplotlib.
        notes: what was left out of it, a line each.
        activity: what the network did.
        names: the nodes and membranes that have a panel.
        neurons: those that were asked for.
        title: above the panels.
    """

    figure: Any
    notes: tuple[str, ...]
    activity: Activity
    names: tuple[str, ...]
    neurons: Sequence[int] | None
    title: str

    def save(
        self, path: str | os.PathLike[str], fps: float = FRAMES_A_SECOND, progress: Progress | None = None
    ) -> None:
        """Writes the picture, whole or not at all: a still, or by .gif and .mp4 a film of it.

        Args:
            path: with a suffix of ``SUFFIXES``; a pipe without one gets a PNG.
            fps: pictures a second of a film, of a .gif at most 50.
            progress: wraps the pictures of a film to show how far it is.

        Raises:
            InputError: the suffix is unknown, or a library is missing.
            FileError: the file cannot be written.
        """
        suffix = picture_suffix(path)
        if suffix in STILLS:
            save_figure(self.figure, path, suffix[1:])
            return
        film = Film(self.activity, panels_of(self.activity, self.names, self.neurons), self.title)
        (save_gif if suffix == ".gif" else save_mp4)(film, path, fps, progress or (lambda numbers: numbers))

    def film_notes(self) -> tuple[str, ...]:
        """What a film leaves out beside the ``notes``."""
        steps, stride = self.activity.clock.steps, steps_a_picture(self.activity.clock)
        return () if stride == 1 else (f"the film has a picture for every {stride} of its {steps} steps",)

    def _repr_png_(self) -> bytes:
        return png_of(self.figure)


def picture_suffix(path: str | os.PathLike[str]) -> str:
    """The kind of picture that a file is to hold, whose libraries are there.

    Raises:
        InputError: it is none that can be drawn, or a library that draws it is missing.
    """
    suffix = Path(path).suffix.lower()
    if not suffix and is_stream(path):
        suffix = STILLS[0]
    if suffix not in SUFFIXES:
        found = f"ends with '{Path(path).suffix}', expected one of {', '.join(SUFFIXES)}"
        raise InputError(f"file '{path}'", found, "Rename the output")
    require_libraries(f"a {suffix} picture", *_NEEDS.get(suffix, ("matplotlib",)))
    if suffix == ".mp4":
        ffmpeg_program()
    return suffix


def draw_picture(
    activity: Activity, names: Sequence[str], neurons: Sequence[int] | None, title: str, notes: Sequence[str]
) -> Picture:
    """Draws what was recorded."""
    sheet = draw_sheet(panels_of(activity, names, neurons), activity.clock, title)
    return Picture(sheet.figure, tuple(notes), activity, tuple(names), neurons, title)


def panels_of(activity: Activity, names: Sequence[str], neurons: Sequence[int] | None) -> list[Panel]:
    """A panel for each name in their order, then the rates, then the scores of every output that has classes."""
    found = [_recorded(activity, name, neurons) for name in names]
    more = [rates_panel(activity), *(score_panel(activity, name) for name in activity.plan.outputs)]
    return [*found, *(panel for panel in more if panel is not None)]


def _recorded(activity: Activity, name: str, neurons: Sequence[int] | None) -> Panel:
    if name not in activity.plan.names:
        return membrane_panel(activity, name, neurons)
    make = raster_panel if sends_spikes(activity.plan, name) else analog_panel
    return make(activity, name, neurons)
