"""Quantize behind an input: what it computes, on every runtime, and what is said about data that it changes."""

from __future__ import annotations

import warnings

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError, GraphWarning, InputError, UnsupportedError
from nirbridge.ir import EventInput, PhaseDecode, PhaseEncode, Quantize, build_graph
from nirbridge.runtime import make_plan
from tests.conformance.cases import Graph, line, net

USABLE = [name for name, state in nirbridge.runtimes().items() if state.usable]
WAYS = [(name, {"mapping": mapping}) for name in USABLE if name == "lava" for mapping in ("processes", "fused")]
WAYS += [(name, {}) for name in USABLE if name != "lava"]


def integers(node: Quantize, size: int) -> Graph:
    return line(node, nir.Linear(np.ones((1, size), np.int8)), nir.IF(np.ones(1), np.full(1, 7.0)), shape=(size,))


@pytest.mark.parametrize("precision", ["float", "fixed"])
@pytest.mark.parametrize(("runtime", "options"), WAYS)
def test_rounds_half_to_even_in_double_precision(runtime: str, options: dict[str, str], precision: str) -> None:
    """1.5 - 1e-12 is 1.5 in single precision, and would be rounded to 2 there."""
    x = np.array([0.5, 1.5, 2.5, -0.5, 1.5 - 1e-12, 0.1 + 0.2, 7.4, -9.0]).reshape(8, 1, 1)
    graph = line(Quantize((1,), 0.5, -8, 11), shape=(1,))
    expected = [1, 3, 5, -1, 3, 1, 11, -8]  # 0.3 / 0.5 is 0.6; 14.8 and -18 are cut
    with (
        nirbridge.compile(graph, runtime, precision=precision, **options) as program,
        pytest.warns(GraphWarning, match=r"node 'n0' \(Quantize\): 2 of 8 values \(25.00%\) lie beyond -8..11"),
    ):
        found = program.run(x, record=["input", "n0"])
    assert found.output.ravel().tolist() == found.records["n0"].ravel().tolist() == expected
    assert (found.records["input"] == x).all()
    half = line(Quantize((1,), 1.0), shape=(1,))
    with nirbridge.compile(half, runtime, precision=precision, **options) as program, warnings.catch_warnings():
        warnings.simplefilter("ignore", GraphWarning)
        assert program.run(x[:5]).output.ravel().tolist() == [0, 2, 2, 0, 1]


@pytest.mark.parametrize(("runtime", "options"), WAYS)
def test_only_the_node_makes_fixed_the_default(runtime: str, options: dict[str, str]) -> None:
    """40 ones times 1,000,000: 40,000,000 in floating point, the end of a 24-bit state in integers."""
    weight = np.array([[1_000_000]])
    plain = line(nir.Linear(weight), nir.I(np.array([1])), shape=(1,))
    quantised = line(Quantize((1,)), nir.Linear(weight), nir.I(np.array([1])), shape=(1,))
    x = np.ones((40, 1, 1))
    for graph, precision, last in (
        (plain, None, 40_000_000),
        (plain, "fixed", 2**23 - 1),
        (quantised, None, 2**23 - 1),
        (quantised, "float", 40_000_000),
    ):
        with nirbridge.compile(graph, runtime, precision=precision, **options) as program:
            assert program.run(x).output[-1].item() == last
    spikes = line(nir.Linear(weight), nir.IF(np.array([1]), np.array([10_000_000]), np.array([0])), shape=(1,))
    with nirbridge.compile(spikes, runtime, **options) as program:
        assert program.run(x).output.sum() == 3  # 11 steps of a million exceed ten, three times


@pytest.mark.parametrize(("runtime", "options"), WAYS)
def test_a_step_and_a_run_take_the_same_data(runtime: str, options: dict[str, str]) -> None:
    graph = integers(Quantize((2,), 0.25), 2)
    x = np.random.default_rng(0).uniform(0, 2, (12, 3, 2))
    current = np.rint(x * 4).sum(axis=2, keepdims=True)
    expected, v = [], np.zeros((3, 1))
    for now in current:
        v = v + now
        expected.append(v > 7)
        v = np.where(v > 7, 0, v)
    with nirbridge.compile(graph, runtime, **options) as program:
        assert (program.run(x).output == expected).all()
        program.reset()
        assert (np.stack([program.step(frame) for frame in x]) == expected).all()


