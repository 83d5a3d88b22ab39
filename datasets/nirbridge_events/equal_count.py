"""The paper's protocol: frames of equal event count instead of equal time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.encoding import FrameEncoder
from nirbridge_events.events import Events, as_events
from nirbridge_events.pixels import FloatFrame, PixelMap, SeenSlice
from nirbridge_events.quantise import quantise


def encode_equal_count(
    events: Events | npt.NDArray[Any],
    pooled: int,
    splits: int = 80,
    **options: Any,
) -> FloatFrame:
    """One-hot frames [ceil(pooled / k), P, H, W] of a whole recording, k = 2^(lanes-1).

    1. The N events, in order, are cut into ``splits`` runs; run i holds events ``i·(N // splits)`` up to the next
       run's first, the last run also the remainder.  Each run is a binary frame of merged sensor pixels.
    2. ``splits / pooled`` consecutive frames are pooled by OR into one of ``pooled`` frames.
    3. k consecutive pooled frames are summed to a count c, with zero frames added at the end where k does not divide.
    4. y = 0 if c = 0, else 2^round(log2 c).

    It needs all events before the first frame, so it has no incremental form.

    Args:
        events: ``Events`` or a structured array (x, y, t [µs], p).
        pooled: T_F, a divisor of ``splits``.
        splits: binary frames at the start.
        options: ``sensor_size``, ``lanes``, ``size``, ``polarity``, as of ``FrameEncoder``.

    Raises:
        InputError: an argument is out of range, there are fewer events than ``splits``, times go back, or an event
            lies outside the sensor.

    Source: Abillama et al., IEEE Access 2025, section on the DVS encoding; here downsampled first.
    """
    encoder = _encoder(pooled, splits, options)
    settings = encoder.settings
    binary = _binary_frames(encoder.check(as_events(events)), settings.pixel_map, splits)
    pooled_frames = binary.reshape(pooled, splits // pooled, -1).any(axis=1)
    k = settings.parts
    padded = np.concatenate((pooled_frames, np.zeros((-pooled % k, pooled_frames.shape[1]), dtype=np.bool_)))
    counts = padded.reshape(-1, k, padded.shape[1]).sum(axis=1)
    return quantise(counts, settings.lanes).reshape(-1, *settings.frame_shape)


def _encoder(pooled: int, splits: int, options: dict[str, Any]) -> FrameEncoder:
    """An encoder that is not run: it checks the options and holds what they mean."""
    if not 1 <= pooled <= splits or splits % pooled:
        raise InputError("pooled", f"{pooled} does not divide {splits} splits", "Choose a divisor, as 10, 20, 40 or 80")
    if unknown := sorted(set(options) - {"sensor_size", "lanes", "size", "polarity"}):
        raise InputError(unknown[0], "is no option of equal-count frames", "Leave it away")
    return FrameEncoder(coding="one-hot", **options)


def _binary_frames(events: Events, pixel_map: PixelMap, splits: int) -> npt.NDArray[np.bool_]:
    """Frames [splits, pixels] of equal event count, the remainder in the last."""
    if len(events) < splits:
        raise InputError("events", f"{len(events)} are fewer than {splits} splits", "Use fewer splits")
    edges = np.append(np.arange(splits) * (len(events) // splits), len(events))
    frames = np.empty((splits, pixel_map.pixels), dtype=np.bool_)
    seen = SeenSlice(pixel_map)
    for i in range(splits):
        seen.add(events[edges[i] : edges[i + 1]])
        frames[i] = seen.take()
    return frames
