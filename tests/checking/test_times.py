"""Seconds in steps: how delays round, and which time constants a step is too long for."""

from __future__ import annotations

import warnings
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main
from nirbridge.errors import GraphError, GraphWarning, InputError
from nirbridge.ir import EventInput, build_graph, delay_steps
from tests.ir.graphs import chain

ONE = np.ones(1)
MS = 1e-3


def _delay(*seconds: float) -> nir.NIRGraph:
    return chain(nir.Delay(np.array(seconds)), shape=(len(seconds),), out=(len(seconds),))


def _lif(tau: float) -> nir.LIF:
    return nir.LIF(ONE * tau, ONE, ONE * 0, ONE)


def _leaky(tau: float) -> nir.NIRGraph:
    return chain(_lif(tau), shape=(1,), out=(1,))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("dt", [1e-3, 1e-4, 1 / 3, 0.0007, 2.0**-10])
def test_half_steps_round_up_whatever_they_went_through(dt: float, dtype: type) -> None:
    steps = np.concatenate([np.arange(2000), [99_999, 123_456]])
    for part, up in ((0, 0), (0.3, 0), (0.4, 0), (0.5, 1), (0.6, 1)):
        delays = ((steps + part) * dt).astype(dtype)
        np.testing.assert_array_equal(delay_steps(delays, dt), steps + up)


def test_very_long_delays_stay_integers() -> None:
    assert delay_steps([1e3, 2.0**30, 1e300], 1e-3).tolist() == [10**6, 2**30 * 1000, 2**62]


@pytest.mark.parametrize("runtime", ["reference", "norse", "lava"])
def test_every_runtime_delays_by_the_same_steps(runtime: str) -> None:
    graph = _delay(0.3 * MS, 0.5 * MS, 1.4 * MS, 1.5 * MS, 2.5 * MS, 3 * MS)
    x = np.zeros((5, 1, 6))
    x[0] = 1
    if not nirbridge.runtimes()[runtime].usable:
        pytest.skip(f"{runtime} is not usable here")
    with pytest.warns(GraphWarning) as said:
        program = nirbridge.compile(graph, runtime)
    with program:
        assert program.run(x).output[:, 0].argmax(axis=0).tolist() == [0, 1, 1, 2, 3, 3]
    assert len(said) == 2
    assert "0.5 steps run as 1, 1.4 steps run as 1, 1.5 steps run as 2, 2.5 steps run as 3" in str(said[0].message)
    assert "0.3 steps run as 0" in str(said[1].message)


def test_whole_steps_are_no_warning() -> None:
    assert nirbridge.check(_delay(0, MS, 3 * MS, 62 * MS, float(np.float32(0.003)))) == []
    assert nirbridge.check(_delay(0.3 * MS, 1.4 * MS, 2.5 * MS), dt=1e-4) == []


@pytest.mark.parametrize(
    ("seconds", "rule"),
    [(1e9, "delays_can_be_held"), (-MS, "delays_are_not_negative"), (np.nan, "parameters_are_finite")],
)
def test_impossible_delays_are_refused(seconds: float, rule: str) -> None:
    assert [(p.rule, p.severity) for p in nirbridge.check(_delay(MS, seconds))] == [(rule, "error")]
    with pytest.raises(GraphError):
        nirbridge.compile(_delay(MS, seconds))


CASES = {
    0.00049: "euler_steps_are_stable",
    0.0009: "euler_steps_are_stable",
    0.001: "time_constants_outlast_steps",
    0.002: "time_constants_outlast_steps",
    0.0021: None,
    0.02: None,
}


@pytest.mark.parametrize("tau", CASES)
def test_short_time_constants_ask_for_the_step(tau: float) -> None:
    problems = nirbridge.check(_leaky(tau))
    assert [p.rule for p in problems] == [CASES[tau]] * bool(CASES[tau])
    for problem in problems:
        assert f"tau is {tau:g} s" in problem.found
        assert "0.001 s" in problem.found
        assert problem.next_step == "Was this file made for dt = 1e-4? Then give --dt 1e-4, or dt=1e-4 in Python"
    assert nirbridge.check(_leaky(tau), dt=1e-4) == []


