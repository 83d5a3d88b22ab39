"""Nodes that work on windows, and the delay line, equal the reference."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MaxPool2d, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from tests.norse.norse_graphs import DT, assert_equals_reference, chain, dyadic, outputs, uniform

SHAPE = (2, 6, 6)
ANALOG = dyadic(1, (3, 2, *SHAPE), 40, 1 / 32)


def phase_if(wait=6, rounding=True, first_phase=1, **fields):
    given = {"v_threshold": uniform(2, (2, 1, 1), 0.5, 1.5), "v_init": uniform(3, (2, 1, 1), -0.1, 0.1), **fields}
    return PhaseIF(SHAPE, 6, wait, 2.0, 1.3, first_phase=first_phase, rounding=rounding, **given)


@pytest.mark.parametrize("weight", [(4, 4), (2, 4), (4, 2), (1, 4), (3, 1)])
def test_temporal_mix(weight):
    assert_equals_reference(chain((5,), TemporalMix(dyadic(4, weight))), dyadic(5, (8, 3, 5)))


def test_temporal_mix_sums_in_the_reference_order():
    graph, x = chain((5,), TemporalMix(uniform(4, (4, 4)))), uniform(5, (8, 3, 5))
    np.testing.assert_array_equal(outputs(graph, x, dtype="float64"), outputs(graph, x, "reference"))


@pytest.mark.parametrize("base", [2.0, 1.3])
def test_phase_encode(base):
    node = PhaseEncode(SHAPE, 7, base, uniform(6, (2, 1, 1), 0.5, 1.5))
    assert_equals_reference(chain(SHAPE, node), ANALOG)


@pytest.mark.parametrize("base", [2.0, 1.3])
def test_phase_decode(base):
    graph = chain(SHAPE, PhaseEncode(SHAPE, 7, 2.0), PhaseDecode(SHAPE, 7, base, uniform(7, (2, 1, 1))))
    expected = outputs(graph, ANALOG, "reference")
    np.testing.assert_array_equal(outputs(graph, ANALOG, dtype="float64"), expected)
    np.testing.assert_array_equal(outputs(graph, ANALOG), expected.astype(np.float32))


@pytest.mark.parametrize("rounding", [True, False])
@pytest.mark.parametrize("spikes", [1, 2, 4])
@pytest.mark.parametrize(("wait", "first_phase"), [(6, 1), (3, 1), (0, 1), (6, 0), (4, 2)])
def test_phase_if(wait, spikes, rounding, first_phase):
    theta = uniform(2, (2, 1, 1), 0.5, 1.5) / spikes
    node = phase_if(wait, rounding, first_phase, spikes=spikes, v_threshold=theta)
    graph = chain(SHAPE, PhaseEncode(SHAPE, 6), node)
    sent = assert_equals_reference(graph, ANALOG)
    assert min(spikes, 2) <= sent.reshape(3, 6, -1).sum(axis=1).max() <= spikes


def test_phase_if_resolves_more_than_float32():
    """16 phases of base 2 and 16 steps of waiting leave 32 bits in the membrane."""
    x = dyadic(8, (2, 2, 40), 2**15, 2.0**-16)
    node = PhaseIF((40,), 16, 16, 2.0, 1.3, np.array(0.5), np.array(2.0**-16))
    assert_equals_reference(chain((40,), PhaseEncode((40,), 16), node), x)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((2, 3), (2, 2), (0, 1))]
)
@pytest.mark.parametrize("spikes", [1, 3])
def test_first_spike_pool(kernel, stride, padding, spikes):
    graph = chain(SHAPE, PhaseEncode(SHAPE, 6), phase_if(spikes=spikes), MaxPool2d(kernel, stride, padding))
    assert_equals_reference(graph, ANALOG)


def test_windows_of_several_spikes_arrive_one_by_one():
    graph = chain(SHAPE, PhaseEncode(SHAPE, 6), phase_if(2, spikes=2), MaxPool2d(2, 1, 0))
    expected = outputs(graph, ANALOG, "reference")
    with nirbridge.compile(graph, "norse") as program:
        found = [program.advance(frame[None]).output for frame in ANALOG]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert expected.reshape(3, 6, -1).sum(axis=1).max() == 2


def test_two_pools_behind_each_other():
    pool = MaxPool2d(2, 2, 0)
    graph = chain(SHAPE, PhaseEncode(SHAPE, 6), phase_if(), pool, MaxPool2d(3, 1, 0))
    assert_equals_reference(graph, ANALOG)


@pytest.mark.parametrize("steps", [[0, 0, 0, 0], [3, 3, 3, 3], [0, 1, 5, 1], [40, 2, 0, 7]])
def test_delay(steps):
    graph = chain((4,), nir.Delay(np.array(steps) * DT))
    x = dyadic(9, (12, 3, 4))
    expected = assert_equals_reference(graph, x)
    for place, delay in enumerate(steps):
        np.testing.assert_array_equal(expected[delay:, :, place], x[: max(0, 12 - delay), :, place])
        assert not expected[:delay, :, place].any()
