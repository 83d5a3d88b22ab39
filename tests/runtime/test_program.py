"""The protocol: plans, validation of data, options, discovery."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError, GraphWarning, InputError, RuntimeUnavailableError, UnsupportedError
from nirbridge.ir import (
    Aggregate,
    EventInput,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    SparseMatrix,
    TemporalMix,
)
from nirbridge.runtime import LoweringTable, make_plan
from tests.ir.graphs import chain

THREE = (3,)


def _counter() -> nir.NIRGraph:
    return chain(nir.I(np.ones(3)), shape=THREE, out=THREE)


def test_state_carries_over_and_resets() -> None:
    x = np.arange(12.0).reshape(4, 1, 3)
    with nirbridge.compile(_counter()) as program:
        whole = program.run(x).output
        assert (whole == np.cumsum(x, axis=0)).all()
        assert (program.run(x).output == whole).all()
        program.reset()
        parts = [program.advance(x[:1]).output, program.advance(x[1:3]).output, program.step(x[3])[None]]
        assert (np.concatenate(parts) == whole).all()
        program.reset()
        assert (program.step(x[0]) == x[0]).all()


def test_what_changes_in_the_graph_after_compiling_is_nothing_to_the_program() -> None:
    """Runtimes convert parameters at different times; with the graph's own arrays they gave different answers."""
    sparse = SparseMatrix((3, 3), [0, 1, 2], [0, 1, 2], np.ones(3))
    counts = nir.IF(np.ones(3, int), np.full(3, 2))
    graph = chain(nir.Affine(np.eye(3), np.ones(3)), Aggregate(sparse), counts, shape=THREE, out=THREE)
    x = np.ones((4, 1, 3))
    with nirbridge.compile(graph) as program:
        for array in (graph.nodes["n0"].weight, graph.nodes["n0"].bias, sparse.value, counts.r, counts.v_threshold):
            array *= 2
        sparse.row[:] = 0
        for one in (program, program.copy()):
            assert one.run(x).output.ravel().tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_batch_may_change_only_with_fresh_states() -> None:
    with nirbridge.compile(_counter()) as program:
        program.step(np.ones((2, 3)))
        with pytest.raises(InputError, match="batch of 1, but the states are those of a batch of 2"):
            program.step(np.ones((1, 3)))
        program.reset()
        assert program.step(np.ones((1, 3))).shape == (1, 3)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.ones((4, 3)), r"shape \(4, 3\), expected \[T, B, 3\]"),
        (np.ones((4, 1, 2)), r"expected \[T, B, 3\]"),
        (np.ones((0, 1, 3)), "no step or no sample"),
        (np.ones((4, 1, 3), complex), "dtype complex128"),
        (np.array([["a"]]), "expected real numbers"),
        (np.full((4, 1, 3), np.nan), "NaN or infinity"),
        (np.ma.masked_greater(np.arange(12.0).reshape(4, 1, 3), 9), "2 of 12 values are masked"),
        ([[[1, 2, 3]], [[1, 2]]], "is no array"),
        ({"nose": np.ones((4, 1, 3))}, r"the inputs are \['input'\]"),
    ],
)
def test_bad_data_is_one_line(x: object, found: str) -> None:
    with nirbridge.compile(_counter()) as program, pytest.raises(InputError, match=found) as error:
        program.run(x)
    assert "\n" not in str(error.value)


def test_tensors_and_lists_are_data() -> None:
    torch = pytest.importorskip("torch")
    x = np.arange(12, dtype=np.float32).reshape(4, 1, 3)
    with nirbridge.compile(_counter()) as program:
        expected = program.run(x).output
        for data in (
            x.tolist(),
            torch.tensor(x),
            torch.tensor(x, requires_grad=True),
            torch.tensor(x).bfloat16(),
            np.ma.array(x),
        ):
            np.testing.assert_array_equal(program.run(data).output, expected)


def test_a_mask_is_lost_nowhere() -> None:
    masked, graph = np.ma.masked_equal(np.ones((4, 2, 3)) + np.eye(2, 3), 2.0), _counter()
    for use in (nirbridge.compare, nirbridge.evaluate, nirbridge.quantize, nirbridge.plot):
        with pytest.raises(InputError, match="8 of 24 values are masked. Say what they stand for"):
            use(graph, masked)


@pytest.mark.parametrize("dt", ["1ms", True, -1.0, np.inf, np.ones(2), 1j])
def test_a_step_takes_seconds(dt: object) -> None:
    with pytest.raises(InputError, match="option 'dt': .* is not a positive number of seconds"):
        nirbridge.compile(_counter(), dt=dt)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "slices"])
