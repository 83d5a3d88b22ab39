"""Every warning rule finds what it is for, says nothing about graphs that are fine, and stops no run."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.checking import WARNING_RULES
from nirbridge.checking.times import TIME_WARNINGS
from nirbridge.cli import main
from nirbridge.errors import GraphWarning
from nirbridge.ir import EventInput, MultiLevelLIF, build_graph
from tests.ir.graphs import chain

ONE = np.ones(3)


def _lif(**changes: object) -> nir.LIF:
    return nir.LIF(**{"tau": ONE * 0.02, "r": ONE, "v_leak": ONE * 0, "v_threshold": ONE, **changes})


def _behind_spikes(*nodes: nir.NIRNode, out: tuple[int, ...] = (3,)) -> nir.NIRGraph:
    """Spikes of 0 and 1 → the nodes, so that bounds are known."""
    return chain(nir.Threshold(ONE), *nodes, shape=(3,), out=out)


def _events(**changes: object) -> nir.NIRGraph:
    nodes = {
        "events": EventInput(**{"shape": (2, 3, 4), "sensor_size": (4, 3), "window": 1000, **changes}),
        "output": nir.Output(np.array([2, 3, 4])),
    }
    return build_graph(nodes, [("events", "output")])


def _alone() -> nir.NIRGraph:
    """A neuron that drives itself by a bias, beside what data reach."""
    nodes = {"input": nir.Input(np.array([3])), "lif": _lif(v_leak=ONE), "output": nir.Output(np.array([3]))}
    edges = [("lif", "lif"), ("lif", "output"), ("input", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def _entered_twice(*first: tuple[str, str]) -> nir.NIRGraph:
    """Two neurons that drive each other, and data for both: the edges that stand ``first`` decide."""
    nodes = {"input": nir.Input(np.array([3])), "a": _lif(), "b": _lif(), "output": nir.Output(np.array([3]))}
    pairs = [("input", "a"), ("input", "b"), ("a", "b"), ("b", "a"), ("b", "output")]
    return build_graph(nodes, list(dict.fromkeys([*first, *pairs])))


def _two_windows() -> nir.NIRGraph:
    inputs = {name: EventInput((1, 1, 3), (3, 1), window) for name, window in (("a", 10_000), ("b", 1000))}
    nodes = {**inputs, "flat": nir.Flatten(None, 0, -1), "output": nir.Output(None)}
    return build_graph(nodes, [("a", "flat"), ("b", "flat"), ("flat", "output")])


CASES = {
    "event_inputs_have_one_window": _two_windows(),
    "cycles_are_fed": _alone(),
    "cycles_close_at_one_edge": _entered_twice(),
    "stated_shapes_match": chain(nir.Scale(ONE), shape=(3,), out=(1, 1, 3)),
    "magnitudes_leave_room": chain(nir.Scale(ONE * 3.3e38), shape=(3,), out=(3,)),
    "times_look_like_seconds": chain(_lif(tau=np.array([0.02, 20, 0.02])), shape=(3,), out=(3,)),
    "euler_steps_are_stable": chain(_lif(tau=np.array([0.02, 0.0004, 0.02])), shape=(3,), out=(3,)),
    "time_constants_outlast_steps": chain(_lif(tau=np.array([0.02, 0.002, 0.02])), shape=(3,), out=(3,)),
    "delays_are_whole_steps": chain(nir.Delay(np.array([0, 0.0025, 0])), shape=(3,), out=(3,)),
    "delays_last_a_step": chain(nir.Delay(np.array([0, 0.0003, 0])), shape=(3,), out=(3,)),
    "resistances_count_steps": chain(nir.IF(ONE * 1e4, ONE), shape=(3,), out=(3,)),
    "resets_lie_below_thresholds": chain(_lif(v_reset=ONE * 2), shape=(3,), out=(3,)),
    "inputs_count": chain(nir.Linear(np.zeros((3, 3))), shape=(3,), out=(3,)),
    "parameters_are_used": chain(MultiLevelLIF.one_hot((3,), 2, v_reset=0.5), shape=(3,), out=(3,)),
    "thresholds_can_be_reached": _behind_spikes(nir.Linear(np.eye(3)), _lif(v_threshold=np.array([0.5, 1.0, 2.0]))),
}


def test_every_rule_has_a_case() -> None:
    assert {rule.__name__ for rule in (*WARNING_RULES, *TIME_WARNINGS)} == set(CASES)


@pytest.mark.parametrize("rule", CASES)
def test_rule_finds_its_case_alone(rule: str) -> None:
    (problem,) = nirbridge.check(CASES[rule])
    assert (problem.rule, problem.severity) == (rule, "warning")
    assert problem.to_dict()["severity"] == "warning"


@pytest.mark.filterwarnings("ignore::nirbridge.errors.GraphWarning")
@pytest.mark.parametrize("rule", CASES)
def test_warnings_stop_nothing(rule: str) -> None:
    with nirbridge.compile(CASES[rule]) as program:
        x = {name: np.ones((2, 1, *program.plan[name].output_shape)) for name in program.plan.inputs}
        assert program.run(x).output.shape == (2, 1, 3)


def test_the_edge_that_closes_a_cycle_by_order_alone_is_named_by_check_and_compile() -> None:
    """Otherwise the same graph with its edges in another order sent other spikes, and nobody knew."""
    for graph, source, target in ((_entered_twice(), "b", "a"), (_entered_twice(("input", "b")), "a", "b")):
        said = f"node '{target}' (LIF): the edge from '{source}' closes its cycle by the order of edges alone"
        assert str(nirbridge.check(graph)[0]).startswith(said)
        with pytest.warns(GraphWarning, match=re.escape(said)):
            nirbridge.compile(graph)


def test_a_large_resistance_before_a_large_threshold_is_meant() -> None:
    assert nirbridge.check(chain(nir.IF(ONE * 5000, ONE * 5000), shape=(3,), out=(3,))) == []


def test_a_tau_of_twenty_is_named() -> None:
    (problem,) = nirbridge.check(CASES["times_look_like_seconds"])
    assert str(problem) == (
        "node 'n0' (LIF): tau is 20 s; is it meant as 20 ms, or as steps? NIR counts in seconds: 20 ms is 0.02."
    )


def test_compile_says_which_shape_it_takes() -> None:
    with pytest.warns(GraphWarning, match=r"declares shape \(1, 1, 3\), while \(3,\) arrives"):
        nirbridge.compile(CASES["stated_shapes_match"]).close()


def test_other_wrong_output_shapes_stay_errors() -> None:
    (problem,) = nirbridge.check(chain(nir.Scale(ONE), shape=(3,), out=(4,)))
    assert (problem.rule, problem.severity) == ("shapes_agree", "error")


REACH = {
    "two of three": (_lif(v_threshold=np.array([0.5, 1.0, 2.0])), 2),  # R i settles at 1, and 1 > 1 is false
    "leak helps": (_lif(v_leak=ONE, v_threshold=ONE * 1.5), 0),
    "current": (nir.CubaLIF(ONE * 0.01, ONE * 0.01, ONE * 2, ONE * 0, ONE * 3, w_in=ONE * 2), 0),
    "too small a current": (nir.CubaLIF(ONE * 0.01, ONE * 0.01, ONE * 2, ONE * 0, ONE * 4, w_in=ONE * 2), 3),
    "integrator": (nir.IF(ONE, ONE * 100), 0),
    "integrator, wrong sign": (nir.IF(-ONE, ONE), 3),
    "threshold": (nir.Threshold(ONE), 3),
    "multi-level": (MultiLevelLIF.one_hot((3,), 2, np.array([1.9, 2.0, 2.1]), 0.5, boundary=">="), 1),
    "multi-level, start": (MultiLevelLIF.one_hot((3,), 1, 5.0, 0.5, v_init=12.0), 0),
}


@pytest.mark.parametrize("name", REACH)
def test_unreachable_neurons_are_counted(name: str) -> None:
    node, lost = REACH[name]
    problems = nirbridge.check(_behind_spikes(nir.Linear(np.eye(3)), node))
    if not lost:
        assert problems == []
    else:
        (problem,) = problems
        assert problem.found.startswith(f"{lost} of 3 neurons cannot reach their threshold")


@pytest.mark.parametrize("name", REACH)
def test_no_neuron_that_fires_is_called_unreachable(name: str) -> None:
    """Random input and weights of ones: whoever is called unreachable stays silent."""
    node, lost = REACH[name]
    graph = _behind_spikes(nir.Linear(np.eye(3)), node)
    with nirbridge.compile(graph) as program:
        fired = program.run(np.full((400, 1, 3), 2.0)).output.any(axis=(0, 1))
    assert int((~fired).sum()) >= lost
    if lost == 0:
        assert fired.all()


def test_bounds_go_through_convolutions_and_flatten() -> None:
    weight = np.array([[[[1.0, 1.0], [1.0, -1.0]]], [[[0.25, 0.25], [0.25, 0.0]]]])
    conv = nir.Conv2d(None, weight, 1, 0, 1, 1, np.array([0.5, 0.0]))
    nodes = [nir.Threshold(np.array(1.0)), conv, nir.Flatten(None, 0, -1)]
    for threshold, lost in ((3.4, 0), (3.5, 4), (0.7, 0), (0.75, 4)):
        levels = np.repeat([3.0, 0.5], 4) if threshold < 0 else np.full(8, threshold)
        (*_, found) = [
            *nirbridge.check(chain(*nodes, nir.Threshold(levels), shape=(1, 3, 3), out=(8,))),
            None,
        ][:1]
        expected = (4 if threshold >= 0.75 else 0) + (4 if threshold >= 3.5 else 0)
        assert (found is None) == (expected == 0)
        assert found is None or found.found.startswith(f"{expected} of 8"), lost


def test_unused_fields_of_event_inputs() -> None:
    assert [p.found.split(" is ")[0] for p in nirbridge.check(_events(coding="count", lanes=3))] == ["lanes"]
    assert [p.found.split(" is ")[0] for p in nirbridge.check(_events(coding="binary", subframes=4))] == ["subframes"]
    assert nirbridge.check(_events(coding="one-hot", lanes=3, subframes=4)) == []


def test_shape_errors_show_the_derivation() -> None:
    graph = chain(nir.Linear(np.ones((5, 3))), nir.Scale(np.ones(5)), nir.Linear(np.ones((2, 4))), shape=(3,), out=(2,))
    (problem, *_) = nirbridge.check(graph)
    assert "Derived: 'input' (3,) -> 'n0' (5,) -> 'n1' (5,)" in str(problem)


def test_exit_codes_and_the_version(tmp_path: Path) -> None:
    path = tmp_path / "odd.nir"
    nirbridge.write(path, CASES["times_look_like_seconds"])
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 0
    assert result.stdout.startswith("warning: node 'n0' (LIF): tau is 20 s")
    assert CliRunner().invoke(main, ["check", "--strict", str(path)]).exit_code == 1
    nirbridge.write(path, CASES["parameters_are_used"])
    with h5py.File(path, "r+") as file:
        del file["version"]
    assert "[version_is_stated]" in CliRunner().invoke(main, ["check", str(path)]).stdout


def test_the_command_line_warns_once(tmp_path: Path) -> None:
    path, data = tmp_path / "g.nir", tmp_path / "x.npy"
    nirbridge.write(path, CASES["stated_shapes_match"])
    np.save(data, np.ones((2, 1, 3)))
    result = CliRunner().invoke(main, ["compare", str(path), "-i", str(data), "--runtimes", "norse"])
    assert result.exit_code == 0
    assert result.stderr.count("Warning: node 'output' (Output): declares shape (1, 1, 3), while (3,) arrives.") == 1


def test_absurdly_many_lanes_overflow_nothing() -> None:
    """A damaged file asked for more lanes than a double can count."""
    nodes = {"e": EventInput((1, 1, 3), (3, 1), 10, 1, 5000, "one-hot"), "output": nir.Output(np.array([1, 1, 3]))}
    assert nirbridge.check(nir.NIRGraph(nodes, [("e", "output")], type_check=False)) == []