def test_a_step_that_was_given_is_believed_down_to_tau() -> None:
    assert nirbridge.check(_leaky(0.001), dt=MS) == []
    (problem,) = nirbridge.check(_leaky(0.0009), dt=MS)
    assert (problem.rule, "swing" in problem.found) == ("euler_steps_are_stable", True)
    assert "integrator 'exact'" in problem.next_step


def test_the_window_of_an_event_input_states_the_step() -> None:
    nodes = {"e": EventInput((1, 1, 1), (1, 1), 10_000), "lif": nir.LIF(*(np.ones((1, 1, 1)),) * 4), "output": None}
    for tau, found in ((0.02, 0), (0.01, 0), (0.006, 1)):
        nodes["lif"].tau[:] = tau
        nodes["output"] = nir.Output(np.array([1, 1, 1]))
        graph = nir.NIRGraph(nodes, [("e", "lif"), ("lif", "output")], type_check=False)
        assert len([p for p in nirbridge.check(graph) if p.rule == "euler_steps_are_stable"]) == found
        assert not [p for p in nirbridge.check(graph) if p.rule == "time_constants_outlast_steps"]


def test_a_node_is_named_once_by_its_shortest_constant() -> None:
    node = nir.CubaLIF(ONE * 0.0004, ONE * 0.0003, ONE, ONE * 0, ONE)
    (problem,) = nirbridge.check(chain(node, shape=(1,), out=(1,)))
    assert problem.found.startswith("tau_mem is 0.0003 s")


@pytest.mark.parametrize(
    ("integrator", "words"), [("euler", "do not settle"), ("exact", "neither call nor EventInput")]
)
def test_compile_warns_once_for_all_nodes(integrator: str, words: str) -> None:
    graph = chain(_lif(0.0004), _lif(0.0004), _lif(0.0003), shape=(1,), out=(1,))
    with pytest.warns(GraphWarning, match=words) as said:
        nirbridge.compile(graph, integrator=integrator).close()
    assert len(said) == 1
    assert "2 more nodes" in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nirbridge.compile(graph, dt=1e-4, integrator=integrator).close()


def test_two_windows_are_told() -> None:
    nodes = {name: EventInput((1, 1, 1), (1, 1), window) for name, window in (("a", 10_000), ("b", 1000))}
    graph = build_graph({**nodes, "output": nir.Output(None)}, [("a", "output"), ("b", "output")])
    (problem,) = nirbridge.check(graph)
    assert (problem.severity, problem.rule) == ("warning", "event_inputs_have_one_window")
    assert "node 'b' (EventInput): states a window of 0.001 s, and a step takes 0.01 s, that of 'a'" in str(problem)
    assert "--dt 0.001" in problem.next_step
    with pytest.warns(GraphWarning, match="that of 'a'"):
        nirbridge.compile(graph)
    assert nirbridge.check(graph, dt=2e-3) == []
    nodes["b"].window = 10_000
    assert nirbridge.check(graph) == []


def test_the_command_takes_dt(tmp_path: Path) -> None:
    path = tmp_path / "g.nir"
    nirbridge.write(path, _delay(0.5 * MS, 2.5 * MS))
    found = CliRunner().invoke(main, ["check", str(path)])
    assert found.exit_code == 0
    assert "2 of 2 values of delay are no whole steps and round, half steps up, at 0.001 s a step" in found.stdout
    assert CliRunner().invoke(main, ["check", str(path), "--dt", "1e-4"]).stdout == f"{path}: no problems\n"
    assert CliRunner().invoke(main, ["check", str(path), "--dt", "0"]).exit_code == 2
    with pytest.raises(InputError, match="not a positive number of seconds"):
        nirbridge.check(_delay(MS), dt=float("nan"))
