"""Chip limits: cores by hand, and one graph for every rule."""

from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.chips import CHIPS, check_chip
from nirbridge.chips.messages import message_bits
from nirbridge.errors import GraphError, InputError
from nirbridge.ir import (
    EventInput,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
    build_graph,
)
from nirbridge.runtime import make_plan
from tests.conformance.cases import line, net


def ones(*shape: int, value: int = 100) -> np.ndarray:
    return np.full(shape, value, np.int16)


def act(*shape: int, lanes: int = 1, threshold: int = 100, reset: str = "value") -> MultiLevelLIF:
    one = np.ones(lanes, np.int32) * 2 ** np.arange(lanes, dtype=np.int32)
    return MultiLevelLIF(shape, 0.5, 1, np.int32(0), one * threshold, one, one * threshold, np.int32(0), reset, ">")


def rules(report: object) -> set[str]:
    return {problem.rule for problem in report.problems}  # type: ignore[attr-defined]


def test_dense_layer_by_hand() -> None:
    """1000 → 2000 with 8-bit weights: 16 Mbit of weights, on 128 KiB cores."""
    graph = line(nir.Linear(ones(2000, 1000)), act(2000), shape=(1000,))
    (layer,) = check_chip(graph, "loihi1").layers
    per_core = 1000 * 64 * (1 + np.ceil(np.ceil(2000 / layer.cores) * 8 / 64))
    assert (layer.neurons, layer.fan_in, layer.weight_bits) == (2000, 1000, 8)
    assert layer.synapse_bits_per_core == per_core <= 128 * 1024 * 8
    fewer = 1000 * 64 * (1 + np.ceil(np.ceil(2000 / (layer.cores - 1)) * 8 / 64))
    assert fewer > 128 * 1024 * 8
    assert layer.decided_by == ("synapse_bits_per_core",)


def test_neurons_decide_where_synapses_are_few() -> None:
    graph = line(nir.Scale(np.int32(3)), act(5000), shape=(5000,))
    for chip, cores in (("loihi1", 5), ("loihi2", 2)):
        report = check_chip(graph, chip)
        assert report.fits, report.problems
        assert report.cores == cores
    assert report.layers[0].decided_by == ("in_axons_per_core",)


def test_convolution_shares_its_kernel_on_loihi2_alone() -> None:
    conv = nir.Conv2d(None, ones(8, 4, 3, 3), 1, 1, 1, 1, np.zeros(8, np.int32))
    graph = line(conv, act(8, 16, 16), shape=(4, 16, 16))
    one, two = (check_chip(graph, chip).layers[0] for chip in CHIPS)
    assert one.fan_in == two.fan_in == 36
    assert two.synapse_bits_per_core == 8 * 36 * 8 + 4 * 16 * 16 * 64 + 2048 * 64
    assert one.cores == 2
    assert one.in_axons_per_core == 4 * 10 * 16  # eight rows and one more at each side
    assert one.synapse_bits_per_core == 640 * 64 * (1 + np.ceil(np.ceil(1024 * 36 / 640) * 8 / 64))


def test_pool_and_convolution_are_one_synapse() -> None:
    two = np.array([2, 2])
    pool = nir.SumPool2d(two, two, 0 * two)
    conv = nir.Conv2d(None, ones(3, 2, 3, 3), 1, 0, 1, 1, np.zeros(3, np.int32))
    report = check_chip(line(pool, conv, act(3, 2, 2), shape=(2, 8, 8)), "loihi2")
    assert report.layers[0].fan_in == 72
    assert report.layers[0].in_axons_per_core == 2 * 8 * 8


def test_readout_and_recurrence_have_layers() -> None:
    nodes = {"fc": nir.Linear(ones(6, 4)), "a": act(6), "rec": nir.Linear(ones(6, 6)), "out": nir.Linear(ones(3, 6))}
    report = check_chip(net(nodes, "input fc a out output", "a rec a", shape=(4,)), "loihi2")
    assert {layer.layer: layer.fan_in for layer in report.layers} == {"a": 10, "out": 6}
    assert report.fits


