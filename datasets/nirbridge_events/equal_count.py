"""The paper's protocol: frames of equal event count over a whole recording, as windows of so many events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.encoding import FrameEncoder
from nirbridge_events.events import Events, as_events
from nirbridge_events.pixels import FloatFrame


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

    So a frame is a window of k·(splits / pooled)·(N // splits) events with k parts: what ``encode`` makes with that as
    its ``per_events``, but for the remainder.  It needs the number of all events before the first frame, so it has no
    incremental form; ``per_events`` has.

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
    if not 1 <= pooled <= splits or splits % pooled:
        raise InputError("pooled", f"{pooled} does not divide {splits} splits", "Choose a divisor, as 10, 20, 40 or 80")
    if unknown := sorted(set(options) - {"sensor_size", "lanes", "size", "polarity"}):
        raise InputError(unknown[0], "is no option of equal-count frames", "Leave it away")
    parts = FrameEncoder(coding="one-hot", **options).settings.parts
    events = as_events(events)
    if len(events) < splits:
        raise InputError("events", f"{len(events)} are fewer than {splits} splits", "Use fewer splits")
    run = len(events) // splits * (splits // pooled)
    encoder = FrameEncoder(coding="one-hot", per_events=parts * run, **options)
    numbers = np.minimum(np.arange(len(events)), pooled * run - 1)
    frames = [window.frames for window in encoder.windows(events, numbers)]
    return np.concatenate([*frames, *(window.frames for window in encoder.finish_windows())])
