"""The size of a sensor, of recordings that do not say it."""

from __future__ import annotations

from nirbridge.errors import FileError, NirbridgeError
from nirbridge_events.event_source import StartPass
from nirbridge_events.events import Events, Size, inside

# Sensors that are sold, smallest first: an unknown size is taken to be the first that holds every event.
KNOWN_SENSORS: tuple[Size, ...] = (
    (34, 34), (128, 128), (240, 180), (304, 240), (320, 240), (346, 260), (480, 320), (640, 480), (1280, 720)
)  # fmt: skip
# No sensor is larger: events beyond say nothing about the size.
LARGEST: Size = (4096, 4096)
# Such a share of events beyond the largest known sensor are strays; more are those of a larger sensor.
STRAY_SHARE = 1e-3


def infer_size(name: str, error: type[NirbridgeError], start_pass: StartPass) -> Size:
    """The smallest known sensor that holds every event, else one just large enough.

    Places that no sensor has, negative or beyond LARGEST, say nothing about it; nor do a few beyond KNOWN_SENSORS.
    A file that breaks in the middle is judged by what comes before; reading it will meet the same error again.
    """
    feed, chunks = start_pass()
    feed.skip_bad = True
    largest = KNOWN_SENSORS[-1]
    usual, all_of_them = [0, 0], [0, 0]
    seen = total = beyond = 0
    try:
        for chunk in chunks:
            seen += len(chunk)
            chunk = chunk if (on_any := inside(chunk, LARGEST)) is None else chunk.select(on_any)
            _grow(all_of_them, chunk)
            total += len(chunk)
            if (near := inside(chunk, largest)) is not None:
                beyond += int((~near).sum())
                chunk = chunk.select(near)
            _grow(usual, chunk)
    except FileError:
        if not total:
            raise
    if not total:
        for _ in start_pass()[1] if feed.lost else ():
            # Where all of it was left out, the error of the first says why.
            pass
        found = "holds no event that lies on any sensor" if seen else "holds no event"
        raise error(name, found, "Record or copy it again")
    width, height = usual if beyond <= STRAY_SHARE * total else all_of_them
    fitting = (known for known in KNOWN_SENSORS if known[0] >= width and known[1] >= height)
    return next(fitting, (width, height))


def _grow(size: list[int], events: Events) -> None:
    if len(events):
        size[:] = max(size[0], int(events.x.max()) + 1), max(size[1], int(events.y.max()) + 1)
