"""Weight steps by output channel: where they go, what adds up, what needs one unit all the same."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.errors import GraphWarning, InputError
from nirbridge.ir import Aggregate, MaxPool2d, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, Place, flatten
from nirbridge.quantizing import quantize, quantize_with_report
from nirbridge.quantizing.scales import integers_of
from nirbridge.quantizing.steps import channel_steps
from tests.conformance.cases import Graph, line, net

SIZES = 2.0 ** -np.array([0, 3, 6, 9])


def outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    with nirbridge.compile(graph) as program:
        return np.asarray(program.run(x).output)


def error(graph: Graph, x: np.ndarray, **options: object) -> float:
    expected = outputs(graph, x)
    assert np.abs(expected).max() > 0
    found = outputs(quantize(graph, x, **options), x)  # type: ignore[arg-type]
    return float(np.abs(found - expected).mean() / np.abs(expected).mean())


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_steps_have_the_least_squared_error(bits: int) -> None:
    """Nearly that of the best step of a fine grid, and never more than at the step at which all weights fit."""
    rows = np.random.default_rng(bits).standard_t(4, (6, 200)) * 10.0 ** np.arange(-3, 3)[:, None]
    steps = channel_steps(rows, bits)

    def lost(step: np.ndarray) -> np.ndarray:
        return np.asarray(((integers_of(rows / step, bits) * step - rows) ** 2).sum(1))

    top = np.abs(rows).max(1, keepdims=True) / max(2 ** (bits - 1) - 1, 1)
    best = np.min([lost(top * 2.0 ** (-part / 64)) for part in range(4 * 64)], axis=0)
    assert (lost(steps) <= lost(top)).all()
    assert (lost(steps) <= 1.05 * best).all()


def test_steps_in_a_unit_are_powers_of_two_of_it() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(4, 30)) * SIZES[:, None]
    unit = random.uniform(1, 2, (4, 1))
    mantissa, _ = np.frexp(channel_steps(rows, 4, unit=unit) / unit)
    assert (mantissa == 0.5).all()
    assert (channel_steps(0 * rows, 4) == 1).all()


def test_a_channel_without_weights_is_no_reason_to_lose_bits() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 5))
    weight[1] = 0
    graph = line(nir.Linear(weight), nir.IF(np.ones(3), np.ones(3)), shape=(5,))
    assert np.abs(quantize(graph, per="channel").nodes["n0"].weight).max(1).tolist() == [127, 0, 127]


def _sizes(neuron: nir.NIRNode) -> Graph:
    """A convolution whose channels differ by powers of eight, neurons whose thresholds do too, and a readout."""
    random = np.random.default_rng(1)
    weight = random.normal(size=(4, 2, 3, 3)) * SIZES[:, None, None, None]
    conv = nir.Conv2d(None, weight, 1, 1, 1, 1, random.normal(size=4) * SIZES)
    return line(conv, neuron, nir.Flatten(None, 0, -1), nir.Linear(random.normal(size=(5, 64))), shape=(2, 4, 4))


def _phase_sizes() -> Graph:
    random = np.random.default_rng(2)
    weight = random.normal(size=(4, 2, 3, 3)) * SIZES[:, None, None, None]
    return line(
        PhaseEncode((2, 4, 4), 8, 2.0, 4.0),
        nir.Conv2d(None, weight, 1, 1, 1, 1, np.zeros(4)),
        PhaseIF((4, 4, 4), 8, 8, 2.0, 1.5, 8 * SIZES.reshape(4, 1, 1), SIZES.reshape(4, 1, 1)),
        nir.Flatten(None, 0, -1),
        nir.Linear(random.normal(size=(5, 64))),
        PhaseDecode((5,), 8, 1.5, np.zeros(5)),
        shape=(2, 4, 4),
    )


THETA = np.broadcast_to(2 * SIZES.reshape(4, 1, 1), (4, 4, 4)).copy()
ONES = np.ones_like(THETA)
NEURONS = {
    "multi-level": MultiLevelLIF.one_hot((4, 4, 4), 3, THETA[:, :1, :1], 0.9),
    "if": nir.IF(ONES, THETA),
    "lif": nir.LIF(5e-3 * ONES, 5 * ONES, 0 * ONES, THETA),
    "cuba": nir.CubaLIF(3e-3 * ONES, 5e-3 * ONES, 5 * ONES, 0 * ONES, THETA, w_in=3 * ONES),
}


@pytest.mark.parametrize("name", [*NEURONS, "phases"])
def test_channels_of_different_size_keep_their_bits(name: str) -> None:
    """One step for all has none left for the smallest channel, 2^-9 of the largest."""
    graph = _phase_sizes() if name == "phases" else _sizes(NEURONS[name])
    x = np.random.default_rng(3).integers(0, 5, (6, 8, 2, 4, 4)).astype(float)
    with pytest.warns(GraphWarning, match="2 of 4 of Conv2d .*--per channel"):
        one_step = error(graph, x)
    assert 2.5 * error(graph, x, per="channel") < one_step


def test_channels_that_one_step_loses_are_told() -> None:
    """Not where the bits are few for all, nor a channel of many, nor such as weigh nothing."""
    weight = np.random.default_rng(0).normal(size=(8, 40))

    def lost(scales: list[float], **options: int) -> tuple[int, int, str | None]:
        graph = line(nir.Linear(weight * np.array(scales)[:, None]), nir.IF(np.ones(8), np.ones(8)), shape=(40,))
        _, report = quantize_with_report(graph, **options)  # type: ignore[arg-type]
        assert report.notes == ([report.lost] if report.lost else [])
        return report.layers[0].channels, report.layers[0].channels_lost, report.lost

    assert lost([1] * 8) == (8, 0, None)
    assert lost([1] * 8, weight_bits=2) == (8, 0, None)
    assert lost([1] * 7 + [1e-3]) == (8, 1, None)
    assert lost([1] * 2 + [0] * 5 + [1e-3])[:2] == (3, 1)
    assert "3 of 8 of Linear 'n0'" in (lost([1] * 5 + [1e-3] * 3)[2] or "")


def test_channels_that_are_integers_already_stay_as_they_are() -> None:
    random = np.random.default_rng(3)
    weights = [random.integers(-3, 4, (6, 6)) / 4, random.integers(-3, 4, (3, 6)) / 8]
    graph = line(nir.Linear(weights[0]), MultiLevelLIF.one_hot((6,), 2, 0.5), nir.Linear(weights[1]), shape=(6,))
    x = random.integers(-4, 9, (8, 3, 6)) / 4
    with nirbridge.compile(graph) as program:
        expected = program.run(x).output
    for given in (graph, quantize(graph, x)):
        with nirbridge.compile(quantize(given, x, per="channel")) as program:
            assert np.array_equal(program.run(x).output, expected)


def test_what_24_bits_of_state_cost_is_told() -> None:
    """At a step of 10 µs a spike moves the membrane by 10^-8 of its threshold; at 1 ms nothing is lost."""
    one = np.ones(8)
    neuron = nir.CubaLIF(one / 10, one / 10, one, 0 * one, one)
    graph = line(nir.Linear(np.random.default_rng(0).normal(size=(8, 40))), neuron, shape=(40,))
    assert quantize_with_report(graph, dt=1e-3)[1].notes == []
    with pytest.warns(GraphWarning, match="1 layer by a quarter or more, Linear 'n0' by 100%: with finer steps"):
        quantize(graph, dt=1e-5)


def test_a_chain_of_synapses_shares_what_each_channel_has_too_much() -> None:
    """Biases beside which weights are small, of each channel another: the layer before loses bits for all of them."""
    random = np.random.default_rng(5)
    first, second = random.normal(size=(6, 4)), random.normal(size=(5, 6)) * 1e-3
    read = nir.LI(np.full(5, 5e-3), np.ones(5), np.zeros(5))
    graph = line(nir.Linear(first), nir.Affine(second, 4.0 ** np.arange(-4, 1)), read, shape=(4,))
    x = random.integers(0, 9, (20, 3, 4)).astype(float)
    found = quantize(graph, x, per="channel").nodes
    most = np.abs(found["n1"].weight).max(1)
    assert np.abs(found["n0"].weight).max() == 64
    assert most[:4].tolist() == [127] * 4
    assert most[4] in range(8, 32)
    assert error(graph, x, per="channel") < error(graph, x)


def test_a_shortcut_keeps_its_weights_and_the_layer_beside_it_has_its_unit() -> None:
    random = np.random.default_rng(4)
    factors = random.uniform(0.3, 3, (3, 1, 1))
    nodes = {
        "first": nir.Conv2d(None, random.normal(size=(3, 3, 3, 3)), 1, 1, 1, 1, np.zeros(3)),
        "act": PhaseIF((3, 4, 4), 8, 8, 2.0, 1.5, 4.0, 0.0),
        "conv": nir.Conv2d(None, random.normal(size=(3, 3, 3, 3)), 1, 1, 1, 1, np.zeros(3)),
        "skip": nir.Scale(factors),
        "sum": PhaseIF((3, 4, 4), 8, 8, 1.5, 1.5, 2.0, 0.0),
    }
    code = {"code": PhaseEncode((3, 4, 4), 8, 2.0, 4.0)}
    paths = ("input code first act conv sum output", "act skip sum")
    graph = net({**code, **nodes}, *paths, shape=(3, 4, 4))
    found, report = quantize_with_report(graph, weight_bits=3, per="channel")
    units = found.nodes["sum"].v_threshold / 2.0  # of the sum, in which both arrive
    skip = found.nodes["skip"].scale * found.nodes["skip_to_sum"].scale / units
    np.testing.assert_allclose(skip / factors, 1, rtol=2e-3)  # thresholds have 2^10 units
    assert not report.notes
    rows = {layer.node: layer for layer in report.layers}
    assert rows["skip"].weight_error < 1e-12
    assert 0.05 < rows["conv"].weight_error < 0.3


def test_layers_that_add_to_what_has_a_unit_have_powers_of_two() -> None:
    random = np.random.default_rng(5)
    nodes = {
        "a": nir.Linear(random.normal(size=(4, 4))),
        "act": MultiLevelLIF.uniform((4,), 3, 0.5, output="value"),
        "b": nir.Linear(random.normal(size=(4, 4)) * SIZES[:, None]),
        "c": nir.Linear(random.normal(size=(4, 4))),
        "sum": nir.IF(np.ones(4), np.ones(4)),
    }
    graph = net(nodes, "input a act b sum output", "act sum", "act c sum", shape=(4,))
    found = quantize(graph, per="channel")
    for name in ("b", "c"):
        weight, real = found.nodes[name].weight.astype(float), graph.nodes[name].weight * 0.5
        step = np.abs(real).max(1) / np.abs(weight).max(1)
        assert np.abs(np.log2(step) - np.rint(np.log2(step))).max() < 0.02
    x = random.integers(0, 3, (12, 5, 4)).astype(float)
    assert (outputs(found, x) == outputs(graph, x)).mean() > 0.97


def test_a_decision_in_integers_needs_one_unit_and_says_so() -> None:
    """Data come back times each class's unit; integers are compared as they are: the last layer has one step."""
    random = np.random.default_rng(6)
    nodes = (
        nir.Linear(random.normal(size=(6, 4))),
        nir.IF(np.ones(6), np.ones(6)),
        nir.Linear(random.normal(size=(3, 6))),
    )
    graph = line(*nodes, shape=(4,))
    takes_data, report = quantize_with_report(graph, per="channel")
    assert report.output_scale["output"].shape == (3,)
    assert takes_data.nodes["output_unit"].scale.shape == (3,)
    assert not report.notes
    integers, report = quantize_with_report(graph, per="channel", input="integers")
    assert report.output_scale["output"].shape == ()
    (note,) = report.notes
    assert note.startswith("node 'n2' (Linear): one step for all channels, since node 'output' (Output) gives integers")
    assert report.to_dict()["notes"] == [note]
    assert np.ptp(integers.nodes["n1"].v_threshold) > 0
    x = random.integers(0, 5, (8, 5, 4)).astype(float)
    assert np.abs(outputs(takes_data, x) - outputs(graph, x)).mean() < 0.05


