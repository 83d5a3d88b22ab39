"""Neurons in precision "fixed": docs/fixed_point.md in Python's own integers, up to states that saturate."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

from nirbridge.ir import MultiLevelLIF
from tests.reference.judging import STATE_END, clipped, each_neuron, judges, run, same, toward_zero

Series = list[int]
DT = 1e-3
STEPS, BATCH, NEURONS = 30, 2, 5
LOSES = {
    "tau": [1, 100.4, 1360.7, 4096, 6.6],
    "tau_syn": [512, 1022.6, 1.3, 4096, 3999],
    "tau_mem": [3, 700.4, 2048.9, 4095, 60],
}
"""4096·dt/tau of each neuron, which is rounded to δ: a state loses δ/4096 a step; 4096 keeps nothing."""
THRESHOLD = np.array([90, 260, 11, 41, 777])
RESET = np.array([-17, 30, 0, 5, -1])


def kept(state: int, delta: int) -> int:
    """tz(state·k/4096), k = 4096 - δ."""
    return toward_zero(state * (4096 - delta), 4096)


def fired(u: int, reset: str, threshold: int | None, v_reset: int) -> tuple[int, int]:
    """(what is sent, membrane after it); without a threshold the membrane itself."""
    if threshold is None:
        return u, u
    if u <= threshold:
        return 0, u
    return 1, (v_reset if reset == "value" else clipped(u - (threshold - v_reset)))


def integrated(
    x: Series, reset: str, r: int, v_threshold: int | None = None, v_reset: int = 0
) -> tuple[Series, Series]:
    """v = clip(v + R x)."""
    v, sent, membranes = 0, [], []
    for value in x:
        y, v = fired(clipped(v + r * value), reset, v_threshold, v_reset)
        sent.append(y)
        membranes.append(v)
    return sent, membranes


def leaky(x: Series, reset: str, tau: int, v_threshold: int | None = None, v_reset: int = 0) -> tuple[Series, Series]:
    """v = clip(tz(v·k) + x)."""
    v, sent, membranes = 0, [], []
    for value in x:
        y, v = fired(clipped(kept(v, tau) + value), reset, v_threshold, v_reset)
        sent.append(y)
        membranes.append(v)
    return sent, membranes


def with_synapse(
    x: Series, reset: str, tau_syn: int, tau_mem: int, v_threshold: int | None = None, v_reset: int = 0
) -> tuple[Series, Series]:
    """i = clip(tz(i·k_syn) + x); v = clip(tz(v·k_mem) + i)."""
    i, v, sent, membranes = 0, 0, [], []
    for value in x:
        i = clipped(kept(i, tau_syn) + value)
        y, v = fired(clipped(kept(v, tau_mem) + i), reset, v_threshold, v_reset)
        sent.append(y)
        membranes.append(v)
    return sent, membranes


ORACLES = {
    nir.I: integrated,
    nir.IF: integrated,
    nir.LI: leaky,
    nir.LIF: leaky,
    nir.CubaLI: with_synapse,
    nir.CubaLIF: with_synapse,
}


def node_of(kind: Any) -> nir.NIRNode:
    """Time constants that lose δ/4096 a step, factors that make the gain of a step 1, no rest."""
    fields = kind.__dataclass_fields__
    tau = {name: DT * 4096 / np.array(deltas) for name, deltas in LOSES.items() if name in fields}
    behind = {"r": "tau_mem" if "tau_mem" in tau else "tau", "w_in": "tau_syn"}
    factors = {name: tau[of] / DT for name, of in behind.items() if name in fields and of in tau}
    lane = {name: value for name, value in {"v_threshold": THRESHOLD, "v_reset": RESET}.items() if name in fields}
    rest = {"v_leak": np.zeros(NEURONS)} if "v_leak" in fields else {"r": np.array([2, -3, 1, 5, 2])}
    return kind(**tau, **rest, **factors, **lane)


def data(largest: int) -> np.ndarray:
    """Integers of both signs, more of them positive."""
    return np.random.default_rng(31).integers(-largest // 2, largest, (STEPS, BATCH, NEURONS))


@pytest.mark.parametrize("largest", [60, 2**22])
@pytest.mark.parametrize("reset", ["value", "subtract"])
@judges(*ORACLES, precisions=("fixed",))
def test_neurons(kind: Any, reset: str, largest: int, precision: str) -> None:
    node, x = node_of(kind), data(largest)
    x[:5] = np.sign(x[:5]) * largest  # long enough at one sign to meet the end of a state
    x[:5, 0], x[5:10, 0] = largest, -largest
    fields = {name: np.array([round(d) for d in deltas]) for name, deltas in LOSES.items() if hasattr(node, name)}
    fields |= {name: getattr(node, name) for name in ("v_threshold", "v_reset") if hasattr(node, name)}
    fields |= {} if hasattr(node, "v_leak") else {"r": node.r}
    sent, membranes = each_neuron(lambda series, **p: ORACLES[kind](series, reset, **p), x, **fields)
    found = run(node, x=x, precision=precision, dt=DT, reset=reset, record=("n0:v",))
    same(found.output, sent)
    same(found.records["n0:v"], membranes)
    assert bool((np.abs(membranes) == STATE_END).any()) == (largest > 60)
    if hasattr(node, "v_threshold"):
        assert set(np.unique(sent)) == {0, 1}


@judges(nir.IF, nir.LIF, nir.CubaLIF, precisions=("fixed",))
def test_no_spike_just_at_the_threshold(kind: Any, precision: str) -> None:
    """The first input alone brings an I to R x and the others to x: their threshold, then one above it."""
    node = node_of(kind)
    node.v_threshold = np.array([40, 40, 40, 40, 40]) * (np.abs(node.r) if kind is nir.IF else 1)
    x = np.zeros((1, 2, NEURONS), int)
    x[0, 0], x[0, 1] = 40, 41
    if kind is nir.IF:
        x *= np.sign(node.r)
    assert run(node, x=x, precision=precision, dt=DT).output[0].tolist() == [[0] * NEURONS, [1] * NEURONS]


LANES = {
    "one": ([33], [1], [33]),
    "three for all": ([20, 40, 80], [1, 2, 4], [20, 40, 80]),
    "free": ([-9, 55, 130], [-3, 2, 7], [-40, 90, 100]),
    "per neuron": (
        [[5, 40, 9, 0, -3], [50, 41, 70, 1, 8], [300, 99, 71, 512, 9]],
        [[1, 1, 2, -1, 3], [2, 5, 3, 2, 4], [4, 9, 4, 1, 5]],
        [[5, 4, 3, 2, 1], [50, 60, 70, 1, 8], [9, 300, -200, 400, 7]],
    ),
}


@pytest.mark.parametrize("largest", [60, 2**22])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("name", LANES)
@judges(MultiLevelLIF, precisions=("fixed",))
def test_lanes(name: str, boundary: str, reset: str, largest: int, precision: str) -> None:
    """u = clip(tz(v·k) + gain·x), k = 4096·decay; the highest lane that fires sends and resets."""
    keeps, gains, starts, resets = [4096, 0, 2048, 4095, -1361], [1, -2, 3, 1, 2], [7, -30, 0, 200, 1], [0, 9, -9, 4, 1]
    fields = [np.array(values) for values in LANES[name]]
    node = MultiLevelLIF(
        (NEURONS,),
        np.array(keeps) / 4096,
        np.array(gains),
        np.array(starts),
        *fields,
        np.array(resets),
        reset,
        boundary,
    )
    x = data(largest)
    x[:5, 0], x[5:10, 0] = largest, -largest
    sent, membranes = np.zeros(x.shape), np.zeros(x.shape)
    thresholds, weights, amounts = (np.broadcast_to(f.reshape(len(f), -1), (len(f), NEURONS)).tolist() for f in fields)
    for b, n in np.ndindex(x.shape[1:]):
        v = starts[n]
        for t in range(STEPS):
            u = clipped(toward_zero(v * keeps[n], 4096) + gains[n] * int(x[t, b, n]))
            v = u
            for s in range(len(thresholds)):
                if u >= thresholds[s][n] + (boundary == ">"):
                    sent[t, b, n] = weights[s][n]
                    v = clipped(u - amounts[s][n]) if reset == "subtract" else resets[n]
            membranes[t, b, n] = v
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, sent)
    same(found.records["n0:v"], membranes)
    assert bool((np.abs(membranes) == STATE_END).any()) == (largest > 60)
    assert largest > 60 or len(np.unique(sent)) > len(fields[0])


@pytest.mark.parametrize("reset", ["subtract", "value"])
@judges(MultiLevelLIF, precisions=("fixed",))
def test_a_membrane_stays_at_its_end_after_a_subtraction_of_less_than_nothing(reset: str, precision: str) -> None:
    """A lane may add to the membrane, which has 24 bits then too."""
    lane = np.array([8_000_000]), np.array([1]), np.array([-3_000_000])
    node = MultiLevelLIF((1,), 1.0, 4, 0, *lane, -5, reset, ">")
    found = run(node, x=np.full((1, 1, 1), 2_000_001), precision=precision, record=("n0:v",))
    assert found.records["n0:v"].item() == (STATE_END if reset == "subtract" else -5)


def test_nothing_is_lost_between_a_synapse_and_a_state() -> None:
    """A sum beyond 24 bits ends in a membrane at its end; the next one of the other sign brings it back from there."""
    x = np.array([2**20, -(2**20)]).reshape(2, 1, 1)
    found = run(nir.Linear(np.array([[100]])), nir.I(np.array([1])), x=x, precision="fixed", record=("n0", "n1"))
    assert found.records["n0"].ravel().tolist() == [100 * 2**20, -100 * 2**20]
    assert found.records["n1"].ravel().tolist() == [STATE_END, max(STATE_END - 100 * 2**20, -STATE_END)]
