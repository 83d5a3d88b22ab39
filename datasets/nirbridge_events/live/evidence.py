"""What datagrams look like, whatever format they are read as; and who sends them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np

from nirbridge_events.events import Size
from nirbridge_events.live.clock import LiveClock
from nirbridge_events.live.datagrams import FORMATS, Datagrams

LOOKED_AT = 64
"""Datagrams that are judged at once."""
OFTEN = 64
"""So many looks are taken at every chunk; then one in a second, so that judging costs nothing."""
ENOUGH_EVENTS = 16
WRONG, RIGHT = 0.5, 0.95
"""Below the first share of sound events a format is wrong, above the second another one is right."""


class FormatJudge:
    """Whether datagrams are of the format that they are read as.

    An event is sound if it lies on the sensor, its polarity is 0 or 1, and its time follows the one before it.  Where
    hardly any event is sound as format ``kind`` and nearly all are as another one, the datagrams are of that one.

    Attributes:
        kind: the format that they are read as.
        other: the one that they are of, None where nothing speaks against ``kind``.
    """

    def __init__(self, kind: str, size: Size) -> None:
        self.kind, self._size = kind, size
        self._looks, self._next = 0, 0.0
        self.other: str | None = None

    def look(self, parts: Sequence[bytes], now: float) -> str | None:
        """Judges some of the datagrams that came at ``now`` [s]; returns ``other``."""
        if not parts or (self._looks >= OFTEN and self.other is None and now < self._next):
            return self.other
        self._looks, self._next = self._looks + 1, now + 1.0
        parts = parts[:LOOKED_AT]
        sound, events = fit(self.kind, parts, self._size)
        self.other = None
        if sound < WRONG * max(events, 1):
            for kind in FORMATS:
                sound, events = fit(kind, parts, self._size)
                if events >= ENOUGH_EVENTS and sound > RIGHT * events:
                    self.other = kind
        return self.other


def fit(kind: str, parts: Sequence[bytes], size: Size) -> tuple[int, int]:
    """How many sound events datagrams hold as a format, and how many events or broken datagrams in all."""
    decode, bits, unit = FORMATS[kind]
    whole = [part for part in parts if part and len(part) % unit == 0]
    broken = sum(max(1, len(part) // unit) for part in parts if len(part) % unit or not part)
    if not whole:
        return 0, broken
    clock, lost = LiveClock(bits), Counter[str]()
    events = decode(Datagrams(whole, np.zeros(len(whole), dtype=np.int64)), clock, lost)
    sound = (events.x < size[0]) & (events.y < size[1])
    return int(sound.sum()) - clock.resyncs, len(events) + sum(lost.values()) + broken


class Senders:
    """Whether several senders send at the same time.

    One after another is a sender that was started again; one that comes back after another sent is a second one.

    Attributes:
        mixed: the two that were found first, None if there is one at a time.
    """

    KEPT = 16

    def __init__(self) -> None:
        self._last = ""
        self._before: OrderedDict[str, None] = OrderedDict()
        self.mixed: tuple[str, str] | None = None

    def add(self, senders: Iterable[str]) -> None:
        """Takes the senders of datagrams in their order."""
        for sender in senders:
            if sender == self._last:
                continue
            if sender in self._before and self.mixed is None:
                self.mixed = (sender, self._last)
            self._before[sender] = None
            self._before.move_to_end(sender)
            if len(self._before) > self.KEPT:
                self._before.popitem(last=False)
            self._last = sender
