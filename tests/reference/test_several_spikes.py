"""Several spikes a window, by the equations of PhaseIF's docstring and of docs/fixed_point.md in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, trunc
from typing import Any

import numpy as np
import pytest

from nirbridge.ir import MaxPool2d, PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.primitives import FirstSpikePool2d
from tests.reference.judging import BOTH, STATE_END, clipped, close, judges, run, same
from tests.reference.test_meaning_fixed_windows import fraction_bits, twelve_bits

RNG = np.random.default_rng(43)
PHASES, HALF = 6, Fraction(1, 2)
BASES = [(2.0, 2.0), (1.3, 1.3), (2.0, 1.5), (1.4, 2.5)]


def middle(left: int, behind: int, base: float, rounding: bool) -> Fraction:
    """m_{j,k}: half of a phase's value and the most that j spikes in the phases behind it can send, 1 at most."""
    later = sum((1 / Fraction(base) ** i for i in range(1, min(left, behind) + 1)), Fraction(0))
    return min(Fraction(1), (1 + later) / 2) if rounding else Fraction(1)


def phase_neuron(
    x: list[float], wait: int, base_in: float, base_out: float, theta: float, start: float, first: int,
    rounding: bool, spikes: int,
) -> tuple[list[int], list[Fraction], bool]:  # fmt: skip
    """The train, the decoded sums, and whether a membrane just meets its limit with more than one spike left."""
    into, out, left, met = Fraction(base_in), Fraction(base_out), spikes, False
    v = Fraction(start) * into ** (first - 1)
    train, sums = [], [Fraction(start)]
    for t in range(1, len(x) + wait + 1):
        entering = Fraction(x[t - 1]) if t <= len(x) else Fraction(0)
        v = into * v + entering
        if t <= len(x):
            sums.append(sums[-1] + entering / into ** (t + first - 1))
        if t > wait:
            k = t - wait
            stands_for = Fraction(theta) * into ** (t + first - 1) / out ** (k + first - 1)
            limit = middle(left, len(x) - k, base_out, rounding) * stands_for
            met = met or (left > 1 and v == limit)
            train.append(int(left > 0 and v >= limit))
            if train[-1]:
                v, left = v - stands_for, left - 1
    return train, sums[1:], met


@pytest.mark.parametrize("spikes", [2, 3, 9])
@pytest.mark.parametrize(("rounding", "first"), [(True, 1), (False, 1), (True, 0), (True, 2)])
@pytest.mark.parametrize("wait", [0, 2, 6])
@pytest.mark.parametrize(("base_in", "base_out"), BASES)
@judges(PhaseIF)
def test_phase_neuron(
    base_in: float, base_out: float, wait: int, rounding: bool, first: int, spikes: int, precision: str
) -> None:
    """With base 2 all is dyadic: sums meet their limits exactly, and fire there."""
    dyadic, windows = base_in == base_out == 2.0, 6
    theta = [1.0, 2.0, 0.75, 4.0] if dyadic else [1.1, 2.3, 0.7, 3.9]
    start = [0.0, 0.25, -0.5, 0.5] if dyadic else [0.0, 0.13, -0.3, 0.7]
    size = windows * PHASES, 2, 4
    x = RNG.integers(-8, 16, size) / 8 if dyadic else RNG.normal(0.4, 1.0, size)
    x[:PHASES, 0] = 0
    x[1, 0, 0] = 1  # the value of phase 2
    node = PhaseIF((4,), PHASES, wait, base_in, base_out, np.array(theta), np.array(start), first, rounding, spikes)
    expected, membranes, exactly = np.zeros(size), np.zeros(size), False
    for window, b, n in np.ndindex(windows, 2, 4):
        span = slice(PHASES * window, PHASES * (window + 1))
        given = theta[n], start[n], first, rounding, spikes
        expected[span, b, n], membranes[span, b, n], met = phase_neuron(
            x[span, b, n].tolist(), wait, base_in, base_out, *given
        )
        exactly = exactly or met
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    close(found.records["n0:v"], membranes)
    counts = expected.reshape(windows, PHASES, -1).sum(axis=1)
    assert 2 <= counts.max() <= min(spikes, PHASES)
    assert counts.min() == 0
    assert exactly or not dyadic or rounding