def test_what_is_lost_is_said_once_a_run_with_its_share() -> None:
    graph = integers(Quantize((4,), 1, 0, 100), 4)
    x = np.tile(np.array([0.5, 1.0, 2.0, 101.0]), (5, 2, 1))
    with nirbridge.compile(graph) as program:
        with pytest.warns(GraphWarning) as caught:
            program.run(x)
        (warning,) = caught
        assert str(warning.message) == (
            "node 'n0' (Quantize): 10 of 40 values (25.00%) are no whole numbers and were rounded, at a step of 1; "
            "10 of 40 values (25.00%) lie beyond 0..100 steps and were cut to the end of it. "
            "Quantize the graph with such data (--data) for a step and a range that fit."
        )
        with pytest.warns(GraphWarning):
            program.run(x)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            program.run(np.rint(x).clip(0, 100))
            program.run(np.ones((2, 1, 4), dtype=bool))


def test_a_stream_is_told_once_and_counted() -> None:
    frame = np.full((1, 4), 0.75)
    with nirbridge.compile(integers(Quantize((4,), 1), 4)) as program:
        with pytest.warns(GraphWarning, match="4 of 4 values"):
            program.step(frame)
        for _ in range(4):
            program.reset()
            program.step(frame)  # a second warning would be an error
        assert program.loss_lines() == [
            "node 'n0' (Quantize): 20 of 20 values (100.00%) are no whole numbers and were rounded, at a step of 1."
        ]


def test_refused_data_are_not_counted() -> None:
    with nirbridge.compile(integers(Quantize((4,), 1), 4)) as program:
        with pytest.warns(GraphWarning, match="4 of 4 values"):
            program.step(np.full((1, 4), 0.75))
        counted = program.loss_lines()
        for refused in (program.step, lambda frame: program.advance(frame[None])):
            with pytest.raises(InputError, match="batch of 2"):
                refused(np.full((2, 4), 0.75))
        assert program.loss_lines() == counted


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_what_a_phase_code_cuts_is_said(runtime: str, quantised: bool) -> None:
    """Of data as they come, and of their two signs; the largest value of the calibration is none of it."""
    alone = PhaseEncode((4,), 6, 2.0, np.array(5.0)), PhaseDecode((4,), 6)
    graph = line(*((Quantize((4,), 1), *alone) if quantised else alone), shape=(4,))
    name = "n1" if quantised else "n0"
    x = np.tile(np.array([-1.0, 0.0, 5.0, 7.0]), (5, 2, 1))
    with nirbridge.compile(graph, runtime) as program:
        program.run(np.abs(x).clip(0, 5))
        with pytest.warns(GraphWarning) as caught:
            program.run(x)
        (warning,) = caught
        said = f"node '{name}' (PhaseEncode): 20 of 40 values (50.00%) lie beyond 0..5, which the code spans,"
        assert str(warning.message) == f"{said} and were cut to the end of it. Convert with such data, or scale them."
        assert program.loss_lines() == [f"{said} and were cut to the end of it."]
    nodes = {
        "input": nir.Input(np.array([4])),
        "plus": PhaseEncode((4,), 6, 2.0, np.array(5.0)),
        "negated": nir.Scale(np.array(-1.0)),
        "minus": PhaseEncode((4,), 6, 2.0, np.array(0.5)),
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "plus"), ("input", "negated"), ("negated", "minus"), ("plus", "output"), ("minus", "output")]
    with nirbridge.compile(build_graph(nodes, edges), runtime) as program:
        with pytest.warns(GraphWarning):
            program.run(x)
        assert {name: loss.cut for name, loss in program.losses.items()} == {"plus": 10, "minus": 10}
        program.run(x.clip(-0.5, 5))
        for kind in (bool, np.uint8, np.int8):
            program.run(np.abs(x).clip(0, 5).astype(kind))


