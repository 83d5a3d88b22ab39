"""Scales, thresholds, decays and reports, each by its own arithmetic; what is refused, and why."""

from __future__ import annotations

from contextlib import nullcontext

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.errors import GraphError, GraphWarning, InputError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, Quantize, TemporalMix
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.units import common_unit
from nirbridge.quantizing import quantize, quantize_with_report
from nirbridge.quantizing.scales import finest_exponent, rounded_weight, weight_exponent
from tests.conformance.cases import CASES, Case, Graph, data, line, net
from tests.quantizing.networks import NETWORKS, Maker, frames

NORMAL = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("bits", range(2, 9))
def test_finest_scale_at_which_all_weights_fit(bits: int, seed: int) -> None:
    weight = np.random.default_rng(seed).normal(0, 10.0 ** (seed % 7 - 3), 50)
    exponent = finest_exponent(weight, bits)
    limit = 2 ** (bits - 1) - 1
    assert np.abs(np.rint(weight * 2.0**exponent)).max() <= limit
    assert np.abs(np.rint(weight * 2.0 ** (exponent + 1))).max() > limit
    integers, cut = rounded_weight(weight, exponent, bits)
    assert cut == 0
    assert np.abs(integers * 2.0**-exponent - weight).max() <= 2.0**-exponent / 2


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("bits", range(1, 9))
def test_weight_scale_has_the_least_squared_error(bits: int, seed: int) -> None:
    """No other power of two does better, so it is never worse than the finest one that cuts nothing."""
    weight = np.random.default_rng(seed).standard_t(2 + seed, 400)

    def error(exponent: int) -> float:
        return float(((rounded_weight(weight, exponent, bits)[0] * 2.0**-exponent - weight) ** 2).sum())

    found = error(weight_exponent(weight, bits))
    assert found <= min(error(exponent) for exponent in range(-8, 13)) * (1 + 1e-12)


def test_few_bits_cut_outliers_and_report_them() -> None:
    """1000 normal weights and one of 8: three bits that hold it would round nearly all others to 0."""
    weight = np.concatenate([np.random.default_rng(0).normal(size=1000), [8.0]])[:, None]
    graph, report = quantize_with_report(line(nir.Linear(weight), shape=(1,)), weight_bits=3)
    layer = report.layers[0]
    assert layer.scale <= 1
    assert layer.weights_cut >= 1
    assert np.count_nonzero(graph.nodes["n0"].weight) > 400


def test_one_bit_is_a_sign() -> None:
    weight = np.array([0.3, -0.2, 0.0, 0.9, -0.25])
    exponent = weight_exponent(weight, 1)
    assert exponent == 1  # the mean magnitude is 0.41
    integers, cut = rounded_weight(weight, exponent, 1)
    assert integers.tolist() == [1, -1, 0, 1, -1]
    assert cut == 1  # 0.9 is 1.8 units


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1, 2, 4], 1),
        ([0.25, 0.5, 1], 0.25),
        ([0.3, 0.6, 0.9], 0.3),
        ([1.0, -2.0, 5.0], 1),
        ([1.0, 1.5], 0.5),
        ([0.0, 0.7], 0.7),
        ([1.0, np.pi], 2**-6),
    ],
)
def test_common_unit(values: list[float], unit: float) -> None:
    assert common_unit(np.array(values)) == pytest.approx(unit)


def test_thresholds_are_those_of_the_equation() -> None:
    """w in 1/128, θ = 0.7 and gain 2: the state's unit is 2/128, so > 44.8 units is > 44, finer by a shift of 1."""
    weight = np.array([[0.99, -0.5]])
    act = MultiLevelLIF.one_hot((1,), 2, 0.7, 0.3, gain=2.0)
    graph, report = quantize_with_report(line(nir.Linear(weight), act, shape=(2,)))
    found = graph.nodes["n1"]
    assert graph.nodes["n0"].weight.tolist() == [[127, -64]]
    assert graph.nodes["n0"].weight.dtype == np.int8
    assert int(found.gain) == 2
    assert found.lane_threshold.tolist() == [89, 179]  # 0.7 · 128 = 89.6
    assert found.lane_reset.tolist() == [90, 179]
    assert float(found.decay) == round(0.3 * 4096) / 4096
    layer = report.layers[1]
    assert (layer.scale, layer.shift) == (1 / 128, 1)
    assert layer.decay_error == pytest.approx(abs(round(0.3 * 4096) / 4096 - 0.3))


