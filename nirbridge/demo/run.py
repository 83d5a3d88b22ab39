"""The five stations of the main job: export, check, run, compare, stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

import nirbridge
from nirbridge.comparing import Comparison
from nirbridge.demo.scene import EVENT_INPUT, STEPS, TRAINING, digits, film, frames
from nirbridge.errors import NirbridgeError, Problem
from nirbridge.exporting.checkpoints import load_weights
from nirbridge.runtime import streaming_options
from nirbridge_events import Events, FrameEncoder, Stream

Say = Callable[[str], None]
COMPARED = 20


@dataclass
class Streamed:
    """One digit that was streamed.

    Attributes:
        image: its light [8, 8].
        label: its class.
        events: what the sensor sent.
        scores: mean outputs after each window [windows, 10].
        latency_ms: from the end of each window to its decision.
    """

    image: NDArray[np.float64]
    label: int
    events: Events
    scores: list[tuple[float, ...]] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    @property
    def decision(self) -> int:
        """The class after the last window."""
        return int(np.argmax(self.scores[-1]))


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        graph: the exported network.
        comparison: agreement of the runtimes, node by node.
        streamed: the digits streamed through the last runtime.
        runtime: the runtime that they were streamed through.
    """

    graph: nir.NIRGraph
    comparison: Comparison
    streamed: tuple[Streamed, ...]
    runtime: str

    @property
    def accuracy(self) -> float:
        """Share of streamed digits whose last decision is right."""
        return float(np.mean([digit.decision == digit.label for digit in self.streamed]))

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Of all decisions, in ms."""
        return np.concatenate([digit.latency_ms for digit in self.streamed])


def export_network(path: Path) -> nir.NIRGraph:
    """Builds the network, loads the weights that ship with nirbridge, exports it and reads the file back."""
    from nirbridge.demo.network import WEIGHTS, DemoNetwork
    from nirbridge.neurons import OverTime

    network = DemoNetwork()
    load_weights(network, WEIGHTS)
    nirbridge.write(path, nirbridge.export(OverTime(network), EVENT_INPUT.shape, input_node=EVENT_INPUT))
    return nirbridge.read(path)


def check_everywhere(graph: nir.NIRGraph, runtimes: tuple[str, ...]) -> list[Problem]:
    """The problems of the graph and of each runtime with it."""
    return [problem for runtime in runtimes for problem in nirbridge.check(graph, runtime)]


def compare_runtimes(graph: nir.NIRGraph, runtimes: tuple[str, ...]) -> Comparison:
    """Runs the same test digits on every runtime."""
    images, _ = digits()
    x = np.stack([frames(film(image)) for image in images[TRAINING : TRAINING + COMPARED]], axis=1)
    return nirbridge.compare(graph, x, runtimes=runtimes)


def stream_digits(graph: nir.NIRGraph, runtime: str, count: int) -> Iterator[Streamed]:
    """Films test digits and streams the events of each through a runtime, window by window."""
    images, labels = digits()
    with nirbridge.compile(graph, runtime=runtime, **streaming_options(runtime)) as program:
        program.step(np.zeros((1, *EVENT_INPUT.shape), np.float32))  # the first step pays for building the network
        for index in range(TRAINING, TRAINING + count):
            digit = Streamed(images[index], int(labels[index]), film(images[index]))
            encoder = FrameEncoder.from_node(EVENT_INPUT, start=0)
            with Stream([digit.events], program, encoder, pace="real") as stream:
                for decision in stream:
                    digit.scores.append(decision.scores)
                    digit.latency_ms.append(decision.latency_ms)
            yield digit


def run_demo(folder: Path, count: int, say: Say, progress: Callable[[Any], Any]) -> DemoResult:
    """The whole demo.

    Args:
        folder: where the model goes.
        count: digits to stream.
        say: prints a line.
        progress: wraps an iterable to show how far it is.

    Raises:
        NirbridgeError: the exported graph has a problem, or no runtime can stream it.
    """
    states = nirbridge.runtimes()
    usable = tuple(name for name, state in states.items() if state.usable)
    for name, state in states.items():
        if name not in usable:
            say(f"  runtime '{name}' is left out: {state.lack}")
    start = perf_counter()
    path = folder / "demo.nir"
    graph = export_network(path)
    say(f"1. export   {path}: {len(graph.nodes)} nodes, {perf_counter() - start:.1f} s")
    problems = check_everywhere(graph, usable)
    if problems:
        raise NirbridgeError.from_problems(problems)
    say(f"2. check    no problem on {', '.join(usable)}")
    start = perf_counter()
    comparison = compare_runtimes(graph, usable)
    say(f"3. run      {COMPARED} digits x {STEPS} steps on {', '.join(usable)}, {perf_counter() - start:.1f} s")
    for line in comparison.table().splitlines():
        say(f"   {line}")
    runtime = "lava" if "lava" in usable else usable[-1]
    streamed = tuple(progress(stream_digits(graph, runtime, count)))
    return DemoResult(graph, comparison, streamed, runtime)