def test_parts_of_a_batch_are_told_together() -> None:
    graph = integers(Quantize((1,), 1), 1)
    x = np.full((3, 70, 1), 0.25)
    with nirbridge.compile(graph) as program, pytest.warns(GraphWarning, match="210 of 210 values") as caught:
        sizes = [result.output.shape[1] for _, result in program.run_in_parts(x, 32)]
    assert sizes == [32, 32, 6]
    assert len(caught) == 1


@pytest.mark.parametrize(("record", "sizes"), [((), [7]), (("wide",), [4, 3]), (("wide", "li:v"), [2, 2, 2, 1])])
def test_a_part_is_as_large_as_its_records_allow(
    record: tuple[str, ...], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of 8 steps of 16 values in double precision are 1 KiB a sample and node."""
    monkeypatch.setattr("nirbridge.runtime.program._RECORDED", 4096)
    graph = net({"wide": nir.Scale(np.ones(16)), "li": nir.I(np.ones(16))}, "input wide li output", shape=(16,))
    with nirbridge.compile(graph) as program:
        assert [part["input"].shape[1] for part, _ in program.run_in_parts(np.ones((8, 7, 16)), 64, record)] == sizes


def test_an_input_may_be_read_beside_the_node() -> None:
    """Then its data are the graph's own: any number in floating point, integers alone in "fixed"."""
    nodes = {"q": Quantize((2,), 0.5), "fc": nir.Linear(np.array([[1, 0], [0, 1]]))}
    graph = net(nodes, "input q output", "input fc output", shape=(2,))
    x = np.array([0.5, 1.25]).reshape(1, 1, 2)
    with nirbridge.compile(graph, precision="float") as program:
        assert program.run(x).output.ravel().tolist() == [1.5, 3.25]  # 1 + 0.5 and 2 + 1.25: 2.5 steps are even 2
    with nirbridge.compile(graph) as program:
        assert program.run(2 * np.rint(x)).output.ravel().tolist() == [0, 6]
        with pytest.raises(InputError, match=r"node 'input' \(Input\): holds 0.5, and precision 'fixed' takes"):
            program.run(x)


@pytest.mark.parametrize(("runtime", "options"), WAYS)
def test_a_scale_before_an_output_gives_its_unit(runtime: str, options: dict[str, str]) -> None:
    """The runtime gives integers; what they stand for is no business of it, in a run, a step and a record."""
    unit = np.array([0.1, 2.0**-9])
    nodes = {"q": Quantize((2,), 0.5), "fc": nir.Linear(np.array([[3, 1], [-2, 5]])), "unit": nir.Scale(unit)}
    graph = net(nodes, "input q fc unit output", shape=(2,))
    x = np.random.default_rng(3).integers(-4, 5, (6, 3, 2)) / 2
    integers = 2 * x @ nodes["fc"].weight.T
    for precision in ("fixed", "float"):
        with nirbridge.compile(graph, runtime, precision=precision, **options) as program:
            found = program.run(x, record=["fc", "unit", "output"])
            assert (found.records["fc"] == integers).all()
            for values in (found.output, found.records["unit"], found.records["output"]):
                np.testing.assert_array_equal(values, integers * unit)
            assert not np.may_share_memory(found.output, found.records["unit"])
            program.reset()
            np.testing.assert_array_equal(program.step(x[0]), integers[0] * unit)
            assert "unit" not in program.lowered.names


def test_a_scale_that_others_read_too_must_be_of_integers() -> None:
    """It cannot be left to the host: a node of the graph goes on with what it sends."""
    nodes = {"q": Quantize((2,)), "unit": nir.Scale(np.array([0.5, 0.5])), "act": nir.IF(np.ones(2), np.full(2, 3.0))}
    for paths in (("input q unit output", "unit act output"), ("input q unit output", "q output")):
        with pytest.raises(UnsupportedError, match=r"node 'unit' \(Scale\): scale holds 0.5, which is no integer"):
            nirbridge.compile(net(nodes if "act" in str(paths) else dict(list(nodes.items())[:2]), *paths, shape=(2,)))
    plain = net({"fc": nir.Linear(np.eye(2)), "unit": nodes["unit"]}, "input fc unit output", shape=(2,))
    with pytest.raises(UnsupportedError, match="no Quantize|scale holds 0.5"):
        nirbridge.compile(plain, precision="fixed")


def test_inside_a_graph_it_works_in_float_and_is_refused_in_fixed() -> None:
    graph = line(nir.Linear(np.array([[1, 2]])), Quantize((1,), 2.0, 0, 3), shape=(2,))
    x = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, -4.0], [9.0, 9.0]]).reshape(4, 1, 2)
    for runtime, options in WAYS:
        with nirbridge.compile(graph, runtime, **options) as program:
            assert program.run(x).output.ravel().tolist() == [2, 2, 0, 3]  # 2.5 and 1.5, to even
            assert program.plan.input_limit is None
    where = r"node 'n1' \(Quantize\): stands behind node 'n0' \(Linear\)"
    with pytest.raises(UnsupportedError, match=where + ".*right behind an Input"):
        nirbridge.compile(graph, precision="fixed")
    assert nirbridge.check(graph) == []
    assert [problem.rule for problem in nirbridge.check(graph, precision="fixed")] == ["node_runs_in_fixed_point"]