def test_time_constants_become_decays() -> None:
    tau, dt = np.array([7e-3]), 1e-3
    node = nir.LIF(tau, np.array([2.0]), np.array([0.0]), np.array([0.05]), np.array([0.01]))
    graph = quantize(line(nir.Linear(np.array([[0.9]])), node, shape=(1,)), dt=dt)
    found = graph.nodes["n1"]
    steps = round(4096 / 7)
    assert found.tau == pytest.approx(4096 * dt / steps)
    assert found.r * dt / found.tau == pytest.approx(1)
    unit = 2**-7 * 2 / 7 / int(graph.nodes["n0_to_n1"].scale)
    assert found.v_threshold == np.floor(0.05 / unit)
    assert found.v_reset == np.rint(0.01 / unit)
    assert not fixed_point_problems(graph.nodes, dt)
    assert "r·dt/tau is" in str(fixed_point_problems(graph.nodes, 2 * dt)[0])


def test_report_measures_the_rounding() -> None:
    graph, report = quantize_with_report(line(nir.Linear(NORMAL), shape=(4,)), weight_bits=3)
    layer, weight = report.layers[0], graph.nodes["n0"].weight
    error = weight * layer.scale - NORMAL
    assert layer.weight_error == pytest.approx(np.sqrt((error**2).mean() / (NORMAL.astype(float) ** 2).mean()))
    assert layer.largest_weight_error == pytest.approx(np.abs(error).max())
    assert report.output_scale["output"] == layer.scale
    assert report.table().splitlines()[1].split()[:3] == ["n0", "Linear", f"{layer.scale:.4g}"]


def test_analog_input_gets_a_step_from_the_data() -> None:
    """The largest of them is 2.71: steps of 1/64 count it in 174, of 1/128 it would take 9 bits."""
    x = np.random.default_rng(1).normal(size=(5, 3, 4))
    graph, report = quantize_with_report(line(nir.Linear(NORMAL), shape=(4,)), x)
    assert report.input_scale == {"input": 1 / 64}
    with nirbridge.compile(graph) as program:
        found = program.run(x, record=["input", "input_quantize"])
    assert (found.records["input"] == x).all()
    assert (found.records["input_quantize"] == np.round(x * 64)).all()
    assert np.abs(found.output - x @ NORMAL.T).max() < 0.05


def test_a_graph_may_take_integers_instead() -> None:
    """The same integers everywhere behind the input; without the node nothing makes "fixed" the default."""
    x = np.random.default_rng(1).normal(size=(5, 3, 4))
    plain = line(nir.Linear(NORMAL), nir.IF(np.ones(5), np.ones(5)), shape=(4,))
    takes_data, (takes_integers, report) = quantize(plain, x), quantize_with_report(plain, x, input="integers")
    assert list(takes_integers.nodes) == list(plain.nodes)
    with nirbridge.compile(takes_data) as program:
        expected = program.run(x).output
        assert program.plan.input_limit == report.input_limit == 2**23 - 1
    with nirbridge.compile(takes_integers, precision="fixed") as program:
        assert (program.run(report.to_integers(x)).output == expected).all()
    with nirbridge.compile(takes_integers) as program:
        assert program.plan.input_limit is None


def test_integers_beyond_24_bits_get_a_step_too() -> None:
    x = np.array([[[2.0**30, 12.0]]])
    graph, report = quantize_with_report(line(nir.Linear(np.ones((1, 2))), shape=(2,)), x)
    assert report.input_scale == {"input": 2.0**23}  # 2^30 / 255 lies between 2^22 and 2^23
    with nirbridge.compile(graph) as program:
        assert program.run(x, record="input_quantize").records["input_quantize"].tolist() == [[[128.0, 0.0]]]


