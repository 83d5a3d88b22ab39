"""Phase codes in precision "fixed": docs/fixed_point.md, its tables too, in fractions of Python's own integers."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, trunc

import numpy as np
import pytest

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF
from tests.reference.judging import STATE_END, clipped, judges, run, same

RNG = np.random.default_rng(37)
BATCH, NEURONS = 2, 4


def twelve_bits(value: Fraction) -> Fraction:
    """The nearest m·2^e with a mantissa m of 2048 to 4096."""
    unit = Fraction(1)
    while value / unit >= 4096:
        unit *= 2
    while value / unit < 2048:
        unit /= 2
    return round(value / unit) * unit


def fraction_bits(*values: int) -> int:
    """The most bits behind the point with which no value exceeds 2^20; 0 where one does already."""
    bits = 0
    while max(abs(value) for value in values) << (bits + 1) <= 2**20:
        bits += 1
    return bits


@pytest.mark.parametrize(
    ("base", "phases", "scale"),
    [
        (2.0, 6, [5, 1, 9, 64]),
        (1.3, 9, [3, 7, 1000, 2]),
        (1.7, 12, [2**20, 1, 5, 77]),
        (1.3, 5, [2**21 + 1, 3, 8, 6]),
        (1.05, 12, [8, 8, 7, 8]),
    ],
)
@judges(PhaseEncode, precisions=("fixed",))
def test_phase_encode(base: float, phases: int, scale: list[int], precision: str) -> None:
    """r = clip(x·2^F); at phase k a spike where r >= B[k] = ⌈scale·base^-k·2^F⌉, then r = r - B[k]."""
    bits = fraction_bits(*scale)
    gains = [twelve_bits(Fraction(base) ** -k * 2**bits) for k in range(1, phases + 1)]
    x = RNG.integers(-2, 3 * np.array(scale), (6, BATCH, NEURONS))
    x[0, 0] = np.array(scale) // 2
    x[1, 0] = -(2**22)
    x[1, 1] = 2**22  # at the end of the state, where F has any bits: at base 1.05 less than all phases
    expected = np.zeros((6 * phases, BATCH, NEURONS))
    for t, b, n in np.ndindex(x.shape):
        rest = clipped(int(x[t, b, n]) * 2**bits)
        for k in range(phases):
            limit = ceil(scale[n] * gains[k])
            if rest >= limit:
                rest -= limit
                expected[t * phases + k, b, n] = 1
    same(run(PhaseEncode((NEURONS,), phases, base, np.array(scale)), x=x, precision=precision).output, expected)
    assert set(np.unique(expected)) == {0, 1}


@pytest.mark.parametrize("largest", [400, 2**22])
@pytest.mark.parametrize("base", [2.0, 1.3, 3.1])
@judges(PhaseDecode, precisions=("fixed",))
def test_phase_decode(base: float, largest: int, precision: str) -> None:
    """y(t) = clip(y(t-1) + tz(x(t)·G[t])), G[t] = base^-t, y(0) = v_init."""
    phases, start = 7, [0, 41, -300, 7]
    gains = [twelve_bits(Fraction(base) ** -t) for t in range(1, phases + 1)]
    x = RNG.integers(-largest, 2 * largest, (3 * phases, BATCH, NEURONS))
    x[:phases, 0, 0], x[:phases, 0, 1] = 2 * largest - 1, -largest
    expected = np.zeros(x.shape)
    for window, b, n in np.ndindex(3, BATCH, NEURONS):
        y = start[n]
        for t in range(phases):
            y = clipped(y + trunc(int(x[window * phases + t, b, n]) * gains[t]))
            expected[window * phases + t, b, n] = y
    node = PhaseDecode((NEURONS,), phases, base, np.array(start))
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], expected)
    assert bool((np.abs(expected) == STATE_END).any()) == (largest > 400 and base < 2)


@pytest.mark.parametrize("largest", [90, 2**20])
@pytest.mark.parametrize("rounding", [True, False])
@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("wait", [0, 3, 7])
@pytest.mark.parametrize(("base_in", "base_out"), [(2.0, 2.0), (1.3, 1.3), (2.0, 1.3), (1.4, 2.0)])
@judges(PhaseIF, precisions=("fixed",))
def test_phase_neuron(
    base_in: float, base_out: float, wait: int, first: int, rounding: bool, largest: int, precision: str
) -> None:
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])); k fires where v(min(wait + k, T)) >= ⌈θ·H[k]⌉ and none before it did."""
    phases, theta, start = 7, [64, 20, 128, 7], [0, -9, 33, 4 if rounding else -300]
    bits = fraction_bits(*theta, *start)
    middle = (1 + 1 / Fraction(base_out)) / 2 if rounding else Fraction(1)
    exponents = [k + first - 1 for k in range(1, phases + 1)]
    gains = [twelve_bits(Fraction(base_in) ** -e * 2**bits) for e in exponents]
    limits = [twelve_bits(middle * Fraction(base_out) ** -e * 2**bits) for e in exponents]
    x = RNG.integers(-largest, largest, (4 * phases, BATCH, NEURONS)) * (RNG.random((4 * phases, BATCH, NEURONS)) < 0.4)
    x[:phases, 0] = 0
    x[0, 0, 0] = 64  # the threshold itself
    expected, membranes = np.zeros(x.shape), np.zeros(x.shape)
    for window, b, n in np.ndindex(4, BATCH, NEURONS):
        states, begin = [start[n] * 2**bits], window * phases
        for t in range(phases):
            states.append(clipped(states[-1] + trunc(int(x[begin + t, b, n]) * gains[t])))
        membranes[begin : begin + phases, b, n] = states[1:]
        for k in range(1, phases + 1):
            if states[min(wait + k, phases)] >= ceil(theta[n] * limits[k - 1]):
                expected[begin + k - 1, b, n] = 1
                break
    options = wait, base_in, base_out, np.array(theta), np.array(start), first, rounding
    found = run(PhaseIF((NEURONS,), phases, *options), x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], membranes)
    assert expected.any()
    assert not expected.reshape(4, phases, -1).any(axis=1).all()
    assert bool((np.abs(membranes) == STATE_END).any()) == (largest > 90)
