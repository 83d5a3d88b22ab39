"""Prophesee EVT 2.1: 64-bit words, the kind in bits 60–63; an event word is a vector of 32 pixels of one row.

Kind 8 carries bits 6–33 of the time in µs, in bits 32–59.  Kinds 0 (OFF) and 1 (ON): bits 54–59 the low six bits of
the time, 43–53 the first x, 32–42 y, and bits 0–31 mark the columns that fired from x on.  Kinds 0xA, 0xE and 0xF
are no events and are counted.  Words are little-endian; the *legacy* order of older cameras sends the high half
first.  The header may say which ("endianness="); else the time words do, whose low half is 0.

Source: Prophesee, EVT 2.1 format description; OpenEB, ``evt21_event_types.h`` (``Evt21Raw`` and ``Evt21LegacyRaw``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events
from nirbridge_events.readers import evt2
from nirbridge_events.readers.base import Feed, file_label
from nirbridge_events.readers.evt2 import TIME_HIGH, known_words
from nirbridge_events.readers.prophesee import Decode, Header, evt_reader

FORMAT = replace(evt2.FORMAT, version="2.1")
HALVES = np.dtype([("first", "<u4"), ("second", "<u4")])
VECTOR = 32
_ENDIANNESS = re.compile(rb"endianness[ =](\w+)")
_ORDERS = {b"little": "second", b"legacy": "first"}

Halves = npt.NDArray[np.uint32]


def decode(feed: Feed, high_half: str) -> Iterator[Events]:
    """One pass over the file, chunk by chunk.

    Raises:
        FileError: a word is of no known kind, unless such words are skipped.
    """
    time_high = -1
    low_half = "first" if high_half == "second" else "second"
    for words in known_words(feed, HALVES, lambda words: words[high_half] >> 28, FORMAT):
        events, time_high = decode_words(feed, words[high_half], words[low_half], time_high)
        yield events


def decode_words(feed: Feed, high: Halves, low: Halves, time_high: int) -> tuple[Events, int]:
    """Events of words given as halves, and the unwrapped high part of the time after them (-1: none yet).

    The high half is a word of EVT 2.0, the event of the first pixel.
    """
    first, time_high = evt2.decode_words(feed, high, time_high)
    vectors = low[high >> 28 <= evt2.ON].astype("<u4")
    fired = np.unpackbits(vectors.view(np.uint8), bitorder="little").reshape(-1, VECTOR)
    if early := len(fired) - len(first):
        feed.skipped[evt2.EARLY] += int(fired[:early].sum()) - early
    which, bit = np.nonzero(fired[early:])
    events = first.select(which)
    return Events(events.x + bit.astype(np.uint16), events.y, events.t, events.p), time_high


def _high_half(path: Path, head: bytes, length: int) -> str:
    """Which half of a word comes with the kind: "second" in little-endian words, "first" in legacy order."""
    if found := _ENDIANNESS.search(head[:length]):
        if found[1] not in _ORDERS:
            what = f"its words are of endianness '{found[1].decode()}'; little and legacy are read"
            raise FileError(file_label(path), what, "Convert it, or record it as EVT 3.0")
        return _ORDERS[found[1]]
    words = np.frombuffer(head[length:], dtype=HALVES, count=(len(head) - length) // HALVES.itemsize)
    times = {}
    for half, other in (("second", "first"), ("first", "second")):
        # Only in time words is the half without the kind 0 throughout.
        times[half] = int(((words[half] >> 28 == TIME_HIGH) & (words[other] == 0)).sum())
    return "second" if times["second"] >= times["first"] else "first"


def _decoder(path: Path, head: bytes, header: Header) -> tuple[Decode, tuple[str, ...]]:
    half = _high_half(path, head, header.length)
    notes = ("its words come with the high half first (legacy order)",) if half == "first" else ()
    return lambda feed: decode(feed, half), notes


READER = evt_reader("evt21", "2.1", _decoder)