def test_a_node_that_rounds_already_is_left_as_it_is() -> None:
    nodes = {"q": Quantize((4,), 0.25, -7, 8), "fc": nir.Linear(NORMAL), "side": nir.Linear(NORMAL)}
    graph = net(nodes, "input q fc output", "input side output", shape=(4,))
    x = np.random.default_rng(1).uniform(-1, 1, size=(5, 3, 4))
    found = quantize(graph, x)
    assert [name for name, node in found.nodes.items() if type(node) is Quantize] == ["input_quantize", "q"]
    assert ("input", "q") in found.edges
    with nirbridge.compile(graph, precision="float") as program:
        expected = program.run(x).output
    with nirbridge.compile(found) as program:
        scores = program.run(x).output
    assert np.abs(scores - expected).max() < 0.02 * np.abs(expected).max()
    with pytest.raises(InputError, match=r"'integers', and node 'q' \(Quantize\) makes integers of the data itself"):
        quantize(graph, x, input="integers")
    alone = line(Quantize((4,), 0.25, -7, 8), nir.Linear(NORMAL), shape=(4,))
    assert quantize_with_report(alone, x)[1].input_scale == {"input": 0.25}, "its own, whatever the data need"
    inside = line(nir.Linear(NORMAL), Quantize((5,)), shape=(4,))
    with pytest.raises(UnsupportedError, match=r"node 'n1' \(Quantize\): has no integer form"):
        quantize(inside)


def test_sums_that_no_input_keeps_exact_are_refused() -> None:
    """Six layers of 127 · 512 without a neuron between: 2^96 and more."""
    layers = [nir.Linear(np.full((512, 512), 127.0)) for _ in range(6)]
    with pytest.raises(UnsupportedError, match="precision 'fixed' is exact below 2\\^53"):
        quantize(line(*layers, shape=(512,)))


def test_states_that_would_leave_24_bits_make_weights_coarser() -> None:
    """An integrator of small weights under a large input reaches far more than 2^23 units of the finest scale."""
    graph = line(nir.Linear(NORMAL / 1000), nir.I(np.ones(5)), shape=(4,))
    x = np.full((50, 1, 4), 30_000.0)
    fine, coarse = quantize_with_report(graph), quantize_with_report(graph, data=x)
    assert coarse[1].layers[0].scale > fine[1].layers[0].scale
    assert coarse[1].layers[1].state_bits <= 24
    assert coarse[1].layers[1].states_saturated == 0
    for found, saturates in ((fine[0], True), (coarse[0], False)):
        with nirbridge.compile(found) as program:
            assert bool((np.abs(program.run(x, record="n1:v").records["n1:v"]) == STATE_LIMIT).any()) is saturates


def test_summands_get_one_scale_by_powers_of_two() -> None:
    nodes = {"a": nir.Linear(NORMAL), "b": nir.Linear(NORMAL / 30), "s": nir.IF(np.ones(5), np.ones(5))}
    graph = quantize(net(nodes, "input a s output", "input b s", shape=(4,)))
    (shift,) = (node.scale for node in graph.nodes.values() if type(node) is nir.Scale)
    assert int(shift) == 32
    assert ("a", "a_to_s") in graph.edges
    assert ("a_to_s", "s") in graph.edges


def test_a_node_of_that_name_does_not_take_the_place_of_the_scale_between() -> None:
    """A node ``a_to_s`` behind a is the user's own; a Scale for the edge from a to s has another name."""
    neurons = {name: nir.IF(np.ones(5), np.ones(5)) for name in ("a_to_s", "s")}
    nodes = {"a": nir.Linear(NORMAL), "b": nir.Linear(NORMAL / 30), **neurons}
    graph = quantize(net(nodes, "input a a_to_s output", "input b s output", "a s", shape=(4,)))
    assert ("a", "a_to_s_") in graph.edges
    assert ("a_to_s_", "s") in graph.edges
    assert ("a_to_s", "s") not in graph.edges
    assert int(graph.nodes["a_to_s_"].scale) == 32


def _rest() -> Graph:
    node = nir.LIF(*(np.full(5, v) for v in (5e-3, 1.0, 0.3, 1.0)))
    return line(nir.Linear(NORMAL), node, shape=(4,))


def _linear_cycle() -> Graph:
    nodes = {"a": nir.Linear(np.eye(4) / 2), "b": nir.Linear(np.eye(4) / 2)}
    return net(nodes, "input a output", "a b a", shape=(4,))