@pytest.mark.parametrize("largest", [90, 2**20])
@pytest.mark.parametrize("spikes", [2, 9])
@pytest.mark.parametrize(("rounding", "first"), [(True, 1), (False, 0), (True, 3)])
@pytest.mark.parametrize("wait", [0, 3, 7])
@pytest.mark.parametrize(("base_in", "base_out"), BASES)
@judges(PhaseIF, precisions=("fixed",))
def test_phase_neuron_of_integers(
    base_in: float, base_out: float, wait: int, rounding: bool, first: int, spikes: int, largest: int, precision: str
) -> None:
    """k fires where v(min(wait + k, T)) - r >= ⌈θ·H_j[k]⌉ with j > 0 spikes left; r takes the nearest of θ·A[k]."""
    phases, theta, start = 7, [64, 20, 128, 7], [0, -9, 33, 4]
    bits = fraction_bits(*theta, *start)
    exponents = [k + first - 1 for k in range(1, phases + 1)]
    gains = [twelve_bits(Fraction(base_in) ** -e * 2**bits) for e in exponents]
    amounts = [twelve_bits(Fraction(base_out) ** -e * 2**bits) for e in exponents]
    limits = {
        (j, k): twelve_bits(middle(j, phases - k, base_out, rounding) * Fraction(base_out) ** -e * 2**bits)
        for k, e in enumerate(exponents, 1)
        for j in range(1, spikes + 1)
    }
    size = 4 * phases, 2, 4
    x = RNG.integers(-largest // 3, largest, size) * (RNG.random(size) < 0.4)
    x[:phases, 0] = 0
    expected, membranes = np.zeros(size), np.zeros(size)
    for window, b, n in np.ndindex(4, 2, 4):
        states, begin, left, taken = [start[n] * 2**bits], window * phases, spikes, 0
        for t in range(phases):
            states.append(clipped(states[-1] + trunc(int(x[begin + t, b, n]) * gains[t])))
        membranes[begin : begin + phases, b, n] = states[1:]
        for k in range(1, phases + 1):
            if left and states[min(wait + k, phases)] - taken >= ceil(theta[n] * limits[left, k]):
                expected[begin + k - 1, b, n] = 1
                taken, left = clipped(taken + floor(theta[n] * amounts[k - 1] + HALF)), left - 1
    options = wait, base_in, base_out, np.array(theta), np.array(start), first, rounding, spikes
    found = run(PhaseIF((4,), phases, *options), x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], membranes)
    assert expected.reshape(4, phases, -1).sum(axis=1).max() == min(spikes, phases)
    assert bool((np.abs(membranes) == STATE_END).any()) == (largest > 90)


@pytest.mark.parametrize("spikes", [7, 10])
@judges(PhaseIF, precisions=BOTH)
def test_as_many_spikes_as_phases_of_base_2_round_to_the_nearest_binary_number(spikes: int, precision: str) -> None:
    """Halves up: 2V + 1 without its last digit."""
    x = np.arange(-3, 300).reshape(1, 1, -1)
    scaled = np.zeros((7, 1, x.size), int)
    scaled[0] = x
    node = PhaseIF((x.size,), 7, 7, 2.0, 2.0, np.array(128), np.array(0), spikes=spikes)
    found = run(node, x=scaled, precision=precision).output
    for twice, digits in zip(x.ravel(), found[:, 0].T, strict=True):
        assert "".join(str(int(d)) for d in digits) == f"{min(max((twice + 1) // 2, 0), 127):07b}"


@pytest.mark.parametrize("spikes", [8, 11])
@judges(PhaseIF, PhaseEncode, precisions=BOTH)
def test_as_many_spikes_as_phases_of_base_2_are_the_binary_number(spikes: int, precision: str) -> None:
    """Without rounding: the digits that PhaseEncode sends, of all numbers that eight of them say, and beyond."""
    x = np.arange(-3, 300).reshape(1, 1, -1)
    code = PhaseEncode((x.size,), 8, 2.0, np.array(256))
    options = 8, 8, 2.0, 2.0, np.array(256), np.array(0), 1, False, spikes
    scaled = np.zeros((8, 1, x.size), int)
    scaled[0] = 2 * x  # in phase 1 a half
    found = run(PhaseIF((x.size,), *options), x=scaled, precision=precision).output
    for value, digits in zip(x.ravel(), found[:, 0].T, strict=True):
        assert "".join(str(int(d)) for d in digits) == f"{min(max(value, 0), 255):08b}"
    same(found, run(code, x=x, precision=precision).output)


