"""Prophesee EVT 3.0: little-endian 16-bit words, the kind in bits 12–15.

The stream is a state machine: words set the row (kind 0), the column and polarity where a vector starts (3), the
high and low 12 bits of the time in µs (8 and 6); an event takes what holds when it comes.  Kind 2 is one event with
its own column and polarity; kinds 4 and 5 are vectors whose 12 or 8 bits mark the columns that fired from the
current one on, and move it by 12 or 8.  A new high part starts with a low part of 0; it wraps every 16.8 s.
Everything is found with searches over whole blocks, never word by word.

Source: Prophesee, EVT 3.0 format description.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events, as_places
from nirbridge_events.readers.base import Feed, ForwardFill
from nirbridge_events.readers.evt2 import Format, known_words
from nirbridge_events.readers.prophesee import evt_reader

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
WORD = np.dtype("<u2")
TIME_BITS = 12
POLARITY_BIT = 32
FORMAT = Format(
    "3.0",
    (ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH),
    {0x7: "vendor words", 0xA: "trigger words", 0xE: "vendor words", 0xF: "vendor words"},
)
_ADVANCE = np.zeros(16, dtype=np.int64)
_ADVANCE[[VECTOR_12, VECTOR_8]] = 12, 8
_VECTOR_MASK = np.zeros(16, dtype=np.uint16)
_VECTOR_MASK[[VECTOR_12, VECTOR_8]] = 0xFFF, 0xFF

Words = npt.NDArray[np.uint16]
Kinds = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]
Values = npt.NDArray[np.int64]


@dataclass(frozen=True)
class State:
    """What holds at the start of a block; -1 means not set yet.

    Attributes:
        time_high: unwrapped high part of the time.
        time_low: low part of the time.
        y: row.
        base: column where the next vector starts, with its polarity in bit 32.
    """

    time_high: int = -1
    time_low: int = 0
    y: int = -1
    base: int = -1


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, chunk by chunk.

    Raises:
        FileError: a word is of no known kind, unless such words are skipped.
    """
    state = State()
    for words in known_words(feed, WORD, lambda words: words >> 12, FORMAT):
        events, state = decode_words(feed, words, state)
        yield events


def decode_words(feed: Feed, words: Words, state: State) -> tuple[Events, State]:
    """Events of ``words``, and the state after them."""
    kinds = (words >> 12).astype(np.uint8)
    event_at = np.flatnonzero((kinds == ADDR_X) | (kinds == VECTOR_12) | (kinds == VECTOR_8))
    time, state = _times(feed, words, kinds, event_at, state)
    row, state = _rows(words, kinds, event_at, state)
    column, state = _columns(words, kinds, event_at, state)
    single = kinds[event_at] == ADDR_X
    mask = np.where(single, 1, words[event_at] & _VECTOR_MASK[kinds[event_at]]).astype("<u2")
    placed = (time >= 0) & (row >= 0) & (column >= 0)
    if not placed.all():
        early = np.unpackbits(mask[~placed].view(np.uint8)).sum()
        feed.skipped["events before the first time, row or base word"] += int(early)
    mask[~placed] = 0
    bits = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little").view(np.bool_))
    which, bit = bits >> 4, bits & 15
    # Vectors without a new base may run past any sensor, where the check of geometry finds them.
    x = (column[which] & 0xFFFFFFFF) + bit
    polarity = (column[which] >> POLARITY_BIT).astype(np.uint8)
    return Events(as_places(x), row[which].astype(np.uint16), time[which], polarity), state


def _times(feed: Feed, words: Words, kinds: Kinds, event_at: Positions, state: State) -> tuple[Values, State]:
    """The time that holds at each event word [µs], -1 before the first high part."""
    high_at = np.flatnonzero(kinds == TIME_HIGH)
    high = feed.unwrap((words[high_at] & 0xFFF).astype(np.int64), TIME_BITS, state.time_high)
    high_filled = ForwardFill(high_at, high, state.time_high)
    changed_at = high_at[high != high_filled.values[:-1]]
    low_at = np.flatnonzero(kinds == TIME_LOW)
    set_at = np.concatenate((changed_at, low_at))
    low = np.concatenate((np.zeros(len(changed_at), np.int64), (words[low_at] & 0xFFF).astype(np.int64)))
    order = np.argsort(set_at)
    low_filled = ForwardFill(set_at[order], low[order], state.time_low)
    high_of_event = high_filled.at(event_at)
    time = np.where(high_of_event < 0, -1, high_of_event << TIME_BITS | low_filled.at(event_at))
    return time, replace(state, time_high=high_filled.last, time_low=low_filled.last)


def _rows(words: Words, kinds: Kinds, event_at: Positions, state: State) -> tuple[Values, State]:
    """The row that holds at each event word, -1 before the first."""
    row_at = np.flatnonzero(kinds == ADDR_Y)
    filled = ForwardFill(row_at, (words[row_at] & 0x7FF).astype(np.int64), state.y)
    return filled.at(event_at), replace(state, y=filled.last)


def _columns(words: Words, kinds: Kinds, event_at: Positions, state: State) -> tuple[Values, State]:
    """The (first) column of each event word, with the polarity in bit 32; -1 for a vector without base."""
    advance = np.cumsum(_ADVANCE[kinds])
    base_at = np.flatnonzero(kinds == BASE_X)
    # A base less the advance up to it, so that adding the advance up to any later vector gives that vector's start.
    base = _with_polarity(words[base_at]) - advance[base_at]
    filled = ForwardFill(base_at, base, state.base)
    before = advance[event_at] - _ADVANCE[kinds[event_at]]
    known_from = -1 if state.base >= 0 else base_at[0] if len(base_at) else len(words)
    vectors = np.where(event_at > known_from, filled.at(event_at) + before, -1)
    single = kinds[event_at] == ADDR_X
    columns = np.where(single, _with_polarity(words[event_at]), vectors)
    total = int(advance[-1]) if len(advance) else 0
    known_after = len(base_at) > 0 or state.base >= 0
    return columns, replace(state, base=filled.last + total if known_after else -1)


def _with_polarity(words: Words) -> Values:
    values = words.astype(np.int64)
    return (values & 0x7FF) | ((values >> 11) & 1) << POLARITY_BIT


READER = evt_reader("evt3", "3.0", lambda path, head, header: (decode, ()))