@pytest.mark.parametrize(
    ("chip", "graph", "rule"),
    [
        ("loihi2", lambda: line(nir.Linear(np.full((3, 4), 0.5)), act(3), shape=(4,)), "node_runs_in_fixed_point"),
        ("loihi2", lambda: line(nir.Linear(ones(3, 4, value=301)), act(3), shape=(4,)), "weights_fit_their_bits"),
        ("loihi1", lambda: line(nir.Linear(ones(3, 4)), act(3, lanes=3), shape=(4,)), "messages_fit_their_bits"),
        (
            "loihi1",
            lambda: line(nir.Linear(ones(3, 4)), act(3, reset="subtract"), shape=(4,)),
            "neurons_run_on_the_chip",
        ),
        ("loihi2", lambda: line(nir.Linear(ones(3, 4)), act(3, threshold=2**23), shape=(4,)), "states_fit_their_bits"),
        ("loihi1", lambda: line(nir.Linear(ones(2, 5000)), act(2), shape=(5000,)), "fits_in_axons_per_core"),
        ("loihi1", lambda: line(nir.Scale(np.int32(1)), act(200_000), shape=(200_000,)), "chip_has_enough_cores"),
        (
            "loihi1",
            lambda: line(nir.Linear(ones(1000, 4)), act(1000), nir.Linear(ones(2000, 1000)), act(2000), shape=(4,)),
            "fits_out_axons_per_core",
        ),
    ],
)
def test_every_rule_names_limit_and_source(chip: str, graph: object, rule: str) -> None:
    report = check_chip(graph(), chip)  # type: ignore[operator]
    others = {"neurons_run_on_the_chip", "inputs_are_spikes"}
    assert rules(report) - others == {rule} - others
    assert rule in rules(report)
    assert not report.fits
    (problem, *_) = [problem for problem in report.to_dict()["problems"] if problem["rule"] == rule]
    assert rule == "node_runs_in_fixed_point" or "source [" in problem["message"]


def test_eight_bits_with_sign_are_minus_128_to_127() -> None:
    for value, fits in ((127, True), (-128, True), (129, False), (-129, False)):
        report = check_chip(line(nir.Linear(ones(3, 4, value=value)), act(3), shape=(4,)), "loihi2")
        assert report.fits is fits


def test_the_table_says_what_the_lanes_save() -> None:
    """A message of a power of two costs a shift, a binary one an addition, any other a multiplication."""
    levels = MultiLevelLIF.uniform((3,), 5, 100)
    layers = {"one": act(3, lanes=3), "two": act(3), "three": levels, "out": act(3)}
    nodes = {"fc": nir.Linear(ones(3, 3)), **{f"w{name}": nir.Linear(ones(3, 3)) for name in layers}, **layers}
    graph = net(nodes, "input fc one wtwo two wthree three wout out output", "input wone out", shape=(3,))
    report = check_chip(graph, "loihi2")
    costs = {layer.layer: layer.message_cost for layer in report.layers}
    assert costs == {"one": "multiply", "two": "shift", "three": "add", "out": "multiply"}
    assert "a message costs" in report.table()
    assert [layer["message_cost"] for layer in report.to_dict()["layers"]] == list(costs.values())


def test_quantised_demo_network_fits_loihi2() -> None:
    graph = line(
        nir.Linear(np.random.default_rng(0).normal(size=(30, 20))), MultiLevelLIF.one_hot((30,), 3), shape=(20,)
    )
    report = check_chip(nirbridge.quantize(graph), "loihi2")
    assert report.fits
    assert report.cores == 1
    assert "1 core of 128; everything fits" in report.summary()[0]


