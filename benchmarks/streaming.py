"""Latency from the end of a window to its decision: a recording in real time through a network of the demo's size.

The recording is the third-party ``dvs.es`` (320x240, 473,225 events in 999 ms) where it is there, else random events of
the same rate.  The network is the demo's, its EventInput changed to the sensor; windows of 10 ms give 100 decisions a
pass.  Runtimes take their passes in turns, in one process.

    python benchmarks/streaming.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import replace
from pathlib import Path

import numpy as np

import nirbridge
from nirbridge.demo.network import WEIGHTS, DemoNetwork
from nirbridge.demo.scene import EVENT_INPUT
from nirbridge.exporting.checkpoints import load_weights
from nirbridge.neurons import OverTime
from nirbridge.runtime import streaming_options
from nirbridge_events import Events, FrameEncoder, Recording, Stream, open_recording

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "events" / "dvs.es"
SENSOR = (320, 240)
TARGETS = {"norse": 10.0, "lava": 20.0, "reference": float("inf")}


def recording() -> Recording:
    if SOURCE.is_file():
        return open_recording(SOURCE)
    rng, count = np.random.default_rng(0), 473_225
    x, y = (rng.integers(0, side, count).astype(np.uint16) for side in SENSOR)
    t, p = np.sort(rng.integers(0, 999_000, count)), rng.integers(0, 2, count).astype(np.uint8)
    return open_recording(Events(x, y, t, p), SENSOR)


def network() -> object:
    module = DemoNetwork()
    load_weights(module, WEIGHTS)
    node = replace(EVENT_INPUT, sensor_size=SENSOR)
    return nirbridge.export(OverTime(module), node.shape, input_node=node)


def one_pass(program: nirbridge.runtime.Program, node: object) -> tuple[list[float], list[tuple[float, ...]], object]:
    """Latencies and scores of every window, and the summary."""
    with Stream(recording(), program, FrameEncoder.from_node(node), pace="real") as stream:
        decisions = list(stream)
    return [decision.latency_ms for decision in decisions], [decision.scores for decision in decisions], stream.summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    graph = network()
    node = graph.nodes["input"]
    usable = [name for name in TARGETS if nirbridge.runtimes()[name].usable and not nirbridge.check(graph, name)]
    print(f"{recording().name}, windows of {node.window // 1000} ms in real time, {given.repeats} passes in turns")
    programs = {name: nirbridge.compile(graph, runtime=name, **streaming_options(name)) for name in usable}
    latencies: dict[str, list[float]] = {name: [] for name in usable}
    scores, events = {}, {}
    try:
        for _ in range(given.repeats):
            for name, program in programs.items():
                times, scores[name], summary = one_pass(program, node)
                latencies[name] += times
                events[name] = (summary.events, summary.dropped_events)
    finally:
        for program in programs.values():
            program.close()
    columns = "".join(f"{name:>9}" for name in ("p50 ms", "p95 ms", "p99 ms", "max ms"))
    print(f"\n{'':12}{'decisions':>10}{columns}{'target':>15}{'events':>9}{'lost':>6}")
    reached = True
    for name, times in latencies.items():
        p50, p95, p99 = np.percentile(times, (50, 95, 99))
        passed = p99 < TARGETS[name]
        reached &= passed
        goal = f"p99 < {TARGETS[name]:g} {'ok' if passed else 'MISSED'}" if np.isfinite(TARGETS[name]) else ""
        print(
            f"{name:12}{len(times):10}{p50:9.2f}{p95:9.2f}{p99:9.2f}{max(times):9.2f}{goal:>15}{events[name][0]:9}{events[name][1]:6}"
        )
    equal = all(np.array_equal(scores[name], scores[usable[0]]) for name in usable)
    print(f"\nscores of all runtimes equal: {equal}; targets: {'reached' if reached and equal else 'MISSED'}")


if __name__ == "__main__":
    main()