@pytest.mark.parametrize(
    ("graph", "where", "reason"),
    [
        (_rest(), "'n1' (LIF)", "v_leak is not 0"),
        (line(nir.Linear(NORMAL), nir.IF(-np.ones(5), np.ones(5)), shape=(4,)), "'n1' (IF)", "r holds -1"),
        (line(nir.LI(*(np.full(4, v) for v in (1e-4, 1.0, 0.0))), shape=(4,)), "'n0' (LI)", "shorter than dt"),
        (_linear_cycle(), "(Linear)", "cycle without a spiking neuron"),
    ],
)
def test_refusals_name_node_and_reason(graph: Graph, where: str, reason: str) -> None:
    with pytest.raises(UnsupportedError) as error:
        quantize(graph)
    assert any(where in line and reason in line for line in str(error.value).splitlines())


def test_all_refusals_at_once() -> None:
    rest = nir.LI(*(np.full(5, v) for v in (5e-3, 1.0, 0.3)))
    with pytest.raises(UnsupportedError) as error:
        quantize(line(nir.Linear(NORMAL), nir.IF(-np.ones(5), np.ones(5)), nir.Linear(np.eye(5)), rest, shape=(4,)))
    assert [problem.where for problem in error.value.problems] == ["node 'n1' (IF)", "node 'n3' (LI)"]
    assert all(problem.rule == "node_can_be_quantised" for problem in error.value.problems)


def test_bad_arguments() -> None:
    graph = line(nir.Linear(NORMAL), shape=(4,))
    for bits in (0, 9, 2.5, True):
        with pytest.raises(InputError, match="not among 1..8"):
            quantize(graph, weight_bits=bits)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"shape \(3, 2, 5\), expected \[T, B, 4\]"):
        quantize(graph, data=np.ones((3, 2, 5)))
    with pytest.raises(InputError, match="8 is no array .* the bits by name: weight_bits=8"):
        quantize(graph, 8)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="array of shape .* is not among 1..8"):
        quantize(graph, weight_bits=np.ones((3, 2, 4)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="option 'input': 'floats' is not among 'data', 'integers'"):
        quantize(graph, input="floats")
    with pytest.raises(InputError, match="NaN"):
        quantize(graph, data=np.full((3, 2, 4), np.nan))
    with pytest.raises(InputError, match="the inputs are"):
        quantize(graph, data={"nose": np.ones((3, 2, 4))})
    with pytest.raises(GraphError):
        quantize(line(nir.Scale(np.full(4, np.nan)), shape=(4,)))
    for dt in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="is not a positive number of seconds"):
            quantize(graph, dt=dt)


def test_delays_are_held_against_the_step_that_was_given() -> None:
    graph = line(nir.Delay(np.full(1000, 200.0)), shape=(1000,))
    assert quantize(graph, dt=1.0).nodes["n0"].delay[0] == 200
    with pytest.raises(GraphError, match="200000 steps"):
        quantize(graph)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (nir.Linear(NORMAL), "weight holds .*, which is no integer"),
        (nir.Scale(np.full(4, 0.5)), "scale holds 0.5"),
        (MultiLevelLIF.one_hot((4,), 2, 2.0, 0.3), "decay holds 0.3, which is no multiple of 1/4096"),
        (MultiLevelLIF.one_hot((4,), 2, 0.3), "lane_threshold holds 0.3"),
        (MultiLevelLIF.one_hot((4,), 2, 2.0, v_init=2.0**23), "v_init holds 8388608, beyond the 24-bit state"),
        (nir.LI(*(np.full(4, v) for v in (5e-3, 1.0, 0.0))), "r·dt/tau is 0.2, not 1"),
        (
            nir.LIF(*(np.full(4, v) for v in (4e-3, 4.0, 1.0, 1.0))),
            "v_leak holds 1, not 0. Move it into threshold, reset and bias",
        ),
        (TemporalMix(np.eye(2) / 2), "weight holds 0.5"),
        (PhaseEncode((4,), 4, 2.0, 1.5), "scale holds 1.5"),
        (PhaseIF((4,), 4, 4, 2.0, 2.0, 2.0**23, 0.0), "v_threshold holds 8388608, beyond the 24-bit state"),
        (PhaseDecode((4,), 4, 2.0, 0.25), "v_init holds 0.25"),
    ],
)
@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_fixed_is_refused_by_name_on_every_runtime(node: nir.NIRNode, reason: str, runtime: str) -> None:
    if not nirbridge.runtimes()[runtime].usable:
        pytest.skip(f"{runtime} is not usable here")
    advice = "" if "Move it" in reason else ".*nirbridge quantize"
    with pytest.raises(UnsupportedError, match=rf"node 'n0' \({type(node).__name__}\): .*{reason}{advice}"):
        nirbridge.compile(line(node, shape=(4,)), runtime, precision="fixed")


