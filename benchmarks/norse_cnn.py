"""Time of the Norse runtime against ``norse.torch.from_nir`` on the NIR paper's N-MNIST network.

Both run the same 300 frames of 1 ms, batch 1, in one process and in turns; the figure is the median.  Frames are a
real N-MNIST recording where the third-party data are there, else random with the same density.

    python benchmarks/norse_cnn.py [--repeats 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import nirbridge

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GRAPH = DATA / "nir-paper" / "02_cnn" / "cnn_sinabs.nir"
RECORDING = DATA / "nmnist-small" / "train" / "1.bin"
STEPS, SIZE = 300, 34
TARGET = 10.0


def frames() -> tuple[np.ndarray, str]:
    """[300, 1, 2, 34, 34] frames that count the events of each millisecond, and where they come from."""
    if not RECORDING.is_file():
        random = np.random.default_rng(0).random((STEPS, 1, 2, SIZE, SIZE)) < 0.006
        return random.astype(np.float32), "random frames"
    raw = np.frombuffer(RECORDING.read_bytes(), dtype=np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    step = (((raw[:, 2] & 0x7F) << 16) + (raw[:, 3] << 8) + raw[:, 4]) // 1000
    counts = np.zeros((STEPS, 1, 2, SIZE, SIZE), dtype=np.float32)
    inside = step < STEPS
    np.add.at(counts, (step[inside], 0, polarity[inside], y[inside], x[inside]), 1)
    return counts, f"N-MNIST {RECORDING.name}, {int(inside.sum())} events"


def norse_graph() -> Callable[[np.ndarray], np.ndarray]:
    """Norse's own import of the graph, stepped frame by frame."""
    import nir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch

        network = norse.torch.from_nir(nir.read(GRAPH), ignore_warnings=True)

    def run(x: np.ndarray) -> np.ndarray:
        state, outputs = None, []
        with torch.inference_mode():
            for frame in torch.from_numpy(x):
                y, state = network(frame, state)
                outputs.append(y)
        return torch.stack(outputs).numpy()

    return run


def stepped(program: nirbridge.runtime.Program) -> Callable[[np.ndarray], np.ndarray]:
    """The program as a live stream uses it: one frame a call."""

    def run(x: np.ndarray) -> np.ndarray:
        program.reset()
        return np.stack([program.step(frame) for frame in x])

    return run


def timed(runs: dict[str, Callable[[np.ndarray], np.ndarray]], x: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Seconds of each run, taken in turns so that load on the machine meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run(x)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def first_run(graph: object, x: np.ndarray) -> str:
    """What a user waits for the first time: lowering, and loading or compiling the neuron passes."""
    start = time.perf_counter()
    program = nirbridge.compile(graph, "norse")
    compiled = time.perf_counter()
    program.run(x)
    return f"first use: compile {compiled - start:.2f} s, first run {time.perf_counter() - compiled:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    if not GRAPH.is_file():
        print(f"no graph at {GRAPH}: nothing to measure")
        return
    torch.set_num_threads(given.threads)
    x, origin = frames()
    graph = nirbridge.read(GRAPH)
    print(f"{GRAPH.name}, {STEPS} steps, batch 1, {origin}; torch {torch.__version__}, {given.threads} thread(s)")
    print(first_run(graph, x))
    program = nirbridge.compile(graph, "norse")
    runs = {
        "norse.torch.from_nir, stepped": norse_graph(),
        "nirbridge norse, run": lambda data: program.run(data).output,
        "nirbridge norse, step": stepped(program),
    }
    outputs = {name: run(x) for name, run in runs.items()}
    baseline, *ours = runs
    seconds = timed(runs, x, given.repeats)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\n{'':32}{'median ms':>10}{'best ms':>9}{'us/step':>9}{'ratio':>7}{'spikes':>8}{'differ':>8}")
    for name, median in medians.items():
        wrong = int((outputs[name].ravel() != outputs[baseline].ravel()).sum())
        print(
            f"{name:32}{median * 1e3:10.2f}{min(seconds[name]) * 1e3:9.2f}{median / STEPS * 1e6:9.1f}"
            f"{medians[baseline] / median:7.1f}"
            f"{int(outputs[name].sum()):8d}{wrong:8d}"
        )
    reference = nirbridge.compile(graph).run(x).output
    print(f"\noutput spikes that differ from the reference: {int((outputs[ours[0]] != reference).sum())}")
    ratio = medians[baseline] / medians[ours[0]]
    print(f"whole run {ratio:.1f}x faster; target {TARGET:g}x: {'reached' if ratio >= TARGET else 'missed'}")


if __name__ == "__main__":
    main()
