"""The call options for what files leave open, against direct computation and on every runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError, InputError, Problem
from nirbridge.runtime import Availability, Plan, Program, make_plan, support_problems
from tests.ir.graphs import chain

DT = 1e-3
SIZE, STEPS = 6, 200
RNG = np.random.default_rng(5)
X = RNG.normal(0.8, 1.0, (STEPS, 2, SIZE))
TAU, TAU_SYN = RNG.uniform(2e-3, 3e-2, SIZE), RNG.uniform(2e-3, 1e-2, SIZE)
R, W_IN, LEAK = RNG.uniform(0.5, 2, SIZE), RNG.uniform(0.5, 2, SIZE), RNG.uniform(-0.2, 0.3, SIZE)
THRESHOLD, RESET = RNG.uniform(0.4, 0.9, SIZE), RNG.uniform(-0.3, 0.1, SIZE)


def _leak(v: np.ndarray, i: np.ndarray, tau: np.ndarray, leak: Any, integrator: str) -> np.ndarray:
    """The equations of the option, written out."""
    if integrator == "euler":
        return v + DT / tau * (leak - v + i)
    decay = np.exp(-DT / tau)
    if integrator == "exact":
        return leak + (v - leak) * decay + DT / tau * i
    return leak + i + (v - leak - i) * decay


def _expected(kind: type[nir.NIRNode], integrator: str, reset: str) -> np.ndarray:
    return _expected_pair(kind, integrator, reset)[0]


def _expected_pair(kind: type[nir.NIRNode], integrator: str, reset: str) -> tuple[np.ndarray, np.ndarray]:
    """What the node sends, and its membrane after each step."""
    v, i, out, membranes = np.zeros((2, SIZE)), np.zeros((2, SIZE)), [], []
    for x in X:
        if kind is nir.IF:
            v = v + R * x
        else:
            if kind in (nir.CubaLIF, nir.CubaLI):
                i = _leak(i, W_IN * x, TAU_SYN, 0.0, integrator)
            v = _leak(v, R * (i if kind in (nir.CubaLIF, nir.CubaLI) else x), TAU, LEAK, integrator)
        if kind in (nir.LI, nir.CubaLI):
            out.append(v)
            membranes.append(v)
            continue
        spikes = v > THRESHOLD
        out.append(spikes.astype(float))
        after = RESET if reset == "value" else v - (THRESHOLD - RESET)
        v = np.where(spikes, after, v)
        membranes.append(v)
    return np.stack(out), np.stack(membranes)


NODES = {
    nir.LI: nir.LI(TAU, R, LEAK),
    nir.CubaLI: nir.CubaLI(TAU_SYN, TAU, R, LEAK, W_IN),
    nir.IF: nir.IF(R, THRESHOLD, RESET),
    nir.LIF: nir.LIF(TAU, R, LEAK, THRESHOLD, RESET),
    nir.CubaLIF: nir.CubaLIF(TAU_SYN, TAU, R, LEAK, THRESHOLD, RESET, W_IN),
}


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("integrator", ["euler", "exact", "hold"])
@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.__name__)
def test_equations(kind: type[nir.NIRNode], integrator: str, reset: str, runtime: str) -> None:
    if runtime == "norse":
        pytest.importorskip("norse")
    how: dict[str, Any] = {"dtype": "float64"} if runtime == "norse" else {}
    graph = chain(NODES[kind], shape=(SIZE,), out=(SIZE,))
    with nirbridge.compile(graph, runtime, dt=DT, integrator=integrator, reset=reset, **how) as program:
        found = program.run(X, record=["n0"])
    expected = _expected(kind, integrator, reset)
    assert found.output == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(found.records["n0"], found.output)
    if kind not in (nir.LI, nir.CubaLI):
        assert 0.02 < expected.mean() < 0.97


def test_the_options_matter() -> None:
    """Every pair of meanings differs somewhere on these data, so that a forgotten option would show."""
    for kind in (nir.LIF, nir.CubaLIF):
        runs = [_expected(kind, i, r) for i in ("euler", "exact", "hold") for r in ("value", "subtract")]
        assert len({run.tobytes() for run in runs}) == 6


@pytest.mark.parametrize("integrator", ["exact", "hold"])
def test_a_long_step_settles(integrator: str) -> None:
    """Where Euler overshoots, exp(-dt/tau) does not: with the input held, v comes to v_leak + R i."""
    one = np.ones(1)
    graph = chain(nir.LI(one * 1e-4, one * 2, one * 0.5), shape=(1,), out=(1,))
    with nirbridge.compile(graph, dt=1e-2, integrator=integrator) as program:
        last = program.run(np.ones((5, 1, 1))).output[-1].item()
    assert last == pytest.approx(2.5 if integrator == "hold" else 0.5 + 100 * 2, rel=1e-12)


def test_soft_reset_in_a_cycle_keeps_the_delay_of_one_step() -> None:
    """A CubaLIF that feeds itself: its synapse becomes a node of its own, and the cycle is not longer for it."""
    one = np.ones(1)
    node = nir.CubaLIF(one * DT, one * DT, one, one * 0.0, one * 0.9, w_in=one)  # dt/tau = 1: spikes pass at once
    nodes = {"input": nir.Input(np.array([1])), "z": node, "output": nir.Output(np.array([1]))}
    graph = nir.NIRGraph(nodes, [("input", "z"), ("z", "z"), ("z", "output")], type_check=False)
    x = np.zeros((6, 1, 1))
    x[1] = 1
    for reset in ("value", "subtract"):
        with nirbridge.compile(graph, dt=DT, reset=reset) as program:
            assert program.run(x).output.ravel().tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("option", ["integrator", "reset"])
def test_unknown_values_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"option '{option}': 'other' is not among"):
        nirbridge.compile(chain(NODES[nir.LIF], shape=(SIZE,), out=(SIZE,)), **{option: "other"})


@pytest.mark.parametrize(("integrator", "reset"), [("exact", "value"), ("hold", "subtract")])
def test_lava_knows_the_options_without_knowing_of_them(integrator: str, reset: str) -> None:
    """They are worked into the plan, so every runtime has them."""
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    graph = chain(NODES[nir.CubaLIF], shape=(SIZE,), out=(SIZE,))
    with nirbridge.compile(graph, "lava", dt=DT, integrator=integrator, reset=reset) as program:
        assert np.array_equal(program.run(X[:60]).output, _expected(nir.CubaLIF, integrator, reset)[:60])


RUNTIMES: dict[str, tuple[str, dict[str, Any]]] = {
    "reference": ("reference", {}),
    "norse": ("norse", {"dtype": "float64"}),
    "lava": ("lava", {"mapping": "processes"}),
    "lava, fused": ("lava", {"mapping": "fused"}),
}


def _program(name: str, graph: nir.NIRGraph, **how: Any) -> nirbridge.Program:
    runtime, options = RUNTIMES[name]
    if not nirbridge.runtimes()[runtime].usable:
        pytest.skip(f"{runtime} is not usable here")
    return nirbridge.compile(graph, runtime, dt=DT, **options, **how)


def _side_by_side(nodes: dict[str, nir.NIRNode], size: int) -> nir.NIRGraph:
    every = {"input": nir.Input(np.array([size])), **nodes}
    every |= {f"{name} out": nir.Output(np.array([size])) for name in nodes}
    edges = [("input", name) for name in nodes] + [(name, f"{name} out") for name in nodes]
    return nir.NIRGraph(every, edges, type_check=False)


@pytest.mark.parametrize("integrator", ["euler", "exact", "hold"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_membranes_are_those_of_the_file(runtime: str, integrator: str) -> None:
    """In the origin of the file, with v_leak and v_reset other than 0, however the data come."""
    kinds = (nir.IF, nir.LIF, nir.CubaLIF)
    graph = _side_by_side({kind.__name__: NODES[kind] for kind in kinds}, SIZE)
    record = [f"{kind.__name__}:v" for kind in kinds]
    with _program(runtime, graph, integrator=integrator, reset="subtract") as program:
        assert set(program.plan.names) == set(graph.nodes)
        unwatched = program.run(X[:80]).output
        whole = program.run(X[:80], record)
        program.reset()
        parts = [program.advance(X[:7], record), program.advance(X[7:60], record)]
        stepped = [program.step(frame) for frame in X[60:63]]
        parts.append(program.advance(X[63:80], record))
    for kind in kinds:
        name = kind.__name__
        spikes, membranes = (values[:80] for values in _expected_pair(kind, integrator, "subtract"))
        assert whole.records[f"{name}:v"] == pytest.approx(membranes, abs=1e-12)
        assert np.array_equal(whole.output[f"{name} out"], spikes)
        assert np.array_equal(unwatched[f"{name} out"], spikes)
        assert np.array_equal(np.stack([frame[f"{name} out"] for frame in stepped]), spikes[60:63])
        joined = np.concatenate([part.records[f"{name}:v"] for part in parts])
        assert np.array_equal(joined, np.delete(whole.records[f"{name}:v"], slice(60, 63), axis=0))


@pytest.mark.parametrize("integrator", ["euler", "hold"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_both_resets_are_one_until_the_first_spike(runtime: str, integrator: str) -> None:
    """Bit for bit, and a steady state just at the threshold fires in neither: 0.4 + 0.1 is not above 0.5."""
    one = np.ones(1)
    graph = _side_by_side({"lif": nir.LIF(one * 0.01, one, one * 0.4, one * 0.5)}, 1)
    x = np.full((600, 1, 1), 0.1)
    runs = []
    for reset in ("value", "subtract"):
        with _program(runtime, graph, integrator=integrator, reset=reset) as program:
            runs.append(program.run(x, ["lif:v"]))
    assert not runs[0].output.any()
    assert not runs[1].output.any()
    assert np.array_equal(runs[0].records["lif:v"], runs[1].records["lif:v"])
    assert runs[0].records["lif:v"][-1].item() == pytest.approx(0.5)


def _fixed_membranes(node: nir.LIF | nir.CubaLIF | nir.IF, x: np.ndarray) -> tuple[list[int], list[int]]:
    """docs/fixed_point.md with plain integers: decays of 1/2, states that clip at 2^23 - 1."""
    limit, v, i, spikes, membranes = 2**23 - 1, 0, 0, [], []
    for value in x.ravel().astype(int).tolist():
        i = int(i / 2) + value if type(node) is nir.CubaLIF else value
        v = (v if type(node) is nir.IF else int(v / 2)) + i
        v = max(-limit, min(limit, v))
        fires = v > int(node.v_threshold[0])
        v -= (int(node.v_threshold[0]) - int(node.v_reset[0])) if fires else 0
        v = max(-limit, min(limit, v))
        spikes.append(int(fires))
        membranes.append(v)
    return spikes, membranes


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_membranes_in_integers(runtime: str) -> None:
    """A reset of 2^22 below a threshold of 10 pushes the membrane up until it clips."""
    if runtime == "norse":
        pytest.importorskip("norse")
    threshold, after = np.array([10], dtype=np.int8), np.array([-3], dtype=np.int8)
    tau, two = np.array([2e-3]), np.array([2.0])
    nodes: dict[str, nir.NIRNode] = {
        "if": nir.IF(np.array([1]), threshold, after),
        "lif": nir.LIF(tau, two, np.array([0]), threshold, after),
        "cuba": nir.CubaLIF(tau, tau, two, np.array([0]), threshold, after, two),
        "far": nir.IF(np.array([1]), np.array([10]), np.array([2**22])),
    }
    x = np.random.default_rng(3).integers(-5, 16, (40, 1, 1)).astype(np.float64)
    record = [f"{name}:v" for name in nodes]
    with _program(runtime, _side_by_side(nodes, 1), reset="subtract", precision="fixed") as program:
        found = program.run(x, record)
        unwatched = program.run(x).output
    for name, node in nodes.items():
        spikes, membranes = _fixed_membranes(node, x)
        assert found.output[f"{name} out"].ravel().tolist() == spikes
        assert found.records[f"{name}:v"].ravel().tolist() == membranes
        assert unwatched[f"{name} out"].ravel().tolist() == spikes
        assert sum(spikes) > 0


def test_a_synapse_is_no_node_to_record() -> None:
    """Recordable are the nodes of the file, and a node of the user's may be called like a part of another."""
    nodes = {"n": NODES[nir.CubaLIF], "n.synapse": NODES[nir.LIF]}
    with _program("reference", _side_by_side(nodes, SIZE), reset="subtract") as program:
        found = program.run(X, ["n.synapse:v"]).records["n.synapse:v"]
        assert found == pytest.approx(_expected_pair(nir.LIF, "euler", "subtract")[1], abs=1e-12)
        with pytest.raises(InputError, match="record 'n.i': no node has this name"):
            program.run(X, ["n.i"])
    alone = chain(NODES[nir.CubaLIF], shape=(SIZE,), out=(SIZE,))
    with (
        _program("reference", alone, reset="subtract") as program,
        pytest.raises(InputError, match=r"record 'n0.synapse': no node has this name. Nodes: input, n0, output"),
    ):
        program.run(X, ["n0.synapse"])