def test_one_bad_number_anywhere_is_found_and_huge_ones_are_not_bad(dtype: type, order: str) -> None:
    """The sum of squares of huge numbers is infinite."""
    largest = float(np.finfo(dtype).max)
    whole = np.full((5, 4, 3), -largest, dtype)
    whole = np.asfortranarray(whole) if order == "F" else whole
    x = whole[:4, ::2] if order == "slices" else whole
    with nirbridge.compile(chain(nir.Scale(np.ones(3)), shape=THREE, out=THREE)) as program:
        program.run(x)
        for value, bad in ((np.nan, True), (np.inf, True), (-np.inf, True), (0, False)):
            for place in ((0, 0, 0), (1, 1, 2), (3, 1, 2)):
                for rest in (-largest, 0.5):
                    x[...] = rest
                    x[place] = value
                    if bad:
                        with pytest.raises(InputError, match="holds NaN or infinity"):
                            program.run(x)
                    else:
                        program.run(x)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (np.ones(3), r"shape \(3,\), expected \[B, 3\]. Add or move the batch axis"),
        (np.ones((4, 1, 3)), r"shape \(4, 1, 3\), expected \[B, 3\]"),
        (np.ones((1, 2)), r"shape \(1, 2\), expected \[B, 3\]"),
        (np.float64(1), r"shape \(\), expected \[B, 3\]"),
        (np.ones((0, 3)), r"shape \(0, 3\) holds no step or no sample"),
        ({"input": np.ones(3)}, r"shape \(3,\), expected \[B, 3\]"),
    ],
)
def test_a_bad_frame_is_named_as_it_was_given(frame: object, found: str) -> None:
    """Not with the axis of time that a step adds."""
    with nirbridge.compile(_counter()) as program, pytest.raises(InputError, match=found):
        program.step(frame)


@pytest.mark.parametrize("graph", ["model.nir", None, nir.I(np.ones(3))])
def test_what_is_no_graph_is_said(graph: object) -> None:
    for use in (nirbridge.compile, nirbridge.check, nirbridge.expand):
        with pytest.raises(GraphError, match="graph: .* is no NIRGraph. Read a file by nirbridge.read"):
            use(graph)


def test_unknown_record_is_named() -> None:
    with nirbridge.compile(_counter()) as program, pytest.raises(InputError, match="'n7'.*no node has this name"):
        program.run(np.ones((1, 1, 3)), record=["n7"])


@pytest.mark.parametrize("record", [None, 3, [3], ["n0", None]])
def test_what_is_no_name_is_no_record(record: Any) -> None:
    with nirbridge.compile(_counter()) as program, pytest.raises(InputError, match="'record': .* is no list of names"):
        program.run(np.ones((1, 1, 3)), record=record)


def test_closed_program_refuses() -> None:
    program = nirbridge.compile(_counter())
    program.close()
    program.close()
    with pytest.raises(UnsupportedError, match="closed"):
        program.run(np.ones((1, 1, 3)))


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="option 'colour' is unknown"):
        nirbridge.compile(_counter(), colour="red")
    with pytest.raises(UnsupportedError, match="precision 'double'"):
        nirbridge.compile(_counter(), precision="double")
    with pytest.raises(InputError, match="'dt'"):
        nirbridge.compile(_counter(), dt=-1)
    with pytest.raises(RuntimeUnavailableError, match="'quantum'.*installed: reference"):
        nirbridge.compile(_counter(), runtime="quantum")


def test_every_problem_stands_in_the_error() -> None:
    graph = chain(nir.Scale(np.full(3, np.nan)), nir.Linear(np.ones((2, 9))), shape=THREE, out=(2,))
    with pytest.raises(GraphError) as error:
        nirbridge.compile(graph)
    assert [problem.rule for problem in error.value.problems] == ["parameters_are_finite", "shapes_agree"]


def test_windows_set_the_block() -> None:
    graph = chain(TemporalMix(np.ones((4, 2))), TemporalMix(np.ones((3, 6))), shape=THREE, out=THREE)
    plan = make_plan(graph)
    assert plan.block == 6  # the first node needs pairs, the second 6 of its 2 per step
    assert plan["n1"].rate == Fraction(1)
    assert not plan.stepwise
    with nirbridge.compile(graph) as program:
        with pytest.raises(InputError, match="4 steps are no multiple of the 6"):
            program.run(np.ones((4, 1, 3)))
        with pytest.raises(UnsupportedError, match="windows of 6"):
            program.step(np.ones((1, 3)))
        assert program.run(np.ones((6, 1, 3))).output.shape == (6, 1, 3)


def test_phase_networks_multiply_time() -> None:
    graph = chain(
        PhaseEncode(THREE, 8), PhaseIF(THREE, 8, 8, 2.0, 2.0, 1.0, 0.0), PhaseDecode(THREE, 8), shape=THREE, out=THREE
    )
    plan = make_plan(graph)
    assert (plan.block, plan["output"].rate) == (1, Fraction(8))
    with nirbridge.compile(graph) as program:
        assert program.run(np.ones((2, 5, 3))).output.shape == (16, 5, 3)


