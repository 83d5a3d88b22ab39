"""The integer tables of phase codes against the real numbers that they stand for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_tables import (
    Factor,
    decode_tables,
    encode_tables,
    factor,
    fire_tables,
    fraction_bits,
    middles,
    spikes_of,
)

BASES = st.floats(1.01, 4.0)


def real(found: Factor) -> Fraction:
    return Fraction(found.multiplier, 2**found.shift)


@given(BASES, st.integers(-24, 3), st.integers(0, 20))
def test_factors_are_short_and_close(base: float, exponent: int, fraction: int) -> None:
    found = factor(base, exponent, fraction)
    wanted = Fraction(base**exponent) * 2**fraction
    assert abs(real(found) - wanted) <= wanted / 2**12
    mantissa = found.multiplier
    while mantissa % 2 == 0:
        mantissa //= 2
    assert 0 < mantissa < 2**12
    assert found.shift >= 0


@given(st.integers(-50, 3), st.integers(0, 20))
def test_powers_of_two_are_exact(exponent: int, fraction: int) -> None:
    assert real(factor(2.0, exponent, fraction)) == Fraction(2) ** (exponent + fraction)


@given(st.lists(st.integers(-STATE_LIMIT, STATE_LIMIT), min_size=1, max_size=5))
def test_as_many_bits_behind_the_point_as_fit(values: list[int]) -> None:
    largest, bits = max(map(abs, values)), fraction_bits(np.array(values))
    assert bits == 0 or largest * 2**bits <= 2**20
    assert largest * 2 ** (bits + 1) > 2**20 or bits == 20


@settings(max_examples=60)
@given(BASES, BASES, st.integers(1, 16), st.integers(0, 2), st.booleans(), st.integers(1, 3000), st.integers(-900, 900))
def test_tables_of_a_neuron(
    base_in: float, base_out: float, phases: int, first: int, rounding: bool, theta: int, start: int
) -> None:
    node = PhaseIF((1,), phases, phases, base_in, base_out, theta, start, first, rounding)
    found = fire_tables(node)
    middle = (1 + 1 / base_out) / 2 if rounding else 1.0
    assert found.start == start * 2**found.fraction
    assert abs(int(found.start)) <= 2**20
    for k in range(1, phases + 1):
        gain = Fraction(base_in ** -(k + first - 1)) * 2**found.fraction
        assert abs(real(found.gains[k - 1]) - gain) <= gain / 2**12
        limit = Fraction(theta * middle * base_out ** -(k + first - 1)) * 2**found.fraction
        assert -limit / 2**12 <= int(found.limits[k - 1][0][1]) - limit <= limit / 2**12 + 1
        amount = Fraction(theta * base_out ** -(k + first - 1)) * 2**found.fraction
        assert abs(int(found.amounts[k - 1]) - amount) <= amount / 2**12 + Fraction(1, 2)


@given(BASES, st.integers(1, 40), st.integers(1, 12))
def test_middles_of_several_spikes(base: float, spikes: int, phases: int) -> None:
    """Each number of spikes that can be left at a phase finds its m, which a phase never says twice."""
    node = PhaseIF((1,), phases, 0, 2.0, base, 1.0, 0.0, spikes=spikes)
    counted = spikes_of(node)
    assert counted == min(spikes, phases)
    found = middles(node)
    assert len(found) == phases
    for k, row in enumerate(found, 1):
        assert len({middle for _, middle in row}) == len(row)
        for left in range(max(1, counted - k + 1), counted + 1):
            n = 1 if spikes == 1 else min(left + spikes - counted, phases - k)
            wanted = min(Fraction(1), (1 + sum(1 / Fraction(base) ** i for i in range(1, n + 1))) / 2)
            assert abs([middle for least, middle in row if least <= left][-1] - wanted) < 1e-14


def test_middles_by_hand() -> None:
    """Of base 2, whose last phase has no other behind it; the paper's one spike does not ask for that."""

    def of(phases: int, spikes: int, rounding: bool = True) -> list[tuple[tuple[int, float], ...]]:
        return middles(PhaseIF((1,), phases, 0, 2.0, 2.0, 1.0, 0.0, rounding=rounding, spikes=spikes))

    assert of(3, 2) == [((1, 0.75), (2, 0.875)), ((1, 0.75),), ((1, 0.5),)]
    assert of(3, 10**12) == [((1, 0.75), (2, 0.875)), ((1, 0.75),), ((1, 0.5),)]
    assert of(3, 1) == [((1, 0.75),)] * 3
    assert of(1, 2) == [((1, 0.5),)]
    assert of(4, 3, rounding=False) == [((1, 1.0),)] * 4


def test_amounts_of_base_2_are_exact_or_rounded_once() -> None:
    """θ = 5, F = 17: 5·2^(17-k) is whole down to k = 17; 2.5 becomes 3 then, where half of it is limit 2."""
    found = fire_tables(PhaseIF((1,), 18, 18, 2.0, 2.0, 5, 0, spikes=2))
    assert found.amounts[:17].tolist() == [5 * 2 ** (17 - k) for k in range(1, 18)]
    assert found.amounts[17] == 3
    assert [[left for left, _ in row] for row in found.limits] == [[1, 2]] * 16 + [[1]] * 2
    assert found.limits[17][0][1] == 2
    assert found.limits[0][1][1] == 5 * 2**16 * 7 // 8


def test_limits_are_rounded_up_and_decay() -> None:
    """θ = 5, base 2: F = 17, and 5·0.75·2^-k·2^17 is whole down to k = 15, where 7.5 becomes 8 by k = 16."""
    found = fire_tables(PhaseIF((1,), 16, 16, 2.0, 2.0, 5, 0))
    assert found.fraction == 17
    limits = [row[0][1] for row in found.limits]
    assert limits[14] == 15
    assert limits[15] == 8
    assert (np.diff(limits) < 0).all()


def test_a_spike_takes_something_off_at_every_phase() -> None:
    """However small base^-k becomes: a rest of 0 never fires."""
    found = encode_tables(PhaseEncode((1,), 60, 2.0, 3))
    assert found.values.min() == 1
    assert found.values[0] == 3 * 2**found.fraction / 2


def test_the_readout_keeps_the_unit_of_its_input() -> None:
    found = decode_tables(PhaseDecode((1,), 4, 2.0, -7))
    assert [real(gain) for gain in found.gains] == [Fraction(1, 2**k) for k in range(1, 5)]
    assert found.start == -7
