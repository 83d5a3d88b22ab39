"""Small networks and data sets that the tests of evaluations share."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np

from nirbridge.ir import EventInput, MultiLevelLIF
from tests.costing.nets import entry, line

RNG = np.random.default_rng(11)
IMAGES = RNG.integers(0, 5, (53, 2, 3)) * 0.25
LABELS = RNG.integers(0, 4, 53)
W1, W2 = RNG.integers(-2, 5, (8, 6)) * 0.25, RNG.integers(-3, 4, (4, 8)) * 0.25


def small() -> nir.NIRGraph:
    """Images 2x3, four classes, dyadic weights, so that every runtime gives the same bits."""
    flat = nir.Flatten({"input": np.array([2, 3])}, 0, -1)
    nodes = flat, nir.Linear(W1), MultiLevelLIF.one_hot((8,), 2, decay=0.5), nir.Linear(W2)
    return line(*nodes, entry=entry(2, 3), leaves=(4,))


def on_events() -> nir.NIRGraph:
    """Recordings of 4x4 pixels in windows of 1 ms, three classes."""
    rng = np.random.default_rng(2)
    flat = nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1)
    node = EventInput((2, 4, 4), sensor_size=(4, 4), window=1000, coding="count")
    nodes = flat, nir.Linear(rng.integers(-2, 4, (5, 32)) * 0.25), MultiLevelLIF.one_hot((5,), 2)
    return line(*nodes, nir.Linear(rng.integers(-2, 3, (3, 5)) * 0.5), entry=node, leaves=(3,))


def recordings(folder: Path, count: int = 7) -> Path:
    """So many recordings of 1 to 4 windows in a folder for each of the classes 0 and 2."""
    rng = np.random.default_rng(4)
    for number in range(count):
        place = folder / str(number % 2 * 2)
        place.mkdir(parents=True, exist_ok=True)
        events = np.zeros(60, dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
        events["t"] = np.sort(rng.integers(0, 1000 * (1 + number % 4), 60))
        events["t"][0] = 0
        for name in "xy":
            events[name] = rng.integers(0, 4, 60)
        events["p"] = rng.integers(0, 2, 60)
        np.save(place / f"{number}.npy", events)
    return folder
