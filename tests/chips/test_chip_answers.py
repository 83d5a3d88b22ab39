"""No graph is said to fit that the chip cannot run: every node type on every chip, and what only the whole tells."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.chips import CHIPS, check_chip
from nirbridge.chips.layers import layers_of, place_of
from nirbridge.chips.weights import Weights
from nirbridge.cli import main
from nirbridge.conformance.cases import line, net
from nirbridge.conformance.integer_cases import INTEGER_CASES
from nirbridge.ir import Aggregate, EventInput, MaxPool2d, MultiLevelLIF, PhaseIF, Place, SparseMatrix
from nirbridge.primitives import BUILT_IN, FirstSpikePool2d
from nirbridge.runtime import make_plan

REFUSED = {nir.AvgPool2d, MaxPool2d, FirstSpikePool2d}
I4 = np.full(4, 1, np.int32)


def ten(*shape: int, value: int = 10) -> np.ndarray:
    return np.full(shape, value, np.int8)


def spiking(**changes: Any) -> nir.IF:
    return nir.IF(**{"r": I4, "v_threshold": I4 * 15, "v_reset": I4 * 0, **changes})


def rules(graph: nir.NIRGraph, chip: str = "loihi2", dt: float | None = None) -> list[str]:
    return [problem.rule for problem in check_chip(graph, chip, dt).problems]


def test_every_node_type_is_placed_or_refused() -> None:
    assert {spec.node for spec in BUILT_IN if not place_of(object.__new__(spec.node))} == REFUSED
    assert all(bool(spec.chip.refused) == (spec.node in REFUSED) for spec in BUILT_IN)


@pytest.mark.parametrize("chip", CHIPS)
def test_refused_types_never_fit(chip: str) -> None:
    two = np.array([2, 2])
    for pool in (MaxPool2d(two, two, 0 * two), nir.AvgPool2d(two, two, 0 * two)):
        report = check_chip(line(pool, nir.Flatten(None, 0, -1), nir.Linear(ten(4, 4)), shape=(1, 4, 4)), chip)
        assert not report.fits
        assert type(pool).__name__ in str(report.problems[0])
        assert report.problems[0].rule == "chip_has_a_place"


def test_pools_behind_phase_codes_are_refused_too() -> None:
    two = np.array([2, 2])
    nodes = (PhaseIF((1, 4, 4), 4, 0, 2.0, 2.0, 8, 0), MaxPool2d(two, two, 0 * two))
    assert "chip_has_a_place" in rules(line(*nodes, shape=(1, 4, 4)))


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("case", INTEGER_CASES, ids=lambda case: case.name)
def test_what_fits_runs_in_fixed_point(case: Any, chip: str) -> None:
    """Whatever a report calls fitting compiles in integers, and holds nothing that was refused."""
    report = check_chip(case.graph(), chip, case.dt)
    assert report.fits == (not any(problem.severity == "error" for problem in report.problems))
    if report.fits:
        nirbridge.compile(case.graph(), dt=case.dt, precision="fixed").close()
        assert all(layer.message_bits is not None and layer.weight_bits is not None for layer in report.layers)


def test_what_fixed_refuses_does_not_fit(tmp_path: Path) -> None:
    lif = nir.LIF(np.full(4, 0.02), np.full(4, 20.0), np.full(4, 5.0), np.full(4, 15.0))
    graph = line(nir.Linear(ten(4, 4)), lif, shape=(4,))
    (problem,) = check_chip(graph, "loihi2").problems
    assert problem.found == "v_leak holds 5, not 0"
    nirbridge.write(tmp_path / "g.nir", graph)
    command = ["check", str(tmp_path / "g.nir"), "--runtime", "lava", "--chip", "loihi2"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "everything fits" not in result.stdout
    assert "·dt/tau" not in result.stdout
    assert "r·dt/tau is 0.1, not 1, at dt = 0.0001 s" in CliRunner().invoke(main, [*command, "--dt", "1e-4"]).stdout


def test_real_weights_are_counted_at_eight_bits_and_said_to_be() -> None:
    report = check_chip(line(nir.Linear(np.full((4, 4), 0.3)), nir.IF(I4 * 1.0, I4 * 0.5), shape=(4,)), "loihi2")
    assert not report.fits
    assert report.layers[0].weight_bits is None
    assert any("8-bit weights where weights are no integers" in text for text in report.summary())
    lanes = MultiLevelLIF.uniform((4,), 5, 0.1, output="value")
    assert (
        check_chip(line(nir.Linear(np.full((4, 4), 0.3)), lanes, shape=(4,)), "loihi2").layers[0].message_bits is None
    )


def test_whole_numbers_in_floats_are_integers() -> None:
    graph = line(nir.Linear(np.eye(4) * 10), nir.IF(I4 * 1.0, I4 * 15.0), shape=(4,))
    assert check_chip(graph, "loihi2").fits


def _events(**changes: Any) -> nir.NIRGraph:
    nodes = {
        "e": EventInput(**{"shape": (1, 2, 2), "sensor_size": (2, 2), "window": 1000, **changes}),
        "flat": nir.Flatten(None, 0, -1),
        "w": nir.Linear(ten(4, 4)),
        "s": spiking(),
        "output": nir.Output(np.array([4])),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)


@pytest.mark.parametrize(
    ("changes", "found", "cost"),
    [
        ({}, [], "add"),
        ({"coding": "one-hot", "lanes": 1}, [], "add"),
        ({"coding": "one-hot", "lanes": 5, "subframes": 20}, ["messages_fit_their_bits"], "shift"),
        ({"coding": "count"}, ["messages_fit_their_bits"], "multiply"),
    ],
)
def test_graded_inputs_need_graded_spikes(changes: dict[str, Any], found: list[str], cost: str) -> None:
    assert rules(_events(**changes), "loihi1") == found
    report = check_chip(_events(**changes), "loihi2")
    assert (report.fits, report.layers[0].message_cost) == (True, cost)


def test_an_input_of_unknown_range_is_a_condition() -> None:
    report = check_chip(line(nir.Linear(ten(4, 4)), spiking(), shape=(4,)), "loihi1")
    assert [(p.rule, p.severity) for p in report.problems] == [("inputs_are_spikes", "warning")]
    assert "fits on the conditions that the warnings name" in report.summary()[0]


@pytest.mark.parametrize(
    ("graph", "x", "found"),
    [
        (line(nir.Linear(ten(4, 4)), spiking(), shape=(4,)), np.eye(4), [("inputs_are_spikes", "warning")]),
        (line(nir.Linear(ten(4, 4)), spiking(), shape=(4,)), -np.eye(4), [("messages_fit_their_bits", "error")]),
        (_events(), 2 * np.ones((1, 1, 2, 2)), [("messages_fit_their_bits", "error")]),
        (_events(), np.ones((1, 1, 2, 2), bool), []),
    ],
)
def test_data_show_what_inputs_bring(graph: nir.NIRGraph, x: np.ndarray, found: list[tuple[str, str]]) -> None:
    problems = check_chip(graph, "loihi1", x=x[None]).problems
    assert [(problem.rule, problem.severity) for problem in problems] == found


def test_a_graph_without_layers_has_nothing_that_fits() -> None:
    assert "nothing to place" in check_chip(line(shape=(4,)), "loihi2").summary()[0]


@pytest.mark.parametrize(
    ("nodes", "bits"),
    [
        ([nir.Linear(ten(4, 4)), nir.Scale(np.full(4, 4))], 5),  # 10 = 0b1010, times a weight exponent
        ([nir.Linear(ten(4, 4)), nir.Scale(np.full(4, 3))], 6),  # 30
        ([nir.Linear(ten(4, 4, value=9)), nir.Linear(ten(4, 4, value=9))], 10),  # 4·9·9 = 324
        ([nir.Linear(ten(4, 4)), nir.Linear(ten(4, 4))], 8),  # 4·10·10 = 100·4, times a weight exponent
        ([nir.Scale(np.array([1, 2, 4, -7])), nir.Linear(ten(4, 4))], 8),  # -70 .. 40
    ],
)
def test_weights_without_a_neuron_between_merge(nodes: list[nir.NIRNode], bits: int) -> None:
    report = check_chip(line(*nodes, spiking(), shape=(4,)), "loihi2")
    assert report.layers[0].weight_bits == bits
    assert report.fits == (bits <= 8)


def test_merged_weights_stay_in_their_range() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        one, two = rng.integers(-9, 9, (5, 6)), rng.integers(-9, 9, (4, 5)) * (rng.random((4, 5)) < 0.5)
        parts = [(w, int((w != 0).sum(1).max(initial=1)), int((w != 0).sum(0).max(initial=1))) for w in (one, two)]
        found = Weights().behind(*parts[0]).behind(*parts[1])
        merged = two @ one
        assert found.low <= merged.min() <= merged.max() <= found.high
        side = Weights().behind(*parts[0]) + Weights().behind(*parts[0])
        assert side.low <= 2 * one.min() <= 2 * one.max() <= side.high


def _conv(cin: int, cout: int, kernel: int, *place: int) -> nir.Conv2d:
    stride, padding, dilation, groups = place
    weight = np.random.default_rng(cin + cout).integers(-5, 6, (cout, cin // groups, kernel, kernel))
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, np.zeros(cout))


def _linear(rows: int, columns: int) -> nir.Linear:
    return nir.Linear(np.random.default_rng(rows).integers(-5, 6, (rows, columns)))


def _sum_pool(kernel: int, stride: int) -> nir.SumPool2d:
    return nir.SumPool2d(*(np.full(2, n) for n in (kernel, stride, 0)))


CHAINS = {
    "convolution, pool": [_conv(2, 3, 3, 1, 1, 1, 1), _sum_pool(2, 2)],
    "overlapping pool, convolution": [_sum_pool(3, 1), _conv(2, 3, 3, 2, 0, 1, 1)],
    "dilated groups": [_conv(2, 4, 2, 1, 0, 2, 2), _conv(4, 2, 3, 2, 1, 1, 1)],
    "flatten, matrix": [_sum_pool(2, 2), nir.Flatten(None, 0, -1), _linear(3, 18)],
    "scales": [nir.Scale(np.arange(72).reshape(2, 6, 6) - 30), nir.Scale(np.array(4)), _sum_pool(2, 2)],
    "repeating place": [_sum_pool(6, 6), Place((2, 1, 1), (2, 6, 6), 0, 2), _conv(2, 3, 3, 1, 0, 1, 1)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_merged_synapses_are_within_what_the_report_says(name: str) -> None:
    """The matrix of the whole chain, by what it makes of each unit vector."""
    graph = line(*CHAINS[name], shape=(2, 6, 6))
    (layer,) = layers_of(make_plan(graph))
    (path,) = layer.paths
    with nirbridge.compile(graph) as program:
        matrix = program.run(np.eye(72).reshape(1, 72, 2, 6, 6)).output.reshape(72, -1)
    assert path.weights.low * 2**path.weights.shift <= matrix.min()
    assert path.weights.high * 2**path.weights.shift >= matrix.max()
    assert path.fan_in >= np.count_nonzero(matrix, axis=0).max()


@pytest.mark.parametrize(("exponent", "fits"), [(0, True), (7, True), (8, False)])
def test_a_power_of_two_of_all_weights_is_an_exponent_wherever_it_stands(exponent: int, fits: bool) -> None:
    weight, factor = np.array([[127, -128], [1, 0]]), 2**exponent
    one = np.ones(2, np.int64)
    neuron = nir.IF(one, one, 0 * one)
    forms = (
        [nir.Linear(weight * factor), neuron],
        [nir.Linear(weight), nir.Scale(one * factor), neuron],
        [nir.Scale(one * factor), nir.Linear(weight), neuron],
        [nir.Linear(weight), nir.IF(one * factor, one, 0 * one)],
    )
    for chip in ("loihi1", *(["loihi2"] if fits else [])):  # of loihi2 a program multiplies by R
        assert [check_chip(line(*nodes, shape=(2,)), chip).fits for nodes in forms] == [fits] * len(forms)


def test_a_gain_of_a_fixed_neuron_stands_in_its_weights() -> None:
    for gain, one, two in ((8, [], []), (9, [], []), (99, ["weights_fit_their_bits"], [])):
        graph = line(nir.Linear(ten(4, 4)), spiking(r=I4 * gain), shape=(4,))
        assert [rule for rule in rules(graph, "loihi1") if rule != "inputs_are_spikes"] == one
        assert rules(graph, "loihi2") == two


def test_biases_are_a_mantissa_and_a_shift() -> None:
    for bias, fits in ((4095, True), (5001, False), (4095 * 128, True), (4095 * 256, False), (-4096, True)):
        affine = nir.Affine(ten(4, 4), np.full(4, bias, np.int32))
        graph = line(affine, spiking(v_threshold=I4 * 2**20), shape=(4,))
        assert check_chip(graph, "loihi1").fits is fits
        assert check_chip(graph, "loihi2").fits


@pytest.mark.parametrize("chip", CHIPS)
def test_delays_end_at_62_steps(chip: str) -> None:
    def delayed(*steps: int) -> nir.NIRGraph:
        delays = [nir.Delay(np.full(4, n * 1e-3)) for n in steps]
        return line(nir.Linear(ten(4, 4)), spiking(), *delays, nir.Linear(ten(4, 4)), spiking(), shape=(4,))

    assert check_chip(delayed(62), chip).fits
    for steps in (63, 100, 1000):
        (problem,) = [p for p in check_chip(delayed(steps), chip).problems if p.severity == "error"]
        assert problem.where == "node 'n2' (Delay)"
        assert f"up to {steps} steps of 0.001 s, the limit is 62 (source" in problem.found
        assert problem.rule == "delays_fit"
    (problem,) = [p for p in check_chip(delayed(40, 40), chip).problems if p.severity == "error"]
    assert "hears 'n1' up to 80 steps" in problem.found
    assert check_chip(delayed(31), chip, dt=5e-4).fits
    assert not check_chip(delayed(32), chip, dt=5e-4).fits


def test_sparse_weights_have_a_range() -> None:
    ring = SparseMatrix((4, 4), np.arange(4), (np.arange(4) + 1) % 4, np.array([1, -100, 5, 7]))
    (layer,) = check_chip(line(Aggregate(ring), spiking(), shape=(4,)), "loihi2").layers
    assert (layer.weight_bits, layer.fan_in) == (8, 1)


@pytest.mark.parametrize("steps", [1, 80])
def test_diamonds_are_one_walk(steps: int) -> None:
    """2^80 paths, all from the input to one neuron."""
    nodes, edges, last = {}, [], "input"
    for k in range(steps):
        nodes |= {f"{name}{k}": nir.Scale(I4) for name in "abc"}
        edges += [f"{last} a{k} c{k}", f"{last} b{k} c{k}"]
        last = f"c{k}"
    report = check_chip(net({**nodes, "s": spiking()}, *edges, f"{last} s output", shape=(4,)), "loihi2")
    assert [layer.layer for layer in report.layers] == ["s"]
    assert report.layers[0].fan_in == min(2**steps, 4)  # at most
    assert report.fits == (steps == 1)  # weights of 2 fit, of 2^80 not


def test_no_merged_synapse_has_two_delays() -> None:
    def between(*delays: float) -> list[str]:
        return rules(
            line(
                nir.Linear(ten(4, 4, value=1)),
                nir.Delay(np.array(delays)),
                nir.Linear(ten(4, 4)),
                spiking(),
                shape=(4,),
            )
        )

    assert between(1e-3, 1e-3, 1e-3, 1e-3) == []
    assert between(1e-3, 1e-3, 1e-3, 2e-3) == ["delays_stay_apart"]
    front = line(nir.Delay(np.array([0, 1, 2, 3]) * 1e-3), nir.Linear(ten(4, 4)), spiking(), shape=(4,))
    assert rules(front) == []
