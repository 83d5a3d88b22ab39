"""Models "m-lif" and "one-spike" against sums by hand."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.costing import Meter
from nirbridge.ir import EventInput, MaxPool2d, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.runtime import make_plan
from tests.costing.nets import conv, entry, line, net


def _records(graph: nir.NIRGraph, x: np.ndarray, *names: str) -> list[np.ndarray]:
    with nirbridge.compile(graph) as program:
        records = program.run(x, record=names).records
    return [records[name] for name in names]


def two_layers(first: nir.NIRNode | None = None) -> nir.NIRGraph:
    """2 → 3 → 1, both linear; the neurons have levels 1, 2, 4."""
    return line(
        nir.Linear(np.array([[1.0, 0], [0, 1], [1, 1]])),
        MultiLevelLIF.one_hot((3,), lanes=3, boundary=">="),
        nir.Linear(np.ones((1, 3))),
        entry=first or entry(2),
    )


STILL = np.array([[2.0, 1.0]] * 3)[:, None]
"""[T=3, B=1, 2] of a still image.  The third neuron gets 3, keeps 1 of it, and so sends 4 at the second step."""


def test_analog_input_is_one_dense_evaluation() -> None:
    report = nirbridge.energy(two_layers(), STILL)
    (sent,) = _records(two_layers(), STILL, "n1")
    np.testing.assert_array_equal(sent[:, 0], [[2, 1, 2], [2, 1, 4], [2, 1, 2]])
    first, second = report.layers
    assert (first.input, second.input) == ("analog", "events")
    assert first.pj == pytest.approx(6 * 4.6)
    assert (second.events, second.values, second.rate) == (9, 2 + 1 + 2 + 2 + 1 + 4 + 2 + 1 + 2, 3.0)
    assert second.operations == 9
    assert second.pj == pytest.approx(9 * 0.9)
    assert report.ann_pj == pytest.approx((6 + 3) * 4.6)
    assert report.ratio == pytest.approx((9 * 4.6) / (6 * 4.6 + 9 * 0.9))


def test_event_input_costs_additions() -> None:
    report = nirbridge.energy(two_layers(), STILL, input_kind="events")
    assert report["n0"].rate == 3.0
    assert report["n0"].pj == pytest.approx(3.0 * 6 * 0.9)
    assert report["n0"].values == 9
    assert "input 'input' counts as events (as given)" in report.assumptions


def test_an_event_input_brings_events_by_its_type() -> None:
    node = EventInput((1, 2, 2), (2, 2), 1000, coding="one-hot", subframes=2, lanes=2)
    graph = line(
        nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1),
        nir.Linear(np.ones((2, 4))),
        MultiLevelLIF.one_hot((2,), 2),
        entry=node,
    )
    x = np.array([[0.0, 1, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0]]).reshape(3, 1, 1, 2, 2)
    row = nirbridge.energy(graph, x)["n1"]
    assert (row.input, row.events, row.values) == ("events", 3, 5)
    assert row.pj == pytest.approx(3 / 4 * 8 * 0.9)
    assert nirbridge.energy(graph, x, input_kind="analog")["n1"].pj == pytest.approx(3 * 8 * 4.6)


def test_an_analog_input_that_changes_is_evaluated_again() -> None:
    x = np.stack([STILL[0], STILL[0], 2 * STILL[0], 2 * STILL[0], STILL[0]])
    assert nirbridge.energy(two_layers(), x)["n0"].operations == 3 * 6
    both = np.concatenate([x, np.broadcast_to(STILL[:1], x.shape)], axis=1)
    assert nirbridge.energy(two_layers(), both)["n0"].operations == (3 + 1) / 2 * 6


def test_samples_are_averaged_however_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(0, 4, (4, 7, 2)).astype(float)
    whole = nirbridge.energy(two_layers(), x, input_kind="events")
    monkeypatch.setattr(Meter, "samples_at_once", 3)
    assert nirbridge.energy(two_layers(), x, input_kind="events") == whole
    assert whole.samples == 7
    assert whole["n0"].events == np.count_nonzero(x) / 7
    singles = [nirbridge.energy(two_layers(), x[:, i : i + 1], input_kind="events").pj for i in range(7)]
    assert whole.pj == pytest.approx(np.mean(singles))


def test_pooled_events_are_counted_behind_the_pool() -> None:
    two = np.array([2, 2])
    spikes = MultiLevelLIF.uniform((1, 4, 4), 2, 1.0, output="value")
    x = np.zeros((1, 1, 1, 4, 4))
    x[0, 0, 0, 0, 0], x[0, 0, 0, 1, 1], x[0, 0, 0, 3, 3] = 1, 2, 1
    for pool, values in (
        (nir.AvgPool2d(two, two, two * 0), 1 + 2 + 1),
        (nir.SumPool2d(two, two, two * 0), 4),
        (MaxPool2d(2, 2, 0), 2 + 1),
    ):
        graph = line(spikes, pool, conv(np.ones((3, 1, 2, 2)), padding=1), entry=entry(1, 4, 4))
        report = nirbridge.energy(graph, x)
        assert (report["n2"].events, report["n2"].values) == (2, values)
        assert report["n2"].pj == pytest.approx(2 / 4 * 3 * 4 * 9 * 0.9)
        assert set(report.not_counted) == {"input", "n0", "n1", "output"}


def test_levels_are_told_behind_a_pool_by_the_step_of_each_channel() -> None:
    step = np.array([0.5, 2.0]).reshape(2, 1, 1)
    spikes = MultiLevelLIF.uniform((2, 2, 2), 4, step, output="value")
    two = np.array([2, 2])
    graph = line(spikes, nir.SumPool2d(two, two, two * 0), conv(np.ones((1, 2, 1, 1))), entry=entry(2, 2, 2))
    x = np.array([[[0.5, 1.0], [0, 0]], [[4.0, 0], [0, 2.0]]])[None, None]
    row = nirbridge.energy(graph, x)["n2"]
    assert (row.events, row.values) == (2, 1 + 2 + 2 + 1)


def test_senders_that_add_up_make_one_event() -> None:
    spike = MultiLevelLIF.uniform((2,), 4, 1.0)
    nodes = {"input": entry(2), "a": spike, "b": spike, "fc": nir.Linear(np.ones((5, 2)))}
    graph = net(nodes, "input a fc output", "input b fc")
    row = nirbridge.energy(graph, np.array([[[3.0, 0.0]]]))["fc"]
    assert (row.events, row.values, row.operations) == (1, 6, 5)


def test_recurrent_events_arrive_a_step_later() -> None:
    """One event at step 1 goes around at steps 2 and 3; what is sent at step 3 comes too late."""
    nodes = {"input": entry(1), "fc": nir.Linear(np.ones((1, 1))), "act": MultiLevelLIF.uniform((1,), 1, 1.0, 0.0)}
    graph = net(nodes, "input fc act output", "act fc")
    assert [source.delayed for source in make_plan(graph)["fc"].sources] == [False, True]
    x = np.array([0.0, 1, 0, 0]).reshape(4, 1, 1)
    report = nirbridge.energy(graph, x, input_kind="events")
    assert (report["fc"].events, report["fc"].values) == (3, 1 + 2)
    assert any("recurrent" in line for line in report.assumptions)


def test_pooling_in_a_cycle_keeps_events_events() -> None:
    nodes = {
        "input": entry(1),
        "in": nir.Linear(np.ones((1, 1))),
        "act": MultiLevelLIF.uniform((1,), 1, 1.0),
        "half": nir.Scale(np.array([0.5])),
        "back": nir.Linear(np.zeros((1, 1))),
    }
    graph = net(nodes, "input in act output", "act half back act")
    row = nirbridge.energy(graph, np.ones((4, 1, 1)), input_kind="events")["back"]
    assert (row.input, row.events, row.values) == ("events", 4, 4)


def test_analog_senders_are_dense() -> None:
    graph = line(
        nir.Linear(np.ones((3, 2))),
        nir.LI(*(np.full(3, v) for v in (2e-3, 1.0, 0.0))),
        nir.Linear(np.ones((1, 3))),
        entry=entry(2),
    )
    row = nirbridge.energy(graph, STILL, input_kind="events", dt=1e-3)["n2"]
    assert (row.input, row.operations) == ("analog", 3 * 3)


def phase_net(spikes: int = 1) -> nir.NIRGraph:
    """2 values → 4 phases of binary code → 3 neurons of one spike or more → 1."""
    return line(
        PhaseEncode((2,), 4),
        nir.Linear(np.array([[1.0, 0], [0, 1], [0.5, 0.5]])),
        PhaseIF((3,), 4, 4, 2.0, 1.5, 1.0, 0.0, spikes=spikes),
        nir.Linear(np.ones((1, 3))),
        PhaseDecode((1,), 4, 1.5),
        entry=entry(2),
    )


def test_one_spike_counts_spikes_for_each_image() -> None:
    x = np.array([[[0.75, 0.0]], [[0.5, 0.25]]])  # two images: 0.1100 and 0; 0.1000 and 0.0100
    report = nirbridge.energy(phase_net(), x, model="one-spike")
    assert (report.inferences, report.steps, report.samples) == (2, 1, 1)
    assert (report["n1"].input, report["n1"].rate) == ("events", (2 + 0 + 1 + 1) / 2 / 2)
    (sent,) = _records(phase_net(), x, "n2")
    spikes = np.count_nonzero(sent) / 2
    assert 0 < spikes <= 3
    assert report["n3"].rate == spikes / 3
    snn = (6 * 1.0 + 3 * spikes / 3) * 0.9
    assert report.pj == pytest.approx(snn)
    assert report.ratio == pytest.approx(9 * 4.6 / snn)
    small = nirbridge.energy(phase_net(), x, model="one-spike", bits=8)
    assert small.pj == pytest.approx(snn / 30)
    assert small.ann_pj == pytest.approx(9 * 0.23)


def test_every_spike_of_several_is_counted() -> None:
    """0.9375 is 1.5^-1 and, with 0.271 left, 1.5^-3; half of it is 1.5^-2; 0.75 is 1.5^-1, half of it 1.5^-3."""
    x = np.array([[[0.9375, 0.0]], [[0.75, 0.0]]])
    (sent,) = _records(phase_net(2), x, "n2")
    assert sent.reshape(2, 4, 3).tolist() == [
        [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]],
        [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]],
    ]
    report = nirbridge.energy(phase_net(2), x, model="one-spike")
    assert (report["n3"].events, report["n3"].rate) == (5 / 2, 5 / 2 / 3)
    memory = nirbridge.energy(phase_net(2), x, model="memory")
    assert memory["n1"].counts["output writes"] == 5 / 2
    assert report.pj > nirbridge.energy(phase_net(), x, model="one-spike").pj


def test_inferences_can_be_given() -> None:
    twice = np.concatenate([STILL, STILL])
    report = nirbridge.energy(two_layers(), twice, inferences=2)
    assert report.steps == 3
    assert report["n0"].operations == 6
    assert report["n2"].events == np.count_nonzero(_records(two_layers(), twice, "n1")[0]) / 2


def test_a_mixing_may_give_more_steps_than_it_takes() -> None:
    graph = line(nir.Linear(np.ones((2, 2))), TemporalMix(np.ones((3, 2))), entry=entry(2))
    report = nirbridge.energy(graph, np.ones((4, 1, 2)))
    assert report["n1"].operations == 2 * 6 * 2


def test_mixing_over_time_costs_macs_that_the_ann_lacks() -> None:
    weight = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]])
    graph = line(nir.Linear(np.ones((2, 2))), TemporalMix(weight), MultiLevelLIF.uniform((2,), 4, 1.0), entry=entry(2))
    report = nirbridge.energy(graph, np.concatenate([STILL, STILL]))
    row = report["n1"]
    assert (row.input, row.rate, row.macs, row.ann_pj) == ("none", None, 0, 0)
    assert row.operations == 5 * 2 * 2
    assert row.pj == pytest.approx(20 * 4.6)


def test_the_first_spike_of_a_window_is_the_only_event_behind_a_phase_pool() -> None:
    graph = line(
        PhaseEncode((1, 2, 2), 3),
        conv(np.ones((1, 1, 1, 1))),
        PhaseIF((1, 2, 2), 3, 3, 2.0, 2.0, 1.0, 0.0),
        MaxPool2d(2, 2, 0),
        conv(np.ones((4, 1, 1, 1))),
        entry=entry(1, 2, 2),
    )
    x = np.array([[0.5, 0.25], [0.0, 0.0]]).reshape(1, 1, 1, 2, 2)
    report = nirbridge.energy(graph, x, model="one-spike")
    assert np.count_nonzero(_records(graph, x, "n2")[0]) == 2
    assert (report["n4"].events, report["n4"].values, report["n4"].rate) == (1, 1, 1)
    assert "the first spike passes" in report.not_counted["n3"]
