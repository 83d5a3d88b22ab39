"""A network trained for Loihi on N-MNIST, run bit for bit on Lava, against an integer model in plain numpy.

    python examples/loihi_nmnist.py ../shared/data/nmnist-small [--all] [--mapping fused|processes]

The folder holds ``labels.csv`` (file, label), ``train/*.bin``, one N-MNIST recording each, and
``loihi_nmnist_TrainedFull_int8.npz`` with the 8-bit weights of a 2312-512-10 network of current-based neurons.  Of the
1000 recordings the first 100 are run, or all of them.  Every spike and every membrane of every step is compared; the
script ends with exit code 1 if one differs or if fewer than 99 % of the recordings are recognised.
"""

from __future__ import annotations

import csv
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import click
import nir
import numpy as np
from numpy.typing import NDArray

import nirbridge
from nirbridge.ir import EventInput, build_graph
from nirbridge_events import FrameEncoder, open_recording

STEPS, PORTION = 350, 100
CURRENT_DECAY, VOLTAGE_DECAY, ONE = 1024, 128, 4096
THRESHOLD, WEIGHT_SCALE = 80 * 64, 64
STATE_LIMIT = 2**23 - 1
EVENTS = EventInput(shape=(2, 34, 34), sensor_size=(34, 34), window=1000, coding="binary")
RECORDS = ("hidden", "hidden:v", "class", "class:v")
Array = NDArray[np.int64]


def load_weights(folder: Path) -> tuple[Array, Array]:
    """(512, 2312) and (10, 512) integers, as Loihi's synapses add them to the current."""
    with np.load(folder / "loihi_nmnist_TrainedFull_int8.npz") as stored:
        first, second = (stored[name].astype(np.int64) * WEIGHT_SCALE for name in ("W1", "W2"))
    return first.reshape(len(first), -1), second


def make_graph(first: Array, second: Array) -> nir.NIRGraph:
    """The network in NIR; w_in·dt/tau_syn = 1 and r·dt/tau_mem = 1, so that weights count as they are stored."""
    nodes: dict[str, nir.NIRNode] = {
        "events": EVENTS,
        "flat": nir.Flatten(None, 0, -1),
        "fc1": nir.Linear(first),
        "hidden": neuron(len(first)),
        "fc2": nir.Linear(second),
        "class": neuron(len(second)),
        "output": nir.Output(None),
    }
    return build_graph(nodes, list(pairwise(nodes)))


def neuron(size: int) -> nir.CubaLIF:
    """Loihi's current-based neuron; its decays are those of steps of 1 ms."""
    in_steps = [ONE / CURRENT_DECAY, ONE / VOLTAGE_DECAY]
    tau_syn, tau_mem, w_in, r = (np.full(size, value) for value in (*(1e-3 * n for n in in_steps), *in_steps))
    zero = np.zeros(size)
    return nir.CubaLIF(tau_syn, tau_mem, r, zero, np.full(size, THRESHOLD), zero, w_in)


def load_frames(folder: Path, names: list[str]) -> NDArray[np.uint8]:
    """[350, recordings, 2, 34, 34]: 1 where any event fell into the millisecond."""
    frames = np.zeros((STEPS, len(names), *EVENTS.shape), np.uint8)
    for index, name in enumerate(names):
        encoder = FrameEncoder.from_node(EVENTS)
        for window in encoder.encode(open_recording(folder / "train" / name, sensor_size=(34, 34))):
            if window.index < STEPS:
                frames[window.index, index] = window.frame
    return frames


def numpy_model(first: Array, second: Array, frames: NDArray[np.uint8]) -> dict[str, Array]:
    """The same network in the integer arithmetic of Loihi's neuron, written out without any library."""
    layers = {"hidden": first, "class": second}
    shapes = {name: (frames.shape[1], len(weight)) for name, weight in layers.items()}
    current = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
    voltage = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
    kept: dict[str, list[Array]] = {name: [] for name in RECORDS}
    # Products of single precision would not do, those of double precision are exact below 2^53.
    exact = {name: weight.T.astype(np.float64) for name, weight in layers.items()}
    for frame in frames.reshape(*frames.shape[:2], -1):
        spikes = frame.astype(np.int64)
        for name in layers:
            arriving = (spikes.astype(np.float64) @ exact[name]).astype(np.int64)
            current[name] = clipped(decayed(current[name], CURRENT_DECAY) + arriving)
            voltage[name] = clipped(decayed(voltage[name], VOLTAGE_DECAY) + current[name])
            spikes = (voltage[name] > THRESHOLD).astype(np.int64)
            voltage[name][spikes > 0] = 0
            kept[name].append(spikes)
            kept[f"{name}:v"].append(voltage[name].copy())
    return {name: np.stack(steps) for name, steps in kept.items()}


def decayed(state: Array, loss: int) -> Array:
    """state·(4096 - loss)/4096, rounded toward zero as Loihi does."""
    product = state * (ONE - loss)
    return np.where(product < 0, -(-product // ONE), product // ONE)


def clipped(state: Array) -> Array:
    """24 bits."""
    return np.minimum(np.maximum(state, -STATE_LIMIT), STATE_LIMIT)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--all", "every", is_flag=True, help="All recordings instead of the first 100.")
@click.option("--mapping", default="fused", show_default=True, type=click.Choice(["fused", "processes"]))
def main(folder: Path, every: bool, mapping: str) -> None:
    """Runs the recordings and compares."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows = rows if every else rows[:PORTION]
    labels = np.array([int(row["label"]) for row in rows])
    first, second = load_weights(folder)
    right = {"lava": 0, "numpy": 0}
    wrong = dict.fromkeys(RECORDS, 0)
    seconds = {"lava": 0.0, "numpy": 0.0}
    with nirbridge.compile(make_graph(first, second), "lava", precision="fixed", mapping=mapping) as program:
        for begin in range(0, len(rows), PORTION):
            part = slice(begin, begin + PORTION)
            frames = load_frames(folder, [row["file"] for row in rows[part]])
            clock = perf_counter()
            found = program.run(frames, RECORDS).records
            seconds["lava"] += perf_counter() - clock
            clock = perf_counter()
            expected = numpy_model(first, second, frames)
            seconds["numpy"] += perf_counter() - clock
            for name in RECORDS:
                wrong[name] += int(np.count_nonzero(found[name] != expected[name]))
            for name, records in (("lava", found), ("numpy", expected)):
                right[name] += int((records["class"].sum(axis=0).argmax(axis=1) == labels[part]).sum())
            click.echo(f"{begin + len(frames[0])} recordings: lava {right['lava']} right", err=True)
    report(len(rows), right, wrong, seconds)


def report(count: int, right: dict[str, int], wrong: dict[str, int], seconds: dict[str, float]) -> None:
    """Prints the figures; exit code 1 where they are not what was asked for."""
    for name in right:
        took = seconds[name] / count / STEPS * 1e6
        click.echo(
            f"{name:6s} {right[name]} of {count} right, {seconds[name]:.1f} s, {took:.1f} µs a step and recording"
        )
    for name, mismatches in wrong.items():
        click.echo(f"{name:9s} {mismatches} values differ")
    if any(wrong.values()) or right["lava"] < 0.99 * count:
        sys.exit(1)


if __name__ == "__main__":
    main()
