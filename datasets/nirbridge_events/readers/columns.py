"""Names of columns, shared by the formats that hold tables: CSV, NumPy, HDF5."""

from __future__ import annotations

import re
from collections.abc import Sequence

ALIASES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps", "times"),
    "x": ("x", "xs", "col", "column"),
    "y": ("y", "ys", "row"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
_UNIT_WORDS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds", "millis"),
    "us": ("us", "µs", "μs", "usec", "microsecond", "microseconds", "micros"),
    "ns": ("ns", "nsec", "nanosecond", "nanoseconds", "nanos"),
}
# Words beside a column's name that do not change what it is.
_FILLERS = frozenset(
    ("event", "events", "ev", "dvs", "addr", "address", "coord", "coordinate", "px", "pixel", "pixels", "stamp", "in")
)
_SPLIT = re.compile(r"[^0-9A-Za-zµμ]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def find_columns(names: Sequence[str]) -> dict[str, list[int]]:
    """The places of each of t, x, y and p among ``names``; those that are not there are left out.

    A unit beside the time, as in ``t_us`` or ``time [s]``, and words as in ``addr_x`` or ``events_t`` do not hide it.
    """
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        words = [word for word in _words(name) if word not in _FILLERS]
        for field, aliases in ALIASES.items():
            rest = words[1:] if words and words[0] in aliases else None
            if rest is not None and all(_harmless(field, word) for word in rest):
                found.setdefault(field, []).append(i)
    return found


def one_of_each(names: Sequence[str]) -> dict[str, int] | None:
    """The place of each of t, x, y and p among ``names``; None if one of them is missing or stands twice."""
    found = find_columns(names)
    if set(found) != set(ALIASES) or any(len(places) != 1 for places in found.values()):
        return None
    return {field: found[field][0] for field in ALIASES}


def unit_in(name: str) -> str:
    """The unit that the name of a time column says, or ""."""
    return next((unit for word in _words(name)[1:] if (unit := unit_of(word))), "")


def _harmless(field: str, word: str) -> bool:
    """Whether a word after the name only explains it: a number, a unit, or what a polarity means."""
    return word.isdigit() or (field == "t" and bool(unit_of(word))) or (field == "p" and word in ("on", "off"))


def _words(name: str) -> list[str]:
    """The words of a name in lower case; ``timeStamp`` is one, as ``time_stamp`` is two."""
    return [word.lower() for part in _SPLIT.split(name) for word in _CAMEL.split(part) if word]


def unit_of(word: str) -> str:
    """The unit of time that a word in lower case stands for, or ""."""
    return next((unit for unit, words in _UNIT_WORDS.items() if word in words), "")
