"""What is in a datagram: SPIF as AEStream sends it, and faery's two formats.

- ``spif``: little-endian 32-bit words.  Bits 0–14 y, bit 15 polarity, bits 16–30 x.  Bit 31 = 1: no time, the moment
  of arrival counts; bit 31 = 0: the next word is the time in µs.
- ``faery``: 13 bytes an event: time in µs (64 bits), x, y (16 bits each), polarity (one byte).
- ``faery32``: 8 bytes an event: time in µs (32 bits), x (16 bits), then y (15 bits) above the polarity (lowest bit).

Source: AEStream, UDP output for SPIF; faery, UDP encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events
from nirbridge_events.live.clock import LiveClock

MALFORMED = "datagrams with bytes that make no event"
BAD_POLARITY = "events whose polarity is neither 0 nor 1 were left out"
# Between datagrams, so that a whole batch is decoded at once: as a word of SPIF it takes no time after it.
_SEPARATOR = b"\xff\xff\xff\xff"
FAERY = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
_FAERY32 = np.dtype([("t", "<u4"), ("x", "<u2"), ("yp", "<u2")])


@dataclass(frozen=True)
class Datagrams:
    """Datagrams as they came.

    Attributes:
        parts: their bytes.
        arrivals: when each came [µs], int64 [N]; never less than the one before.
    """

    parts: Sequence[bytes]
    arrivals: npt.NDArray[np.int64]


def decode_spif(datagrams: Datagrams, clock: LiveClock, lost: Counter[str]) -> Events:
    """Events of SPIF datagrams; bytes that make no whole event are counted in ``lost``."""
    lengths = np.array([len(part) for part in datagrams.parts], dtype=np.int64)
    if (lengths % 4).any():
        data = _SEPARATOR.join(part[: len(part) // 4 * 4] for part in datagrams.parts)
    else:
        data = _SEPARATOR.join(datagrams.parts)
    words = np.frombuffer(data + _SEPARATOR, dtype="<u4")
    ends = np.cumsum(lengths // 4 + 1) - 1
    is_head = _heads(words)
    # A separator that was taken for a time stood where a datagram broke off.
    broken = ~is_head[ends]
    is_head[ends] = False
    at = np.flatnonzero(is_head)
    has_time = words[at] >> 31 == 0
    if broken.any():
        whole = ~(has_time & np.isin(at + 1, ends))
        at, has_time = at[whole], has_time[whole]
    lost[MALFORMED] += int((broken | (lengths % 4 > 0) | (lengths < 4)).sum())
    arrivals = np.repeat(datagrams.arrivals, np.diff(np.searchsorted(at, ends), prepend=0))
    counters = _counters(words, at, has_time, arrivals, clock)
    w = words[at]
    x, y, p = w >> 16 & 0x7FFF, w & 0x7FFF, w >> 15 & 1
    return Events(x.astype(np.uint16), y.astype(np.uint16), clock.join(counters, arrivals), p.astype(np.uint8))


def _heads(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Which words are events; the others are the times of the event words before them.

    A word after one with bit 31 set is an event.  So within a run of words with bit 31 clear events and times take
    turns, and the word after a run of odd length is a time.
    """
    clear = words >> 31 == 0
    index = np.arange(len(words))
    last_set = np.maximum.accumulate(np.where(clear, -1, index))
    before = np.concatenate(([-1], last_set[:-1]))
    # The number of words with bit 31 clear directly before each word: a time follows every first, third, … of them.
    run: npt.NDArray[np.int64] = index - before - 1
    heads: npt.NDArray[np.bool_] = run % 2 == 0
    return heads


def _counters(
    words: npt.NDArray[np.uint32],
    at: npt.NDArray[np.intp],
    has_time: npt.NDArray[np.bool_],
    arrivals: npt.NDArray[np.int64],
    clock: LiveClock,
) -> npt.NDArray[np.uint64]:
    """The counter of each event: its time, or where it has none, the moment of its arrival."""
    counters = (arrivals & 0xFFFFFFFF).astype(np.uint64)
    if has_time.all():
        return words[at + 1].astype(np.uint64)
    if not has_time.any():
        return counters
    # A source that mixes both says its own time now and then; an event without takes the one before.
    counters[has_time] = words[at[has_time] + 1]
    known = np.maximum.accumulate(np.where(has_time, np.arange(len(at)), -1))
    first = clock.last_counter if clock.last_counter is not None else int(counters[has_time][0])
    filled: npt.NDArray[np.uint64] = np.where(known >= 0, counters[known], np.uint64(first))
    return filled


def _records(
    datagrams: Datagrams, record: np.dtype[np.void], lost: Counter[str]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Whole records, and the time of arrival of each."""
    lengths = np.array([len(part) for part in datagrams.parts], dtype=np.int64)
    counts, rest = np.divmod(lengths, record.itemsize)
    lost[MALFORMED] += int(((rest > 0) | (counts == 0)).sum())
    if rest.any():
        data = b"".join(part[: len(part) // record.itemsize * record.itemsize] for part in datagrams.parts)
    else:
        data = b"".join(datagrams.parts)
    return np.frombuffer(data, dtype=record), np.repeat(datagrams.arrivals, counts)


def decode_faery(datagrams: Datagrams, clock: LiveClock, lost: Counter[str]) -> Events:
    """Events of faery's datagrams ``t64_x16_y16_on8``."""
    records, arrivals = _records(datagrams, FAERY, lost)
    if (bad := records["p"] > 1).any():
        lost[BAD_POLARITY] += int(bad.sum())
        records, arrivals = records[~bad], arrivals[~bad]
    t = clock.join(records["t"].astype(np.uint64), arrivals)
    return Events(records["x"].astype(np.uint16), records["y"].astype(np.uint16), t, records["p"].copy())


def decode_faery32(datagrams: Datagrams, clock: LiveClock, lost: Counter[str]) -> Events:
    """Events of faery's datagrams ``t32_x16_y15_on1``."""
    records, arrivals = _records(datagrams, _FAERY32, lost)
    t = clock.join(records["t"].astype(np.uint64), arrivals)
    y, p = records["yp"] >> 1, (records["yp"] & 1).astype(np.uint8)
    return Events(records["x"].astype(np.uint16), y.astype(np.uint16), t, p)


Decode = Callable[[Datagrams, LiveClock, "Counter[str]"], Events]
FORMATS: dict[str, tuple[Decode, int, int]] = {
    "spif": (decode_spif, 32, 4),
    "faery": (decode_faery, 64, FAERY.itemsize),
    "faery32": (decode_faery32, 32, _FAERY32.itemsize),
}
"""How to decode each, the bits of its counter of time, and of how many bytes the length of a datagram is a multiple."""