def test_units_pass_through_pools_and_over_neighbours() -> None:
    random = np.random.default_rng(7)
    two = np.array([2, 2])
    conv = nir.Conv2d(None, random.normal(size=(4, 2, 3, 3)) * SIZES[:, None, None, None], 1, 1, 1, 1, np.zeros(4))
    behind = MultiLevelLIF.uniform((4, 2, 2), 5, SIZES.reshape(4, 1, 1), output="value")
    x = random.integers(0, 5, (4, 6, 2, 4, 4)).astype(float)
    for pool in (nir.AvgPool2d(two, two, 0 * two), nir.SumPool2d(two, two, 0 * two), MaxPool2d(2, 2, 0)):
        graph = line(conv, pool, behind, shape=(2, 4, 4))
        found, report = quantize_with_report(graph, per="channel")
        assert not report.notes
        assert (outputs(found, x) == outputs(graph, x)).mean() > 0.97
    features = nir.Linear(random.normal(size=(4, 3)) * SIZES[:, None])
    graph = line(features, Aggregate(random.normal(size=(5, 5))), nir.I(np.ones((5, 4))), shape=(5, 3))
    assert not quantize_with_report(graph, per="channel")[1].notes
    assert error(graph, random.integers(0, 5, (4, 6, 5, 3)).astype(float), per="channel") < 0.02


