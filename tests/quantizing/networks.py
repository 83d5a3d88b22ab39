"""Random networks with real weights, and how far a quantised one is from the float one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import nir
import numpy as np

from nirbridge.ir import (
    Aggregate,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    TemporalMix,
)
from tests.conformance.cases import Graph, line, net

DT = 1e-3
PAIR = np.array([2, 2])
ZERO = np.array([0, 0])


class Maker:
    """Layers with random real weights."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def weight(self, *shape: int) -> np.ndarray:
        return self.random.normal(0, self.random.choice([0.1, 0.5, 2.0]), shape).astype(np.float32)

    def affine(self, out: int, into: int) -> nir.Affine:
        return nir.Affine(self.weight(out, into), self.weight(out))

    def conv(self, out: int, into: int, kernel: int = 3, padding: int = 1) -> nir.Conv2d:
        return nir.Conv2d(None, self.weight(out, into, kernel, kernel), 1, padding, 1, 1, self.weight(out))

    def one_hot(self, *shape: int) -> MultiLevelLIF:
        reset = str(self.random.choice(["subtract", "value"]))
        decay, gain = self.random.uniform(0.3, 1.0), self.random.uniform(0.5, 2)
        theta, scaled = self.random.uniform(0.3, 1.5), bool(self.random.integers(2))
        lanes = int(self.random.integers(1, 5))
        return MultiLevelLIF.one_hot(shape, lanes, theta, decay, reset, scaled=scaled, gain=gain)

    def uniform(self, *shape: int) -> MultiLevelLIF:
        levels, step = int(self.random.integers(1, 16)), self.random.uniform(0.1, 0.5)
        return MultiLevelLIF.uniform(shape, levels, step, 1.0, step / 2, "value")


def _dense(make: Maker) -> Graph:
    return line(make.affine(8, 6), make.one_hot(8), make.affine(5, 8), make.uniform(5), make.affine(3, 5), shape=(6,))


def _residual(make: Maker) -> Graph:
    nodes = {
        "c1": make.conv(2, 2),
        "a1": make.uniform(2, 6, 6),
        "c2": make.conv(2, 2),
        "a2": make.one_hot(2, 6, 6),
        "pool": nir.AvgPool2d(PAIR, PAIR, ZERO),
        "flat": nir.Flatten(None, 0, -1),
        "fc": make.affine(4, 18),
    }
    return net(nodes, "input c1 a1 c2 a2 pool flat fc output", "a1 a2", "input a2", shape=(2, 6, 6))


def _recurrent(make: Maker) -> Graph:
    nodes = {"fc": make.affine(6, 4), "act": make.one_hot(6), "rec": make.affine(6, 6), "out": make.affine(3, 6)}
    return net(nodes, "input fc act out output", "act rec act", shape=(4,))


def _core(make: Maker) -> Graph:
    def p(low: float, high: float) -> np.ndarray:
        return make.random.uniform(low, high, 5)

    zero = np.zeros(5)
    return line(
        make.affine(5, 4),
        nir.CubaLIF(p(2, 9) * DT, p(2, 9) * DT, p(1, 3), zero, p(0.3, 1), p(-0.2, 0.2), p(1, 3)),
        make.affine(5, 5),
        nir.LIF(p(2, 9) * DT, p(1, 3), zero, p(0.1, 0.5)),
        nir.Scale(p(-1, 1)),
        nir.IF(p(0.5, 2), p(0.5, 2)),
        make.affine(5, 5),
        nir.Threshold(p(-1, 1)),
        make.affine(5, 5),
        nir.LI(p(2, 9) * DT, p(1, 3), zero),
        shape=(4,),
    )


def _pools(make: Maker) -> Graph:
    per_channel = MultiLevelLIF.uniform((3, 8, 8), 5, make.random.uniform(0.1, 0.5, (3, 1, 1)), output="value")
    return line(
        make.conv(3, 2),
        per_channel,
        MaxPool2d(2, 2, 0),
        make.conv(3, 3),
        make.uniform(3, 4, 4),
        nir.SumPool2d(PAIR, PAIR, ZERO),
        nir.Delay(np.array(2 * DT)),
        nir.Flatten(None, 0, -1),
        make.affine(3, 12),
        nir.CubaLI(np.full(3, 3 * DT), np.full(3, 5 * DT), np.ones(3), np.zeros(3)),
        shape=(2, 8, 8),
    )


