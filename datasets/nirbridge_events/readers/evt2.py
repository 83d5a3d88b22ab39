"""Prophesee EVT 2.0: little-endian 32-bit words, the kind in bits 28–31.

Kind 8 carries bits 6–33 of the time in µs.  Kinds 0 (OFF) and 1 (ON) are events: bits 0–10 y, 11–21 x, 22–27 the
low six bits of the time.  Kinds 0xA (trigger), 0xE and 0xF (vendor data) are no events and are counted.

Source: Prophesee, EVT 2.0 format description.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events
from nirbridge_events.readers.base import Feed, Reader, Source, file_label, forward_fill
from nirbridge_events.readers.prophesee import check_length, looks_like_header, parse_header
from nirbridge_events.readers.wanted import Wanted

OFF, ON, TIME_HIGH = 0, 1, 8
OTHER = {0xA: "trigger words", 0xE: "vendor words", 0xF: "vendor words"}
WORD = np.dtype("<u4")
TIME_HIGH_BITS = 28
TIME_LOW_BITS = 6
_KNOWN = np.isin(np.arange(16), [OFF, ON, TIME_HIGH, *OTHER])


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, chunk by chunk.

    Raises:
        FileError: the file ends inside a word, or a word is of no known kind.
    """
    time_high = -1
    for start, words in feed.words(WORD):
        kinds = words >> 28
        good = count_known(kinds, _KNOWN)
        count_others(feed, kinds[:good], OTHER)
        events, time_high = decode_words(feed, words[:good], time_high)
        yield events
        if good < len(words):
            raise unknown_word(feed, start + good * WORD.itemsize, int(kinds[good]), "2.0")


def decode_words(feed: Feed, words: npt.NDArray[np.uint32], time_high: int) -> tuple[Events, int]:
    """Events of ``words``, and the unwrapped high part of the time that holds after them (-1: none yet)."""
    kinds = words >> 28
    high_at = np.flatnonzero(kinds == TIME_HIGH)
    high = feed.unwrap((words[high_at] & 0xFFFFFFF).astype(np.int64), TIME_HIGH_BITS, time_high)
    filled = forward_fill(high_at, high, time_high)
    event_at = np.flatnonzero(kinds <= ON)
    high_of_event = filled.at(event_at)
    if time_high < 0 and (early := int((high_of_event < 0).sum())):
        feed.skipped["events before the first time word"] += early
        event_at, high_of_event = event_at[early:], high_of_event[early:]
    w = words[event_at]
    t = high_of_event << TIME_LOW_BITS | ((w >> 22) & 0x3F).astype(np.int64)
    x, y = ((w >> 11) & 0x7FF).astype(np.uint16), (w & 0x7FF).astype(np.uint16)
    return Events(x, y, t, (w >> 28).astype(np.uint8)), filled.last


def count_known(kinds: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> int:
    """The number of words before the first of unknown kind."""
    unknown = ~known[kinds]
    return int(unknown.argmax()) if unknown.any() else len(kinds)


def count_others(feed: Feed, kinds: npt.NDArray[Any], names: dict[int, str]) -> None:
    """Counts the words that carry no event."""
    counts = np.bincount(kinds, minlength=16)
    for kind, name in names.items():
        if counts[kind]:
            feed.skipped[name] += int(counts[kind])


def unknown_word(feed: Feed, offset: int, kind: int, version: str) -> FileError:
    """The error for a word that the format does not define."""
    return FileError(
        file_label(feed.path),
        f"the word at offset {offset} is of kind {kind:#x}, which EVT {version} does not have",
        "The file is damaged or of another version; copy or record it again",
    )


def _recognises(_path: Path, head: bytes) -> bool:
    return looks_like_header(head) and parse_header(head).version == "2.0"


def _open(path: Path, head: bytes, _wanted: Wanted) -> Source:
    header = parse_header(head)
    check_length(path, head, header)
    return Source("evt2", header.length, header.sensor_size, header.sensor_size is not None, header.shift(decode))


READER = Reader("evt2", "a header with '% evt 2.0'", _recognises, _open, (".raw",))