def test_a_product_is_a_program_of_loihi2() -> None:
    nodes = {
        "fc": nir.Linear(ones(3, 4)),
        "a": act(3),
        "a.at": Place((3,), (6,), 0, 3),
        "b": act(3),
        "b.at": Place((3,), (6,), 3, 6),
        "m": Product((6,), 2),
        "out": nir.Linear(ones(2, 3)),
    }
    graph = net(nodes, "input fc a a.at m out output", "fc b b.at m", shape=(4,))
    assert check_chip(graph, "loihi2").fits
    assert {layer.layer for layer in check_chip(graph, "loihi2").layers} == {"a", "b", "m", "out"}
    assert "products_run_on_the_chip" in rules(check_chip(graph, "loihi1"))


@pytest.mark.parametrize(
    "nodes",
    [
        (PhaseEncode((4,), 4, 2.0, 3), nir.Linear(ones(3, 4)), PhaseIF((3,), 4, 4, 2.0, 1.3, 5, 0)),
        (nir.Linear(ones(3, 4)), PhaseDecode((3,), 4, 1.3, 0)),
        (nir.Linear(ones(3, 4)), act(3, lanes=3), TemporalMix(ones(2, 2)), act(3)),
    ],
)
def test_windows_are_programs_of_loihi2(nodes: tuple[nir.NIRNode, ...]) -> None:
    graph = line(*nodes, shape=(4,))
    assert check_chip(graph, "loihi2").fits
    assert "neurons_run_on_the_chip" in rules(check_chip(graph, "loihi1"))


def test_unknown_chip() -> None:
    with pytest.raises(InputError, match="'tianjic' is not among loihi1, loihi2"):
        check_chip(line(shape=(4,)), "tianjic")


def test_what_no_runtime_runs_is_no_graph_for_a_chip() -> None:
    never = nir.IF(np.ones(4), np.full(4, np.inf))
    with pytest.raises(GraphError, match="NaN or infinite"):
        check_chip(line(never, shape=(4,)), "loihi1")
    for dt in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="is not a positive number of seconds"):
            check_chip(line(nir.IF(*np.ones((2, 4))), shape=(4,)), "loihi1", dt)


@pytest.mark.parametrize(
    ("before", "bits", "cost"),
    [
        ([EventInput((1, 2, 2), (2, 2), 1000), Quantize((1, 2, 2))], 1, "add"),
        ([EventInput((1, 2, 2), (2, 2), 1000, 4, 3, "one-hot"), Quantize((1, 2, 2))], 4, "shift"),
        ([EventInput((1, 2, 2), (2, 2), 1000), Quantize((1, 2, 2), 0.25)], None, "multiply"),
        ([nir.Input(np.array([1, 2, 2])), Quantize((1, 2, 2))], None, "multiply"),
        ([nir.Input(np.array([1, 2, 2])), Quantize((1, 2, 2), 0.1, 0, 15)], 5, "multiply"),
    ],
)
def test_rounding_data_is_work_of_the_host(before: list[nir.NIRNode], bits: int | None, cost: str) -> None:
    """It takes no core; what it sends is what the input says, within the range; a range of 24 bits says nothing."""
    nodes = [*before, nir.Flatten(None, 0, -1), nir.Linear(np.eye(4, dtype=np.int8)), nir.IF(*np.ones((2, 4)))]
    named = {f"n{i}": node for i, node in enumerate([*nodes, nir.Output(None)])}
    graph = build_graph(named, list(itertools.pairwise(named)))
    report = check_chip(graph, "loihi2")
    assert report.fits, report.problems
    assert report.host == ("node 'n1' (Quantize)",)
    assert "work of the host, which takes no core: node 'n1' (Quantize)" in report.summary()
    (layer,) = report.layers
    assert (layer.layer, layer.message_cost) == ("n4", cost)
    assert message_bits(make_plan(graph))["n1"] == bits
    binary = check_chip(graph, "loihi1")
    if bits == 1:
        assert binary.fits
        assert not binary.problems
    elif bits is None:
        assert [problem.rule for problem in binary.problems] == ["inputs_are_spikes"]
    else:
        assert [problem.rule for problem in binary.problems] == ["messages_fit_their_bits"]