def test_a_node_that_needs_one_unit_gets_it_and_the_note_names_it() -> None:
    random = np.random.default_rng(8)
    graph = line(
        nir.Linear(random.normal(size=(4, 3)) * SIZES[:, None]),
        Place((4,), (8,), 2, 6),
        nir.IF(np.ones(8), np.ones(8)),
        shape=(3,),
    )
    found, report = quantize_with_report(graph, per="channel")
    assert report.notes == [
        "node 'n0' (Linear): one step for all channels, since node 'n1' (Place) the neurons before it send values of "
        "different units"
    ]
    assert (found.nodes["n0"].weight == quantize_with_report(graph)[0].nodes["n0"].weight).all()


def test_a_tiny_channel_does_not_cost_the_others_their_bits() -> None:
    """At its own step the last channel's threshold would take 2^40 units of a state of 24 bits."""
    random = np.random.default_rng(9)
    weight = random.normal(size=(3, 5)) * np.array([[1.0], [1.0], [2.0**-33]])
    graph = line(nir.Linear(weight), nir.IF(np.ones(3), np.ones(3)), shape=(5,))
    found = quantize(graph, per="channel").nodes
    assert np.abs(found["n0"].weight).max(1)[:2].tolist() == [127, 127]
    assert found["n1"].v_threshold.max() < 2**23
    behind = line(nir.Linear(weight), Aggregate(np.eye(4)), nir.IF(np.ones((4, 3)), np.ones((4, 3))), shape=(4, 5))
    found = quantize(behind, per="channel").nodes
    assert np.abs(found["n0"].weight).max(1)[:2].tolist() == [127, 127]
    assert found["n1"].weight.diagonal().min() > 0