def test_average_pool_loses_its_fraction_only_where_that_is_asked_for() -> None:
    """Stored integers alone do not make a graph with means run in integers; quantising makes the mean a sum."""
    two = np.array([2, 2])
    weight = np.array([-7, 7], dtype=np.int8).reshape(2, 1, 1, 1)
    mean = nir.AvgPool2d(two, two, 0 * two)
    graph = line(nir.Conv2d(None, weight, 1, 0, 1, 1, np.zeros(2, np.int32)), mean, shape=(1, 2, 2))
    x = np.array([1.0, 0.0, 0.0, 2.0]).reshape(1, 1, 1, 2, 2)
    for precision, expected in ((None, [-5.25, 5.25]), ("fixed", [-5, 5])):
        with nirbridge.compile(graph, precision=precision) as program:
            assert program.run(x).output.ravel().tolist() == expected
    integers = quantize(graph)
    with nirbridge.compile(integers) as program:
        assert program.plan.input_limit
        assert (program.run(x).output).ravel().tolist() == [-5.25, 5.25]


def test_order_of_nodes_is_kept() -> None:
    graph = NETWORKS["recurrent"](Maker(2))
    found = quantize(graph, data=frames(graph))
    assert [name for name in found.nodes if name in graph.nodes] == list(graph.nodes)


def test_a_chain_of_synapses_shares_the_loss_of_bits() -> None:
    """Four layers without neurons beside a direct edge: the finest scales would be 2^21 apart."""
    random = np.random.default_rng(7)
    layers = {name: nir.Affine(random.normal(size=(4, 4)), random.normal(size=4)) for name in "abcd"}
    graph = net(layers, "input a b c d output", "input output", shape=(4,))
    x = random.normal(size=(6, 5, 4))
    integers = quantize(graph, x)
    with nirbridge.compile(graph) as program:
        expected = program.run(x).output
    with nirbridge.compile(integers) as program:
        found = program.run(x).output
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_node_type_is_quantised_or_refused_by_name(case: Case) -> None:
    graph, x = case.graph(), data(case)
    try:
        integers = quantize(graph, x, dt=case.dt)
    except UnsupportedError as error:
        assert all(problem.where.startswith("node '") for problem in error.problems)
        assert {problem.rule for problem in error.problems} == {"node_can_be_quantised"}
        return
    found = []
    for runtime in ("reference", "norse"):
        with nirbridge.compile(integers, runtime, dt=case.dt, precision="fixed") as program:
            output = program.run(x).output
            found.append(output if isinstance(output, dict) else {"output": output})
    for name, values in found[0].items():
        assert (found[1][name] == values).all()


@pytest.mark.parametrize(
    ("field", "value", "spikes"),
    [
        ("v_threshold", np.uint64(2**64 - 1), 0),
        ("v_threshold", 5e-324, 24),
        ("r", 1e12, 24),
        ("r", 1e-20, 0),
        ("r", 3.4e38, None),
        ("r", 5e-324, None),
    ],
)
def test_extreme_numbers_are_scaled_or_refused(field: str, value: float, spikes: int | None) -> None:
    fields = {"r": np.ones(3), "v_threshold": np.ones(3), "v_reset": np.zeros(3), field: np.full(3, value)}
    graph = line(nir.Linear(np.array([[0.5, 1.0], [1.0, 2.0], [0.25, 1.0]])), nir.IF(**fields), shape=(2,))
    if spikes is None:
        with pytest.raises(UnsupportedError, match=r"(r holds 3.4e\+38|has a unit of)"):
            nirbridge.quantize(graph)
        return
    with nullcontext() if spikes else pytest.warns(GraphWarning, match="'n0' by 100%"):
        integers = nirbridge.quantize(graph)
    with nirbridge.compile(integers) as program:
        assert program.run(np.ones((8, 1, 2))).output.sum() == spikes