@pytest.mark.parametrize("rounding", [True, False])
@pytest.mark.parametrize("spikes", [1, 2, 4])
@pytest.mark.parametrize("base", [2.0, 1.3, 1.15])
@judges(PhaseIF, FirstSpikePool2d, precisions=BOTH)
def test_a_larger_membrane_never_sends_a_smaller_train(
    base: float, spikes: int, rounding: bool, precision: str
) -> None:
    """Read as numbers, first phase first; so a pool that lets spikes race sends the train of the largest membrane."""
    phases, shape = 8, (1, 6, 50)
    x = np.zeros((phases, 1, *shape), int)
    x[0] = RNG.integers(-20, 400, shape)
    x[1:] = RNG.integers(-9, 9, (phases - 1, 1, *shape))
    options = phases, phases, 2.0, base, np.array(130), np.array(3), 1, rounding, spikes
    pool = MaxPool2d((3, 2), (3, 2), 0)
    found = run(PhaseIF(shape, *options), pool, x=x, precision=precision, record=("n0", "n0:v"))
    trains, v = found.records["n0"].reshape(phases, -1).T, found.records["n0:v"][-1].ravel()
    ordered = [tuple(trains[place]) for place in np.argsort(v, kind="stable")]
    assert ordered == sorted(ordered)
    assert len(set(ordered)) > 6
    for row, column in np.ndindex(2, 25):
        under = (slice(None), 0, 0, slice(3 * row, 3 * row + 3), slice(2 * column, 2 * column + 2))
        winner = found.records["n0:v"][-1][under[1:]].argmax()
        same(found.output[:, 0, 0, row, column], found.records["n0"][under].reshape(phases, -1)[:, winner])


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 0)), ((2, 3), (2, 1), (1, 1))]
)
@pytest.mark.parametrize("spikes", [1, 2, 5])
@judges(FirstSpikePool2d, precisions=BOTH)
def test_pool_sends_the_largest_train(spikes: int, kernel: Any, stride: Any, padding: Any, precision: str) -> None:
    """Behind neurons that wait for nothing too, whose trains need no order by membranes."""
    phases, shape = 5, (2, 5, 4)
    fire = PhaseIF(shape, phases, 1, 1.5, 1.5, np.array(40), np.array(0), spikes=spikes)
    x = RNG.integers(-20, 45, (3 * phases, 2, *shape))
    found = run(fire, MaxPool2d(kernel, stride, padding), x=x, precision=precision, record=("n0",))
    spiking = np.pad(found.records["n0"], ((0, 0), (0, 0), (0, 0), *((p, p) for p in padding)))
    expected = np.zeros(found.output.shape)
    for window, b, c, row, column in np.ndindex(3, *found.output.shape[1:]):
        span = slice(window * phases, (window + 1) * phases)
        i, j = row * stride[0], column * stride[1]
        trains = spiking[span, b, c, i : i + kernel[0], j : j + kernel[1]].reshape(phases, -1).T
        expected[span, b, c, row, column] = max(map(tuple, trains))
    same(found.output, expected)
    assert min(spikes, 4) <= expected.reshape(3, phases, -1).sum(axis=1).max() <= spikes


@pytest.mark.parametrize("rounding", [True, False])
@judges(PhaseIF, PhaseDecode)
def test_more_spikes_say_a_value_better(rounding: bool, precision: str) -> None:
    """At base 2 the mean error over all activations falls with every spike."""
    phases, x, errors = 12, np.zeros((12, 1, 999)), []
    x[0] = np.arange(1, 1000) / 1000 * 2
    for spikes in (1, 2, 3, 4):
        fire = PhaseIF((999,), phases, phases, 2.0, 2.0, 1.0, 0.0, 1, rounding, spikes)
        sent = run(fire, PhaseDecode((999,), phases, 2.0), x=x, precision=precision).output[-1, 0]
        errors.append(np.abs(sent - x[0, 0] / 2).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < errors[0] / 4


@judges(PhaseIF, PhaseDecode)
def test_the_last_phases_do_not_wait_for_spikes_that_cannot_come(precision: str) -> None:
    """With an m of the spikes left alone, whatever the phase, two spikes of 1.28 would err by 3.7 %."""
    phases, activations = 16, np.linspace(0.05, 1, 999)
    x = np.zeros((phases, 1, 999))
    x[0] = activations * 1.28
    fire = PhaseIF((999,), phases, phases, 1.28, 1.28, 1.0, 0.0, spikes=2)
    sent = run(fire, PhaseDecode((999,), phases, 1.28), x=x, precision=precision).output[-1, 0]
    assert np.sqrt(np.mean((sent / activations - 1) ** 2)) < 0.027
