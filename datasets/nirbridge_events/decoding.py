"""Frames back to events, to look at what a coding keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size
from nirbridge_events.pixels import LARGEST_COUNT
from nirbridge_events.settings import DEFAULT_SENSOR, EncoderSettings, check_options, whole_number

Counts = npt.NDArray[np.int64]


def decode(
    frames: npt.NDArray[Any],
    sensor_size: Size = DEFAULT_SENSOR,
    window: int = 10_000,
    coding: str = "binary",
    *,
    start: int = 0,
    **options: Any,
) -> Events:
    """Events that would give these frames, as far as the frames tell.

    A pixel that stands for n events in a window gives n, spread evenly: event j = 0..n-1 at
    ``t_start + (2j + 1)·window // 2n``.  n is the value itself for "binary", "count" and "one-hot", and
    Σ_k 2^(K-k) x_k for "phase".  With "voxel" the events of bin b come in the first µs from
    ``t_start + b·window/(B-1)`` on, and their number is the growth of the rounded running sum over the bins, so that
    a window keeps its number of events.

    What is lost: the time within a window (to 1/(B-1) of it with "voxel"); with "binary" and "one-hot" the number of
    events beyond the value; with downsampling the place, which becomes the middle of the merged sensor pixels; with
    polarity "merge" the polarity, which becomes ON; with "signed" every pair of ON and OFF in one value; what was
    cropped, cut or outside.  Without downsampling, with polarities kept and the same arguments, encoding the result
    gives the frames again, "voxel" excepted.

    Args:
        frames: [T·K, P, H, W], as ``encode`` gives them.
        sensor_size: as of ``encode``, like ``window``, ``coding`` and ``options``.
        window: length of a window in µs.
        coding: "binary", "count", "one-hot", "phase" or "voxel".
        start: time of window 0 in µs; give it to ``encode`` too.
        options: fields of ``EncoderSettings``.

    Returns:
        events in order of time, then row, column and polarity.

    Raises:
        InputError: the frames have another shape, or values that this coding cannot give; it is "time-surface"; or
            windows are of so many events, which do not say when they came.
    """
    check_options(coding, options)
    if options.get("per_events") is not None:
        raise InputError("per_events", "makes windows whose frames do not say their times", "Give a window in µs")
    settings = EncoderSettings(sensor_size, window, coding, **options)
    if settings.coding == "time-surface":
        found = "'time-surface' keeps one event of each pixel, and that in 24 bits"
        raise InputError("coding", found, "Decode frames of another coding")
    values = _checked(np.asarray(frames), settings)
    steps, polarity, row, column = np.nonzero(values)
    signed = values[steps, polarity, row, column]
    number = np.abs(signed)
    which = np.repeat(np.arange(len(number)), number)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
    on = (signed > 0) if settings.polarity != "keep" else polarity == 1
    t = whole_number(start, "start", -(1 << 62), 1 << 62) + _times(steps[which], nth, number[which], settings)
    x0, y0 = (0, 0) if settings.crop is None else settings.crop[:2]
    x = x0 + _middles(settings.area[0], settings.frame_size[0])[column[which]]
    y = y0 + _middles(settings.area[1], settings.frame_size[1])[row[which]]
    p = on[which].astype(np.uint8)
    return Events(x.astype(np.uint16), y.astype(np.uint16), t, p).select(np.lexsort((p, x, y, t)))


def _checked(frames: npt.NDArray[Any], settings: EncoderSettings) -> Counts:
    """Whole numbers of events [T or T·B, P, H, W]; negative ones are OFF."""
    shape, per_window = settings.frame_shape, settings.frames_per_window
    if frames.ndim != 4 or frames.shape[1:] != shape or len(frames) % per_window:
        found = f"shape {frames.shape} is not [T·{per_window}, {', '.join(map(str, shape))}]"
        raise InputError("frames", found, "Give the arguments with which they were encoded")
    if frames.dtype.kind not in "fiub" or not np.isfinite(frames).all():
        raise InputError("frames", "are not all finite numbers", "Give frames as encode makes them")
    grouped = frames.reshape(-1, per_window, *shape).astype(np.float64)
    odd = ~_possible(grouped, settings)
    if odd.any():
        found = f"hold values that coding '{settings.coding}' does not give, as {float(grouped[odd][0])}"
        raise InputError("frames", found, "Give the arguments with which they were encoded")
    if settings.coding == "voxel":
        running = np.rint(np.cumsum(grouped, axis=1))
        return np.diff(running, axis=1, prepend=0).astype(np.int64).reshape(-1, *shape)
    weights = 2.0 ** np.arange(per_window - 1, -1, -1)
    return np.tensordot(weights, grouped, axes=(0, 1)).astype(np.int64)


def _possible(values: npt.NDArray[np.float64], settings: EncoderSettings) -> npt.NDArray[np.bool_]:
    """Which values a coding may give."""
    size = np.abs(values) if settings.polarity == "signed" else values
    if settings.coding == "voxel":
        return np.asarray(size >= 0)
    if settings.coding == "one-hot":
        return np.isin(size, [0, *(1 << lane for lane in range(settings.lanes))])
    most = LARGEST_COUNT if settings.coding == "count" else 1
    return np.asarray((size >= 0) & (size <= most) & (size == np.rint(size)))


def _times(steps: Counts, nth: Counts, number: Counts, settings: EncoderSettings) -> Counts:
    """µs from the start of window 0."""
    if settings.coding != "voxel":
        return steps * settings.window + (2 * nth + 1) * settings.window // (2 * number)
    window, place = np.divmod(steps, settings.bins)
    return window * settings.window + np.minimum(
        -(-place * settings.window // (settings.bins - 1)), settings.window - 1
    )


def _middles(area: int, out: int) -> Counts:
    """The middle sensor column of every output column."""
    first = -(-np.arange(out + 1, dtype=np.int64) * area // out)
    return (first[:-1] + first[1:] - 1) // 2