def test_a_node_called_like_a_membrane_is_not_taken_for_it() -> None:
    nodes = {"n": NODES[nir.LIF], "m:v": NODES[nir.LIF]}
    with _program("reference", _side_by_side(nodes, SIZE)) as program:
        found = program.run(X, ["m:v", "m:v:v"]).records
        assert np.array_equal(found["m:v"], _expected(nir.LIF, "euler", "value"))
        assert found["m:v:v"] == pytest.approx(_expected_pair(nir.LIF, "euler", "value")[1], abs=1e-12)
    with pytest.raises(GraphError, match="'n:v' .*its name is that of the membrane of node 'n'"):
        _program("reference", _side_by_side({**nodes, "n:v": NODES[nir.LIF]}, SIZE))


class _ValueOnly:
    """A plugin's runtime that says nothing of resets."""

    name, summary, precisions, options = "plain", "", ("float",), frozenset[str]()
    supported = frozenset({nir.Input, nir.Output, nir.LIF})

    def availability(self) -> Availability:
        return Availability("1")

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        return ()

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        raise NotImplementedError


def test_a_runtime_that_does_not_know_a_reset_is_not_given_it() -> None:
    graph = chain(NODES[nir.LIF], shape=(SIZE,), out=(SIZE,))
    assert support_problems(_ValueOnly(), make_plan(graph)) == []
    (problem,) = support_problems(_ValueOnly(), make_plan(graph, reset="subtract"))
    assert str(problem).startswith("node 'n0' (LIF): runtime 'plain' does not know reset 'subtract'")