@pytest.mark.parametrize("between", [nir.Flatten(None, 0, -1), nir.Scale(np.ones(2)), nir.Delay(np.zeros(2))])
def test_integers_behind_a_quantize_that_is_not_behind_an_input_are_told(between: nir.NIRNode) -> None:
    """They ran in "float", where nothing saturates or is cut, without a word."""
    layers = Quantize((2,), 0.5), nir.Linear(np.array([[1, 2]])), nir.Scale(np.array([0.5]))
    with pytest.warns(GraphWarning, match=r"'n1' \(Quantize\): stands behind node 'n0' .* runs in 'float'"):
        nirbridge.compile(line(between, *layers, shape=(2,))).close()
    for silent in ({"precision": "float"}, {}):
        graph = line(between, *layers, shape=(2,)) if silent else line(*layers, shape=(2,))
        nirbridge.compile(graph, **silent).close()


def test_a_graph_that_says_fixed_and_cannot_is_refused_with_both_ways_out() -> None:
    graph = line(Quantize((2,)), nir.Linear(np.array([[0.5, 1.0]])), shape=(2,))
    way_out = "weight holds 0.5, .* Run 'nirbridge quantize' first, or take precision 'float'"
    with pytest.raises(UnsupportedError, match=way_out):
        nirbridge.compile(graph)
    assert [problem.where for problem in nirbridge.check(graph)] == ["node 'n1' (Linear)"]
    assert nirbridge.check(graph, precision="float") == []
    with nirbridge.compile(graph, precision="float") as program:
        assert program.run(np.array([[[1.0, 3.0]]])).output.item() == 3.5
    with nirbridge.compile(nirbridge.quantize(graph)) as program:
        assert program.run(np.array([[[1.0, 3.0]]])).output.item() == 3.5


def test_an_event_input_still_says_how_long_a_step_is() -> None:
    nodes = {
        "input": EventInput((1, 2, 2), (2, 2), 2000),
        "q": Quantize((1, 2, 2)),
        "output": nir.Output(np.array([1, 2, 2])),
    }
    plan = make_plan(build_graph(nodes, [("input", "q"), ("q", "output")]))
    assert plan.dt == 2e-3
    assert plan.inputs == ("input",)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"step": 0.0}, "step holds 0, not a number above 0"),
        ({"step": np.nan}, "step holds nan"),
        ({"step": np.ones(3)}, "step of shape"),
        ({"low": -1.5}, "low holds -1.5, which is no whole number"),
        ({"high": np.inf}, "high holds inf"),
        ({"low": 4, "high": 3}, "low 4 lies above high 3"),
        ({"shape": (0,)}, "shape"),
    ],
)
def test_fields_are_checked(fields: dict[str, object], found: str) -> None:
    with pytest.raises(GraphError, match=found):
        Quantize(**{"shape": (2,), **fields})
