"""What every chunk of events must fulfil that becomes frames or is filtered, whoever made it."""

from __future__ import annotations

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size, first_backwards, first_outside


def require_good(events: Events, last_time: int | None, sensor_size: Size | None, number: int) -> None:
    """Refuses a chunk that may not follow what came before.

    Args:
        events: the chunk.
        last_time: the time of the event before it [µs], None if it is the first.
        sensor_size: (width, height) of the sensor; None where events outside of it are no error.
        number: how many events came before it.

    Raises:
        InputError: times go back, a polarity is neither 0 nor 1, or an event lies outside the sensor.
    """
    back = first_backwards(events.t, last_time)
    if back is not None:
        before = events.t[back - 1] if back else last_time
        next_step = "Sort the events by time, or read them with open_recording(events, jitter=...)"
        raise InputError(f"event {number + back}", f"time {events.t[back]} µs after {before} µs goes back", next_step)
    if len(events) and events.p.max() > 1:
        at = int((events.p > 1).argmax())
        next_step = "Make the events with as_events, or give 1 for ON and 0 for OFF"
        raise InputError(f"event {number + at}", f"polarity {events.p[at]} is neither 0 nor 1", next_step)
    outside = None if sensor_size is None else first_outside(events, sensor_size)
    if sensor_size is not None and outside is not None:
        width, height = sensor_size
        found = f"({events.x[outside]}, {events.y[outside]}) is outside the sensor of {width}x{height} pixels"
        raise InputError(f"event {number + outside}", found, "Give the right sensor_size (width, height)")
