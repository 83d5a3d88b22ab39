"""Steps as CUDA graphs, with a stand-in for what CUDA does: the right programs, the right data, states that stay."""

from __future__ import annotations

from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.runtime import make_plan
from nirbridge_norse import recorded, schedule
from nirbridge_norse.neurons import fused_snn
from tests.norse.norse_graphs import DT, SHAPE, chain, core_neurons, dyadic, multilevel, uniform

CONV = nir.Conv2d(None, dyadic(1, (3, 3, 3, 3)), 1, 1, 1, 1, dyadic(2, (3,)))
GRAPH = chain(SHAPE, CONV, core_neurons()["CubaLIF"], multilevel(3, (3, 1, 1), "subtract", ">"))
DELAY = chain(SHAPE, nir.Delay(np.full(SHAPE, 2e-3)))


@pytest.fixture
def taken(monkeypatch):
    """How often steps were recorded; a replay does the work again."""
    counts = []

    def record(work):
        outputs = {}
        counts.append(work)
        return lambda: outputs.update(work()), outputs

    monkeypatch.setattr(schedule, "can_record", lambda *_: True)
    monkeypatch.setattr(recorded, "record", record)
    return counts


@pytest.mark.parametrize("compiled", [True, False])
def test_replayed_steps_are_those_of_the_program(taken, compiled, monkeypatch):
    """Of neurons that overwrite their states, and of those that make new ones."""
    monkeypatch.setattr(fused_snn, "numba_is_there", lambda: compiled)
    x = uniform(3, (9, 2, *SHAPE), -1, 3)
    with nirbridge.compile(GRAPH, "norse", dt=DT) as stepped:
        expected = stepped.run(x).output
        assert not taken
        for start in (0, 1):
            stepped.reset()
            found = [stepped.step(frame).copy() for frame in x[:4]]
            places = [stage.state.v.data_ptr() for stage in list(stepped._schedules[0].stages.values())[2:4]]
            found += [*stepped.advance(x[4:6]).output, *(stepped.step(frame).copy() for frame in x[6:])]
            assert places == [stage.state.v.data_ptr() for stage in list(stepped._schedules[0].stages.values())[2:4]]
            np.testing.assert_array_equal(found, expected)
            assert len(taken) == 1 + start
        stepped.reset()
        np.testing.assert_array_equal([stepped.step(frame[:1]).copy() for frame in x], expected[:, :1])


def recordable(graph, device="cuda", exact=False):
    return recorded.can_record(make_plan(graph, dt=DT), SimpleNamespace(device=torch.device(device), exact=exact))


def test_what_is_recorded():
    assert recordable(GRAPH)
    assert not recordable(GRAPH, device="cpu")
    assert not recordable(GRAPH, exact=True)
    assert not recordable(DELAY)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
def test_steps_on_cuda():
    x = dyadic(3, (9, 2, *SHAPE))
    with nirbridge.compile(GRAPH, "norse", dt=DT, device="cuda", exact=False) as stepped:
        assert stepped._recorded_step is not None
        expected = stepped.run(x).output
        stepped.reset()
        np.testing.assert_array_equal([stepped.step(frame) for frame in x], expected)