def _aggregated(make: Maker) -> Graph:
    return line(
        nir.Linear(make.weight(5, 3)), Aggregate(make.weight(4, 4)), make.one_hot(4, 5), nir.Linear(make.weight(2, 5)),
        shape=(4, 3),
    )  # fmt: skip


def _attention(make: Maker) -> Graph:
    """q ⊙ n(Σ_places k ⊙ v), whose messages are 1/4, 1/2 and 1."""

    def act(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, 3, 1.0, 0.5, "value", scaled=True, gain=0.5)

    whole = np.array([4, 4])
    nodes = {name: make.conv(2, 2) for name in "qkv"} | {f"{name}.act": act(2, 4, 4) for name in "qkv"}
    nodes |= {
        "k.at": Place((2, 4, 4), (4, 4, 4), 0, 2),
        "v.at": Place((2, 4, 4), (4, 4, 4), 2, 4),
        "kv": Product((4, 4, 4), 2),
        "sum": nir.SumPool2d(whole, whole, ZERO),
        "gate": act(2, 1, 1),
        "q.at": Place((2, 4, 4), (4, 4, 4), 0, 2),
        "gate.at": Place((2, 1, 1), (4, 4, 4), 2, 4),
        "qg": Product((4, 4, 4), 2),
        "project": make.conv(2, 2),
        "last": act(2, 4, 4),
        "flat": nir.Flatten(None, 0, -1),
        "out": make.affine(3, 32),
    }
    paths = ("input k k.act k.at kv sum gate gate.at qg project last flat out output",)
    return net(nodes, *paths, "input v v.act v.at kv", "input q q.act q.at qg", shape=(2, 4, 4))


def _phases(make: Maker, spikes: int = 1) -> Graph:
    """Binary code, two layers of spikes of other bases, first spikes pooled, logits: biases and waits vary."""

    def fire(shape: tuple[int, ...], base_in: float, wait: int, *each: int) -> PhaseIF:
        theta, start = make.random.uniform(2, 4, each), make.random.uniform(-0.3, 0.3, each)
        return PhaseIF(shape, 8, wait, base_in, 1.5, theta, start, spikes=spikes)

    return line(
        PhaseEncode((2, 6, 6), 8, 2.0, 4.7),
        nir.Conv2d(None, make.weight(3, 2, 3, 3), 1, 1, 1, 1, np.zeros(3)),
        fire((3, 6, 6), 2.0, 8, 3, 1, 1),
        MaxPool2d(2, 2, 0),
        nir.AvgPool2d(np.array([3, 3]), np.array([1, 1]), np.array([1, 1])),
        nir.Flatten(None, 0, -1),
        nir.Linear(make.weight(8, 27)),
        fire((8,), 1.5, 5),
        nir.Linear(make.weight(4, 8)),
        PhaseDecode((4,), 8, 1.5, make.weight(4)),
        shape=(2, 6, 6),
    )


def _lmht(make: Maker) -> Graph:
    """Windows of 3 steps: a learned mixing, then one of 1/3."""
    return line(
        make.affine(8, 6),
        TemporalMix(make.random.uniform(0, 2 / 3, (3, 3))),
        make.uniform(8),
        make.affine(5, 8),
        TemporalMix(np.full((3, 3), 1 / 3)),
        make.uniform(5),
        make.affine(3, 5),
        shape=(6,),
    )


NETWORKS: dict[str, Callable[[Maker], Graph]] = {
    "dense": _dense,
    "residual": _residual,
    "recurrent": _recurrent,
    "core": _core,
    "pools": _pools,
    "aggregated": _aggregated,
    "phases": _phases,
    "phases of several spikes": partial(_phases, spikes=3),
    "lm-ht": _lmht,
    "attention": _attention,
}


def frames(graph: Graph, steps: int = 12, batch: int = 4, seed: int = 0) -> np.ndarray:
    """[T, B, *shape] of small integers."""
    shape = tuple(int(n) for n in graph.nodes["input"].output_type["output"])
    return np.random.default_rng(seed).integers(0, 5, (steps, batch, *shape)).astype(np.float64)
