"""Model "memory" against the formulas of Lemaire et al., ICONIP 2022."""

from __future__ import annotations

from math import ceil

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MultiLevelLIF, PhaseEncode, PhaseIF, TemporalMix
from tests.costing.nets import conv, entry, line, net


def ram(words: float, bits: int = 32) -> float:
    return 1.09e-5 * words * bits + 13.2


def test_a_linear_layer_by_hand() -> None:
    """Inputs 1, 0 then 2, 1: the sums 1 and 3 leave as levels 1 and 3 on all three neurons."""
    graph = line(nir.Linear(np.ones((3, 2))), MultiLevelLIF.uniform((3,), 4, 1.0), entry=entry(2))
    x = np.array([[[1.0, 0]], [[2, 1]]])
    report = nirbridge.energy(graph, x, model="memory", input_kind="events")
    (row,) = report.layers
    assert (row.events, row.values, row.neurons) == (3, 4, ("n1",))
    assert row.counts == {
        "input reads": 3,
        "weights reads": 3 * 3,
        "potentials reads": 3 * 3 + 2 * 3,
        "potentials writes": 3 * 3 + 2 * 3,
        "adds": 4 * 3 + 2 * 3 + 6,
        "output writes": 6,
    }
    assert row.pj == pytest.approx(9 * ram(6) + 30 * ram(3) + 9 * ram(0) + 24 * 0.1)
    assert sum(row.parts.values()) == pytest.approx(row.pj)
    # The ANN reads each input once and a weight for each MAC; it has no bias.
    assert row.ann_pj == pytest.approx(2 * ram(2) + 6 * ram(6) + 3 * ram(3) + 6 * 3.2)
    assert set(report.not_counted) == {"input", "output"}


def formula(theta: float, values: float, sent: float, steps: int, shape: tuple[int, ...], outputs: int, **p: float):
    """Energy in pJ of a convolution with its neurons, straight from the text."""
    cout, cin, k, _ = shape
    bits = int(p["bits"])
    add, mul = {32: (0.1, 3.1), 8: (0.03, 0.2)}[bits]
    weights = theta * cout * k * k * ram(cout * cin * k * k, bits)
    potentials = 2 * (theta * cout * k * k + steps * outputs) * ram(outputs, bits)
    bias = steps * outputs * ram(cout, bits) * p["bias"]
    queues = (theta + sent) * ram(0, bits)
    adds = (values * ceil(k / p["stride"]) ** 2 * cout + steps * outputs + sent) * add
    return weights + potentials + bias + queues + adds + p["leaky"] * steps * outputs * (add + mul)


