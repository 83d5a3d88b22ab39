"""Events a second of ``encode``, against tonic and a bincount for each slice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import encoding

from .measuring import OURS, Row, Section, in_turns, over, profiled

NAME, TITLE = "encode", "Encoding events"
ABOUT = """`nirbridge_events.encode` of one structured array of random events (10 Mev/s) into counts for windows of 10
ms, with numba's pass and without; tonic's `ToFrame` and one `numpy.bincount` a slice take the same events. CPU time of
one thread. `python benchmarks/encoding.py` has more codings, and the time of a single window."""
SIZES = ((346, 260), (1280, 720))
NUMBA, PLAIN, SLICES, TONIC = OURS, f"{OURS}, no numba", "bincount a slice", "tonic ToFrame"
WHY = {
    "Mev/s": "With numba: at 1280×720 new pages for 295 MB of frames, which the system fills with zeros, take half. "
    "Without: numpy goes over the events a dozen times, to copy fields, check, make the flat index and count.",
    "tonic": "As for the rates above; tonic makes its frames from the same events in one cast and one call.",
    "bincount": "bincount is one compiled pass too, over the same events.",
}


def measure(quick: bool = False) -> Section:
    """All rows."""
    section = Section()
    count = 20_000 if quick else 4_000_000
    for size in SIZES:
        events = encoding.random_events(count, size)
        array, name = events.to_array(), f"{size[0]}×{size[1]}"
        runs: dict[str, Callable[[], np.ndarray]] = {
            NUMBA: lambda array=array, size=size: encoding.encode_array(array, size, "count"),
            PLAIN: lambda array=array, size=size: encoding.encode_array(array, size, "count", with_numba=False),
            SLICES: lambda array=array, size=size: encoding.bincount_frames(array, size),
        }
        if theirs := encoding.tonic_frames(events, size):
            runs[TONIC] = theirs
        else:
            section.notes.append("tonic is not installed: its rows are left out.")
        frames = {who: run() for who, run in runs.items()}
        for who, made in frames.items():
            # tonic leaves out the last, partial window.
            common = slice(len(made) if who == TONIC else None)
            if not np.array_equal(made, frames[NUMBA][common]):
                raise AssertionError(f"{who} counts otherwise than encode")
        section.notes.append(f"{name}: counts of {count:,} events equal in {', '.join(runs)}.")
        seconds = in_turns(runs, 1 if quick else 5)
        targets = encoding.ENCODE_TARGETS[size]
        for who, key in ((NUMBA, encoding.ENCODE), (PLAIN, encoding.ENCODE_WITHOUT)):
            rates = [count / value / 1e6 for value in seconds[who]]
            what = f"encode, {name}, {'with' if who == NUMBA else 'without'} numba, Mev/s"
            section.rows.append(
                Row(what, rates, targets[key] / 1e6, "at least", "Mev/s", {who: seconds[who]}, profiled(runs[who], 1))
            )
        if theirs:
            values, goal = over(seconds, TONIC, NUMBA), encoding.TONIC_TARGETS[size]
            taken = {TONIC: seconds[TONIC]}
            section.rows.append(Row(f"encode, {name}, faster than {TONIC}", values, goal, "at least", seconds=taken))
        section.rows.append(
            Row(
                f"encode, {name}, without numba, faster than a {SLICES}",
                over(seconds, SLICES, PLAIN), encoding.BINCOUNT_TARGET, "at least", seconds={SLICES: seconds[SLICES]},
            )
        )  # fmt: skip
    return section
