"""``nirbridge encode``: events to frames, and pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from nirbridge.cli.common import PATH, read_flat_graph, require_output
from nirbridge.cli.encoder_options import encoder_options, open_encoder, progress, report_lines
from nirbridge.cli.filter_options import filter_options, require_apart_from, require_filter_target, save_hot_pixels
from nirbridge.cli.grid_options import grid_options
from nirbridge.cli.output import echo
from nirbridge.cli.reader_options import reader_options
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge_events import Window

PICTURES = (".png", ".gif")


@click.command("encode")
@click.argument("source", metavar="REC")
@click.option("-o", "--output", type=PATH, help="The .npy file to write.")
@click.option("--picture", type=PATH, help="A .png of some frames, or a .gif of all of them.")
@click.option("--model", type=PATH, help="Take the coding from this model's EventInput.")
@encoder_options
@grid_options
@reader_options
@filter_options
def command(
    source: str,
    output: Path | None,
    picture: Path | None,
    model: Path | None,
    sensor: tuple[int, int] | None,
    **flags: Any,
) -> None:
    """Turn the events of recording REC into frames [T, P, H, W], into a picture of them, or both.

    The frames are float32. REC is an event file: N-MNIST .bin, Event Stream .es, Prophesee .raw, .dat or .hdf5, AEDAT,
    a bag of ROS, CSV, .npy, .npz or .h5. With a model that has an EventInput node no further option is needed; else
    --window (or --per-events) and --coding are.

    \b
    Example:
      nirbridge encode rec.raw -o frames.npy --sensor 640x480 --window 10ms --coding one-hot --lanes 3 --size 32x24
      nirbridge encode rec.raw -o f.npy --window 10ms --coding count --filter hot-pixels=learn --filter background=5ms
      nirbridge encode rec.es --picture lanes.png --window 10ms --coding one-hot
    """
    from nirbridge.files import whole_file

    _require_targets(output, picture)
    require_filter_target(flags)
    require_apart_from([source, model], [output, picture], flags)
    graph = None if model is None else read_flat_graph(model)
    recording, encoder = open_encoder(source, graph, sensor, flags)
    gallery = None if picture is None else _gallery(picture, encoder.settings, Path(source).name)
    windows = encoder.encode(recording)
    if gallery is not None:
        windows = gallery.watch(windows)
    shape: tuple[int, ...] | None = None
    with progress(recording, "encoding") as tick:
        if output is None:
            for _ in windows:
                tick()
        else:
            with whole_file(output) as file:
                shape = _write_frames(file, windows, encoder.frame_shape, tick)
    if gallery is not None and picture is not None:
        with whole_file(picture) as file:
            gallery.save(file)
    for line in report_lines(recording, encoder):
        echo(line, err=True)
    save_hot_pixels(recording, flags)
    if output is not None:
        echo(f"Frames [T, P, H, W] of shape {shape}, float32; one sample for 'nirbridge run'.", err=True)
        echo(f"{output}: {shape}")
    if picture is not None:
        echo(str(picture))


def _gallery(picture: Path, settings: Any, name: str) -> Any:
    """What collects windows for the picture; imports what draws it, so that a lack of it shows before the work."""
    from nirbridge_events.pictures import gallery_for

    suffix = picture.suffix.lower()
    return gallery_for(suffix if suffix in PICTURES else PICTURES[0], settings, name)  # a pipe has none


def _require_targets(output: Path | None, picture: Path | None) -> None:
    if output is None and picture is None:
        raise InputError("option -o or --picture", "is missing, so nothing would be written", "Give one, or both")
    require_output(output, ".npy")
    require_output(picture, PICTURES)


def _write_frames(
    file: BinaryIO, windows: Iterator[Window], frame_shape: tuple[int, int, int], tick: Callable[[], None]
) -> tuple[int, ...]:
    """Writes frame after frame, so that memory does not grow; the header is written again when their number is known.

    NumPy pads the header so that the first axis can grow in place.
    """
    import numpy as np

    count = 0
    _write_header(file, (0, *frame_shape))
    begin = file.tell()
    for window in windows:
        file.write(np.ascontiguousarray(window.frames, dtype="<f4").data)
        count += len(window.frames)
        tick()
    file.seek(0)
    _write_header(file, (count, *frame_shape))
    if file.tell() != begin:
        raise RuntimeError(f"the header grew from {begin} to {file.tell()} bytes")
    return (count, *frame_shape)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    import numpy as np

    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
