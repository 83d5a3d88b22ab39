"""Prophesee EVT 2.0: little-endian 32-bit words, the kind in bits 28–31.

Kind 8 carries bits 6–33 of the time in µs.  Kinds 0 (OFF) and 1 (ON) are events: bits 0–10 y, 11–21 x, 22–27 the
low six bits of the time.  Kinds 0xA (trigger), 0xE and 0xF (vendor data) are no events and are counted.

Source: Prophesee, EVT 2.0 format description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events
from nirbridge_events.readers.base import SKIP_ADVICE, Feed, ForwardFill, file_label
from nirbridge_events.readers.prophesee import evt_reader

OFF, ON, TIME_HIGH = 0, 1, 8
WORD = np.dtype("<u4")
TIME_HIGH_BITS = 28
TIME_LOW_BITS = 6
EARLY = "events before the first time word"


@dataclass(frozen=True)
class Format:
    """The kinds of words of a version: those that count, and the names of those that carry no event."""

    version: str
    kinds: tuple[int, ...]
    others: dict[int, str]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Of each of the 16 kinds, whether the version has it."""
        return np.isin(np.arange(16), [*self.kinds, *self.others])


FORMAT = Format("2.0", (OFF, ON, TIME_HIGH), {0xA: "trigger words", 0xE: "vendor words", 0xF: "vendor words"})


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, chunk by chunk.

    Raises:
        FileError: a word is of no known kind, unless such words are skipped.
    """
    time_high = -1
    for words in known_words(feed, WORD, lambda words: words >> 28, FORMAT):
        events, time_high = decode_words(feed, words, time_high)
        yield events


def decode_words(feed: Feed, words: npt.NDArray[np.uint32], time_high: int) -> tuple[Events, int]:
    """Events of ``words``, and the unwrapped high part of the time that holds after them (-1: none yet)."""
    kinds = words >> 28
    high_at = np.flatnonzero(kinds == TIME_HIGH)
    high = feed.unwrap((words[high_at] & 0xFFFFFFF).astype(np.int64), TIME_HIGH_BITS, time_high)
    filled = ForwardFill(high_at, high, time_high)
    event_at = np.flatnonzero(kinds <= ON)
    high_of_event = filled.at(event_at)
    if time_high < 0 and (early := int((high_of_event < 0).sum())):
        feed.skipped[EARLY] += early
        event_at, high_of_event = event_at[early:], high_of_event[early:]
    w = words[event_at]
    t = high_of_event << TIME_LOW_BITS | ((w >> 22) & 0x3F).astype(np.int64)
    x, y = ((w >> 11) & 0x7FF).astype(np.uint16), (w & 0x7FF).astype(np.uint16)
    return Events(x, y, t, (w >> 28).astype(np.uint8)), filled.last


def known_words(
    feed: Feed, word: np.dtype[Any], kinds_of: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], form: Format
) -> Iterator[npt.NDArray[Any]]:
    """The words of known kinds, block by block; those that carry no event are counted, and unknown ones if skipped.

    Raises:
        FileError: a word is of unknown kind, as the padding that some cameras write; what came before was yielded.
    """
    for start, words in feed.words(word):
        kinds = kinds_of(words)
        unknown = ~form.known[kinds]
        first = int(unknown.argmax()) if unknown.any() else len(words)
        if first < len(words) and feed.skip_bad:
            for kind, count in zip(*np.unique(kinds[unknown], return_counts=True), strict=True):
                what = f"words of kind {kind:#x}, which EVT {form.version} does not have, were left out"
                feed.lost[what] += int(count)
            words, kinds, first = words[~unknown], kinds[~unknown], len(words)
        _count_others(feed, kinds[:first], form.others)
        yield words[:first]
        if first < len(words):
            raise FileError(
                file_label(feed.path),
                f"the word at offset {start + first * word.itemsize} is of kind {int(kinds[first]):#x}, which "
                f"EVT {form.version} does not have",
                f"{SKIP_ADVICE} if they are padding; else the file is damaged or of another version",
            )


def _count_others(feed: Feed, kinds: npt.NDArray[Any], names: dict[int, str]) -> None:
    counts = np.bincount(kinds, minlength=16)
    for kind, name in names.items():
        if counts[kind]:
            feed.skipped[name] += int(counts[kind])


READER = evt_reader("evt2", "2.0", lambda path, head, header: (decode, ()))