@pytest.mark.parametrize(("window", "seconds"), [(2500, 2.5e-3), (100, 1e-4), (1100, 1.1e-3)])
def test_time_step_comes_from_call_then_event_input(window: int, seconds: float) -> None:
    """The same number from both, whose last bit also tells states and graphs apart."""
    nodes = {"e": EventInput((1, 1, 3), (3, 1), window), "output": nir.Output(np.array([1, 1, 3]))}
    graph = nir.NIRGraph(nodes, [("e", "output")], type_check=False)
    assert make_plan(graph).dt == seconds
    assert make_plan(graph, 1e-4).dt == pytest.approx(1e-4)
    assert make_plan(_counter()).dt == pytest.approx(1e-3)


def test_several_inputs_and_outputs() -> None:
    nodes = {
        "a": nir.Input(np.array([3])),
        "b": nir.Input(np.array([3])),
        "sum": nir.Scale(np.full(3, 2.0)),
        "one": nir.Output(np.array([3])),
        "two": nir.Output(np.array([3])),
    }
    edges = [("a", "sum"), ("b", "sum"), ("sum", "one"), ("b", "two")]
    with nirbridge.compile(nir.NIRGraph(nodes, edges, type_check=False)) as program:
        a, b = np.ones((2, 1, 3)), np.full((2, 1, 3), 5.0)
        result = program.run({"a": a, "b": b}).output
        assert (result["one"] == 12).all()
        assert (result["two"] == 5).all()
        with pytest.raises(InputError, match="disagree"):
            program.run({"a": a, "b": b[:1]})


@pytest.mark.parametrize("runtime", ["reference", "lava"])
def test_output_beyond_the_range_of_numbers_is_said(runtime: str) -> None:
    nodes = {"input": nir.Input(np.array([2])), "w": nir.Linear(np.full((1, 2), 1e308)), "out": nir.Output(None)}
    graph = nirbridge.ir.build_graph(nodes, [("input", "w"), ("w", "out")])
    assert "magnitudes_leave_room" in {problem.rule for problem in nirbridge.check(graph)}
    with (
        nirbridge.compile(graph, runtime) as program,
        warnings.catch_warnings(record=True) as caught,
        np.errstate(over="ignore"),
    ):
        warnings.simplefilter("always")
        assert np.isinf(program.run(np.full((1, 1, 2), 2.0)).output).all()
    assert any("'out' (Output): holds infinity or NaN" in str(warning.message) for warning in caught)


def test_spikes_that_are_no_numbers_are_said() -> None:
    """A membrane beyond the range makes what should be a level NaN."""
    nodes = (nir.Scale(np.full(3, 1e308)), MultiLevelLIF.one_hot(THREE, 3, threshold=2.0, decay=0.5))
    x = np.array([1e10, -1e10])[:, None, None] * np.ones((1, 1, 3))
    with (
        nirbridge.compile(chain(*nodes, shape=THREE, out=THREE)) as program,
        np.errstate(all="ignore"),
        pytest.warns(GraphWarning, match="holds infinity or NaN"),
    ):
        assert np.isnan(program.run(x).output[1]).all()


@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_a_membrane_at_minus_infinity_sends_nothing(runtime: str) -> None:
    """The reference sent NaN for it, and norse and Lava 0."""
    graph = chain(MultiLevelLIF.one_hot(THREE, 2, decay=2.0), shape=THREE, out=THREE)
    with nirbridge.compile(graph, runtime) as program, np.errstate(over="ignore"):
        assert not program.run(np.full((1030, 1, 3), -1.0)).output.any()


@pytest.mark.parametrize("delay", [1e30, 3.4e38])
def test_a_delay_that_no_memory_holds_is_refused(delay: float) -> None:
    nodes = {"input": nir.Input(np.array([2])), "d": nir.Delay(np.full(2, delay)), "out": nir.Output(None)}
    graph = nirbridge.ir.build_graph(nodes, [("input", "d"), ("d", "out")])
    with pytest.raises(GraphError, match="steps of 0.001 s for 2 neurons; at most"):
        nirbridge.compile(graph)


def test_lowering_is_by_exact_type() -> None:
    table: LoweringTable = LoweringTable("test")
    table.register(nir.IF)(lambda: None)

    class Special(nir.IF):
        pass

    with pytest.raises(UnsupportedError, match="Special"):
        table[Special]
    with pytest.raises(KeyError, match="twice"):
        table.register(nir.IF)(lambda: None)


def test_runtimes_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        name, summary, precisions, options, supported = "gone", "", ("float",), frozenset(), frozenset()

        def availability(self) -> nirbridge.runtime.Availability:
            return nirbridge.runtime.Availability("", "the library is missing", "pip install it")

        def check(self, plan: object) -> tuple[()]:
            return ()

        def compile(self, plan: object, precision: str, options: object) -> None:
            raise AssertionError

    class Entry:
        name = "gone"

        @staticmethod
        def load() -> Gone:
            return Gone()

    monkeypatch.setattr("nirbridge.runtime.discovery.entry_points", lambda group: [Entry])
    assert not nirbridge.runtimes()["gone"].usable
    with pytest.raises(RuntimeUnavailableError, match=r"'gone': the library is missing\. pip install it\."):
        nirbridge.compile(chain(MultiLevelLIF.one_hot(THREE, 2), shape=THREE, out=THREE), runtime="gone")