def test_gptq_beats_the_nearest_in_a_network() -> None:
    random = np.random.default_rng(10)
    mixed = random.normal(size=(3, 16))
    graph = line(nir.Linear(random.normal(size=(12, 16))), nir.I(np.ones(12)), shape=(16,))
    x = random.normal(size=(4, 50, 3)) @ mixed
    for per in ("layer", "channel"):
        options = {"weight_bits": 3, "per": per}
        assert error(graph, x, rounding="gptq", **options) < 0.6 * error(graph, x, **options)


def test_bad_options() -> None:
    graph = line(nir.Linear(np.eye(3)), shape=(3,))
    with pytest.raises(InputError, match="option 'per': 'row' is not among 'layer', 'channel'"):
        quantize(graph, per="row")
    with pytest.raises(InputError, match="option 'rounding': 'up' is not among 'nearest', 'gptq'"):
        quantize(graph, rounding="up")
    with pytest.raises(InputError, match="option 'rounding': 'gptq' rounds by what layers get, and there are no data"):
        quantize(graph, rounding="gptq")


def test_notes_stand_in_the_order_of_execution() -> None:
    """They came in the order of a set of names, another one in every process."""
    graph = random_graph(47)
    _, report = quantize_with_report(graph, random_data(graph, 47), per="channel", input="integers", dt=DT)
    named = [note.split("'")[1] for note in report.notes]
    assert len(named) == 4
    assert named == sorted(named, key=flatten(graph).topology.order.index)
