"""N-MNIST and N-Caltech101 ``.bin``: 5 bytes an event, big endian.

An event is x (8 bits), y (8 bits), polarity (1 bit, 1 = ON) and time in µs (23 bits).  A word with y = 240 is no
event: it says that the camera's clock advanced by 2^13 µs more than the times tell, from there on.

Source: Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using saccades".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events
from nirbridge_events.readers.base import Feed, Reader, Source
from nirbridge_events.readers.wanted import Wanted

SENSOR_SIZE = (34, 34)
OVERFLOW_ROW = 240
OVERFLOW_TIME = 1 << 13
EVENT_BYTES = 5
WORD = np.dtype((np.uint8, (EVENT_BYTES,)))


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, chunk by chunk."""
    overflow = 0
    for _, words in feed.words(WORD):
        events, overflow = decode_words(words, overflow)
        yield events


def decode_words(words: npt.NDArray[np.uint8], overflow: int) -> tuple[Events, int]:
    """Events of words [N, 5], and the time that overflow words have added so far [µs]."""
    t = ((words[:, 2] & 0x7F).astype(np.int64) << 16) | (words[:, 3].astype(np.int64) << 8) | words[:, 4]
    is_overflow = words[:, 1] == OVERFLOW_ROW
    if is_overflow.any():
        t += overflow + np.cumsum(is_overflow) * OVERFLOW_TIME
        overflow += int(is_overflow.sum()) * OVERFLOW_TIME
        words, t = words[~is_overflow], t[~is_overflow]
    else:
        t += overflow
    return Events(
        words[:, 0].astype(np.uint16), words[:, 1].astype(np.uint16), t, (words[:, 2] >> 7).astype(np.uint8)
    ), overflow


def _open(_path: Path, _head: bytes, _wanted: Wanted) -> Source:
    return Source("nmnist", 0, None, decode, usual_size=SENSOR_SIZE)


READER = Reader("nmnist", "extension .bin", lambda path, _head: path.suffix.lower() == ".bin", _open, (".bin",))
