"""Live sources without a camera."""

from pathlib import Path

from nirbridge_events import Recording
from nirbridge_events.event_source import LiveSource
from nirbridge_events.readers.base import Feed
from nirbridge_events.readers.order import JITTER


def camera(sensor_size, chunks, jitter=JITTER, bad_events=None):
    """A live source named 'camera' that gives these chunks."""
    source = LiveSource(
        name="camera",
        format="udp",
        sensor_size=sensor_size,
        size_origin="given",
        start_pass=lambda: (Feed(Path(), 0), iter(chunks)),
        close=lambda: None,
    )
    return Recording(source, jitter, bad_events)