@pytest.mark.parametrize("bits", [32, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("decay", "bias"), [(1.0, 0.25), (0.5, 0.0)])
def test_a_convolution_by_the_formula(bits: int, stride: int, decay: float, bias: float) -> None:
    rng = np.random.default_rng(1)
    weight = rng.integers(-1, 3, (3, 2, 3, 3)) * 0.5
    size = (6 + 2 - 3) // stride + 1
    neuron = MultiLevelLIF.one_hot((3, size, size), lanes=3, threshold=0.5, decay=decay)
    graph = line(conv(weight, bias, stride, 1), neuron, entry=entry(2, 6, 6))
    x = rng.choice([0.0, 0, 0, 1, 2], (4, 1, 2, 6, 6))
    (row,) = nirbridge.energy(graph, x, model="memory", input_kind="events", bits=bits).layers
    with nirbridge.compile(graph) as program:
        sent = np.count_nonzero(program.run(x).output)
    assert sent > 20
    outputs = 3 * size * size
    expected = formula(
        np.count_nonzero(x),
        x.sum(),
        sent,
        4,
        weight.shape,
        outputs,
        bits=bits,
        stride=stride,
        bias=float(bias != 0),
        leaky=float(decay != 1),
    )
    assert row.pj == pytest.approx(expected)
    macs, add, mul = outputs * 18, *{32: (0.1, 3.1), 8: (0.03, 0.2)}[bits]
    dense = macs * (ram(72, bits) + ram(54, bits) + add + mul) + outputs * ram(outputs, bits)
    assert row.ann_pj == pytest.approx(dense + float(bias != 0) * outputs * (ram(3, bits) + add))


def test_levels_cost_additions_but_no_memory() -> None:
    graph = line(nir.Linear(np.zeros((3, 2))), MultiLevelLIF.uniform((3,), 4, 1.0), entry=entry(2))
    ones, fours = (
        nirbridge.energy(graph, np.full((2, 1, 2), v), model="memory", input_kind="events").layers[0]
        for v in (1.0, 4.0)
    )
    assert (ones.events, ones.values, fours.events, fours.values) == (4, 4, 4, 16)
    assert {k: v for k, v in ones.counts.items() if k != "adds"} == {
        k: v for k, v in fours.counts.items() if k != "adds"
    }
    assert fours.counts["adds"] - ones.counts["adds"] == 12 * 3


def test_levels_are_counted_whatever_value_they_carry() -> None:
    """N levels of q·z and levels z are the same events and the same numbers of levels."""
    x = np.array([0.5, 2.0, 7.0]).reshape(1, 1, 3)
    found = []
    for output in ("level", "value"):
        graph = line(
            MultiLevelLIF.uniform((3,), 4, np.array([0.5, 0.25, 2.0]), output=output),
            nir.Linear(np.ones((2, 3))),
            entry=entry(3),
        )
        row = nirbridge.energy(graph, x, model="memory")["n1"]
        found.append((row.events, row.values))
    assert found == [(3, 1 + 4 + 3)] * 2


def test_groups_divide_what_an_event_meets() -> None:
    weight = np.ones((4, 1, 3, 3))
    graph = line(conv(weight, groups=2), entry=entry(2, 5, 5))
    x = np.zeros((1, 1, 2, 5, 5))
    x[0, 0, 0, 2, 2] = 1
    row = nirbridge.energy(graph, x, model="memory", input_kind="events")["n0"]
    assert row.counts["weights reads"] == 4 / 2 * 9


def test_a_readout_keeps_sums_at_every_step() -> None:
    graph = line(nir.Affine(np.ones((2, 3)), np.ones(2)), entry=entry(3))
    x = np.zeros((5, 1, 3))
    x[0, 0, 0] = 1
    row = nirbridge.energy(graph, x, model="memory", input_kind="events")["n0"]
    assert row.counts == {
        "input reads": 1,
        "weights reads": 2,
        "potentials reads": 2 + 10,
        "potentials writes": 2 + 10,
        "adds": 2 + 10,
        "bias reads": 10,
        "output writes": 2,
    }


def test_an_analog_layer_is_dense_and_its_result_is_read_at_every_step() -> None:
    graph = line(nir.Affine(np.ones((3, 2)), np.ones(3)), MultiLevelLIF.uniform((3,), 1, 100.0), entry=entry(2))
    x = np.ones((4, 1, 2))
    (row,) = nirbridge.energy(graph, x, model="memory").layers
    assert row.input == "analog"
    assert row.pj == pytest.approx(row.ann_pj + 12 * ram(3) + 24 * ram(3) + 12 * 0.1)
    x[2:] = 2
    (again,) = nirbridge.energy(graph, x, model="memory").layers
    assert again.pj == pytest.approx(row.pj + row.ann_pj)


def test_membrane_traffic_grows_with_the_steps() -> None:
    graph = line(nir.Linear(np.ones((3, 2))), MultiLevelLIF.uniform((3,), 4, 1.0), entry=entry(2))
    for steps in (1, 5, 10):
        (row,) = nirbridge.energy(graph, np.zeros((steps, 1, 2)), model="memory", input_kind="events").layers
        assert row.counts == {"potentials reads": 3 * steps, "potentials writes": 3 * steps, "adds": 3 * steps}


def residual() -> nir.NIRGraph:
    spike = MultiLevelLIF.uniform((2,), 4, 1.0)
    nodes = {
        "input": entry(2),
        "stem": spike,
        "a": nir.Linear(np.eye(2)),
        "mid": spike,
        "b": nir.Linear(np.eye(2)),
        "branch": nir.Linear(np.eye(2)),
        "sum": spike,
    }
    return net(nodes, "input stem a mid b sum output", "stem branch sum", "stem sum")


def test_a_neuron_of_several_layers_is_counted_once() -> None:
    report = nirbridge.energy(residual(), np.array([[[1.0, 0]], [[2, 0]]]), model="memory")
    assert sorted(row.layer for row in report.layers) == ["a", "b", "branch", "stem"]
    owners = [row for row in report.layers if "sum" in row.neurons]
    assert len(owners) == 1
    (owner,) = owners
    other = report["b" if owner.layer == "branch" else "branch"]
    assert other.neurons == ()
    assert other.counts == {
        "input reads": 2,
        "weights reads": 4,
        "potentials reads": 4,
        "potentials writes": 4,
        "adds": 3 * 2,
    }
    # 2 events with 3 levels come through weights, and as many by the direct edge of the shortcut.
    assert owner.counts["input reads"] == 2 + 2
    assert owner.counts["potentials reads"] == 4 + 2 + 2 * 2
    assert owner.counts["adds"] == 3 * 2 + 3 + 2 * 2 + owner.counts["output writes"]


def test_a_neuron_without_synapses_is_a_row_of_its_own() -> None:
    row = nirbridge.energy(residual(), np.array([[[1.0, 0]], [[2, 0]]]), model="memory")["stem"]
    assert (row.type, row.input, row.rate, row.macs, row.ann_pj) == ("MultiLevelLIF", "none", None, 0, 0)
    assert row.counts["input reads"] == 2
    assert row.counts["potentials reads"] == 2 + 4
    assert row.counts["output writes"] == 2


def test_two_states_are_two_accesses() -> None:
    values = (2e-3, 2e-3, 1.0, 0.0, 1e9, 0.0)
    graph = line(nir.Linear(np.ones((3, 2))), nir.CubaLIF(*(np.full(3, v) for v in values)), entry=entry(2))
    (row,) = nirbridge.energy(graph, np.zeros((4, 1, 2)), model="memory", input_kind="events", dt=1e-3).layers
    assert row.counts == {"potentials reads": 24, "potentials writes": 24, "adds": 12, "macs": 24}
    assert row.parts["potentials"] == pytest.approx(48 * ram(6))


def test_a_synapse_of_its_own_is_handed_over_within_the_step() -> None:
    synapse = nir.LI(*(np.full(3, v) for v in (2e-3, 1.0, 0.0)))
    membrane = MultiLevelLIF.one_hot((3,), 1, threshold=1e9, decay=0.5)
    graph = line(nir.Linear(np.ones((3, 2))), synapse, membrane, entry=entry(2))
    report = nirbridge.energy(graph, np.ones((4, 1, 2)), model="memory", input_kind="events")
    assert [row.layer for row in report.layers] == ["n0", "n2"]
    assert "output writes" not in report["n0"].counts
    assert report["n2"].counts == {"potentials reads": 12, "potentials writes": 12, "adds": 12, "macs": 12}


def test_a_phase_neuron_works_while_it_waits() -> None:
    graph = line(
        PhaseEncode((2,), 4), nir.Linear(np.zeros((3, 2))), PhaseIF((3,), 4, 3, 1.5, 1.5, 1.0, 0.0), entry=entry(2)
    )
    report = nirbridge.energy(graph, np.zeros((2, 1, 2)), model="memory")
    assert report.inferences == 2
    assert report["n1"].counts["potentials reads"] == (4 + 3) * 3
    assert report["n1"].counts["macs"] == (4 + 3) * 3
    assert report["n0"].counts == {"potentials reads": 8, "potentials writes": 8, "adds": 8}


def test_direct_events_around_a_cycle_arrive_a_step_later() -> None:
    """The neuron excites itself through a Scale: an event at step 0 comes back at steps 1 and 2; that of 2 is late."""
    nodes = {
        "input": entry(1),
        "fc": nir.Linear(np.ones((1, 1))),
        "act": MultiLevelLIF.uniform((1,), 1, 1.0),
        "loop": nir.Scale(np.array([1.0])),
    }
    for path in ("act loop act", "act act"):
        graph = net(
            nodes if "loop" in path else {k: v for k, v in nodes.items() if k != "loop"}, "input fc act output", path
        )
        x = np.array([1.0, 0, 0]).reshape(3, 1, 1)
        row = nirbridge.energy(graph, x, model="memory", input_kind="events")["fc"]
        assert row.neurons == ("act",)
        assert row.counts["output writes"] == 3
        assert row.counts["input reads"] == 1 + 2


def test_a_neuron_belongs_to_the_last_layer_that_drives_it() -> None:
    """The first layer's current also skips to the second neuron; each neuron is counted with its own layer."""
    spike = MultiLevelLIF.uniform((2,), 4, 1.0)
    nodes = {"input": entry(2), "a": nir.Linear(np.eye(2)), "mid": spike, "b": nir.Linear(np.eye(2)), "last": spike}
    graph = net(nodes, "input a mid b last output", "a last")
    report = nirbridge.energy(graph, np.ones((1, 1, 2)), model="memory", input_kind="events")
    assert [(row.layer, row.neurons) for row in report.layers] == [("a", ("mid",)), ("b", ("last",))]


def test_mixing_holds_the_window_that_enters() -> None:
    graph = line(nir.Linear(np.ones((3, 2))), TemporalMix(np.ones((1, 2))), entry=entry(2))
    row = nirbridge.energy(graph, np.ones((4, 1, 2)), model="memory", input_kind="events")["n1"]
    assert row.counts == {"window writes": 12, "window reads": 12, "macs": 12}


def test_mixing_holds_a_window() -> None:
    weight = np.array([[0.5, 0.5], [0.0, 1.0]])
    graph = line(nir.Linear(np.ones((3, 2))), TemporalMix(weight), entry=entry(2))
    row = nirbridge.energy(graph, np.ones((4, 1, 2)), model="memory", input_kind="events")["n1"]
    assert row.counts == {"window writes": 12, "window reads": 18, "macs": 18}
    assert row.pj == pytest.approx(30 * ram(6) + 18 * 3.2)
