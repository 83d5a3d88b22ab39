"""Windows in precision "fixed": docs/fixed_point.md as loops of Python's own integers, and against floating point."""

from __future__ import annotations

from math import prod

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MaxPool2d, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_tables import Factor, decode_tables, encode_tables, fire_tables
from tests.conformance.cases import line

RNG = np.random.default_rng(17)


def tz(value: int, factor: Factor) -> int:
    product = value * factor.multiplier
    return -(-product // 2**factor.shift) if product < 0 else product // 2**factor.shift


def clip(value: int) -> int:
    return max(-STATE_LIMIT, min(STATE_LIMIT, value))


def fixed(*nodes: nir.NIRNode, x: np.ndarray, record: tuple[str, ...] = ()) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with nirbridge.compile(line(*nodes, shape=x.shape[2:]), precision="fixed") as program:
        found = program.run(x, record=record)
    return found.output, found.records


def floating(*nodes: nir.NIRNode, x: np.ndarray) -> np.ndarray:
    with nirbridge.compile(line(*nodes, shape=x.shape[2:]), precision="float") as program:
        return program.run(x).output


@pytest.mark.parametrize("largest", [60, 2**19])
@pytest.mark.parametrize(
    ("base_in", "base_out", "wait", "first", "rounding"),
    [(2.0, 1.3, 8, 1, True), (1.3, 1.3, 8, 1, True), (1.3, 1.7, 3, 0, True), (2.0, 2.0, 0, 2, False)],
)
def test_phase_neuron(base_in: float, base_out: float, wait: int, first: int, rounding: bool, largest: int) -> None:
    theta, start = RNG.integers(20, 200, 6), RNG.integers(-40, 40, 6)
    node = PhaseIF((6,), 8, wait, base_in, base_out, theta, start, first, rounding)
    x = RNG.integers(-largest // 2, largest, (24, 3, 6))
    tables = fire_tables(node)
    spikes, membranes = np.zeros(x.shape), np.zeros(x.shape)
    for window, b, n in np.ndindex(3, 3, 6):
        v, states = int(start[n]) * 2**tables.fraction, []
        for t in range(8):
            v = clip(v + tz(int(x[8 * window + t, b, n]), tables.gains[t]))
            states.append(v)
        membranes[8 * window : 8 * window + 8, b, n] = states
        fired = [k for k in range(8) if states[min(wait + k, 7)] >= int(tables.limits[k][0][1][n])]
        if fired:
            spikes[8 * window + fired[0], b, n] = 1
    found, records = fixed(node, x=x, record=("n0:v",))
    assert (found == spikes).all()
    assert (records["n0:v"] == membranes).all()
    assert found.any(axis=0).any()
    assert found.reshape(3, 8, 3, 6).sum(axis=1).max() == 1
    assert bool((np.abs(membranes) == STATE_LIMIT).any()) == (largest > 60)


def test_phase_neuron_of_base_2_is_the_one_of_floating_point() -> None:
    """Its gains are shifts, and with as many bits behind the point nothing is cut off: no spike may differ."""
    node = PhaseIF((50,), 8, 8, 2.0, 2.0, RNG.integers(5, 200, 50), RNG.integers(-9, 9, 50))
    x = RNG.integers(-30, 60, (40, 4, 50))
    assert (fixed(node, x=x)[0] == floating(node, x=x)).all()


@pytest.mark.parametrize(("base_in", "base_out"), [(1.3, 1.3), (2.0, 1.3), (1.2, 1.5)])
def test_other_bases_differ_only_next_to_a_threshold(base_in: float, base_out: float) -> None:
    """12-bit gains are off by 2^-12 at most, and phases lie a factor of base_out apart."""
    theta = 90
    node = PhaseIF((400,), 16, 16, base_in, base_out, theta, 3)
    x = RNG.integers(-30, 60, (16, 4, 400)) * (RNG.random((16, 4, 400)) < 0.3)
    found, expected = fixed(node, x=x)[0], floating(node, x=x)
    different = (found != expected).any(axis=0)
    assert different.mean() < 0.01
    decoded = 3 + sum(base_in**-t * x[t - 1] for t in range(1, 17))
    middle = (1 + 1 / base_out) / 2
    ratio = decoded[..., None] / (theta * middle * base_out ** -np.arange(1.0, 17.0))
    assert np.abs(ratio[different] - 1).min(axis=-1).max(initial=0) < 0.02


def test_phase_encode() -> None:
    scale = RNG.integers(3, 200, 7)
    node = PhaseEncode((7,), 12, 1.4, scale)
    x = RNG.integers(-20, 300, (5, 2, 7))
    tables, spikes = encode_tables(node), np.zeros((60, 2, 7))
    for t, b, n in np.ndindex(*x.shape):
        rest = clip(int(x[t, b, n]) * 2**tables.fraction)
        for k in range(12):
            if rest >= tables.values[k, n]:
                rest -= int(tables.values[k, n])
                spikes[12 * t + k, b, n] = 1
    assert (fixed(node, x=x)[0] == spikes).all()


def test_binary_code_is_the_binary_number() -> None:
    x = np.arange(-3, 70).reshape(1, 1, -1)
    found = fixed(PhaseEncode((73,), 6, 2.0, 64), x=x)[0]
    for value, digits in zip(x.ravel(), found[:, 0].T, strict=True):
        assert "".join(str(int(d)) for d in digits) == f"{min(max(value, 0), 63):06b}"


@pytest.mark.parametrize("largest", [400, 2**22])
def test_phase_decode(largest: int) -> None:
    start = RNG.integers(-50, 50, 5)
    node = PhaseDecode((5,), 6, 1.3, start)
    x = RNG.integers(-largest, 2 * largest, (12, 2, 5))
    tables, sums = decode_tables(node), np.zeros(x.shape)
    for window, b, n in np.ndindex(2, 2, 5):
        y = int(start[n])
        for t in range(6):
            y = clip(y + tz(int(x[6 * window + t, b, n]), tables.gains[t]))
            sums[6 * window + t, b, n] = y
    found, records = fixed(node, x=x, record=("n0:v",))
    assert (found == sums).all()
    assert (records["n0:v"] == sums).all()
    assert bool((np.abs(sums) == STATE_LIMIT).any()) == (largest > 400)


def test_first_spike_wins_in_integers() -> None:
    pool = MaxPool2d((2, 1), (2, 1), (0, 0))
    fire = PhaseIF((1, 2, 3), 4, 0, 2.0, 2.0, np.array([[[1, 8, 64], [4, 2, 64]]]), 0)
    x = np.repeat(np.array([8, 0, 0, 0]), 6).reshape(4, 1, 1, 2, 3)
    found, records = fixed(fire, pool, x=x, record=("n0",))
    assert (found.sum(axis=0) <= 1).all()
    assert records["n0"].sum(axis=0).ravel().tolist() == [1, 1, 1, 1, 1, 1]
    assert (found.argmax(axis=0) == records["n0"].argmax(axis=0).min(axis=2, keepdims=True)).all()


def test_temporal_mix() -> None:
    weight, x = RNG.integers(-120, 120, (3, 2)), RNG.integers(-99, 99, (6, 2, 4))
    expected = [weight @ x[t : t + 2, b] for b in range(2) for t in (0, 2, 4)]
    found = fixed(TemporalMix(weight), x=x)[0]
    assert (found == np.stack([np.concatenate(expected[:3]), np.concatenate(expected[3:])], axis=1)).all()


@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (5, 1)])
def test_mean_is_rounded_toward_zero(kernel: tuple[int, int]) -> None:
    x = RNG.integers(-50, 50, (3, 2, 1, 7, 6))
    node = nir.AvgPool2d(np.array(kernel), np.array([2, 1]), np.array([1, 0]))
    total = floating(nir.SumPool2d(node.kernel_size, node.stride, node.padding), x=x)
    expected = [int(abs(s)) // prod(kernel) * (1 if s >= 0 else -1) for s in total.ravel()]
    assert fixed(node, x=x)[0].ravel().tolist() == expected
