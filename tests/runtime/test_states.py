"""A state put back: the next data give what they gave, bit for bit, on every runtime, also where it came from another.

The conformance suite puts every runtime back between two pieces of every case; here stands what it does not see.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.arrays import read_arrays, write_arrays
from nirbridge.conformance import judge
from nirbridge.conformance.cases import Case, net
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.primitives.examples import DYADIC_DT, INTEGER_DT, whole_numbers
from nirbridge.primitives.multi_level_lif import integer_lanes
from nirbridge.runtime import Availability, Plan, Program, discovery, make_plan, make_program
from tests.ir.graphs import chain

RUNTIMES: dict[str, tuple[str, dict[str, Any]]] = {
    "reference": ("reference", {}),
    "norse": ("norse", {}),
    "lava, processes": ("lava", {"mapping": "processes"}),
    "lava, fused": ("lava", {"mapping": "fused"}),
}
ALL = pytest.mark.parametrize("runtime", RUNTIMES)
BATCH, STEPS, CUT = 5, 12, 5


def _compiled(graph: nir.NIRGraph, runtime: str, precision: str = "float") -> Program:
    name, options = RUNTIMES[runtime]
    if not nirbridge.runtimes()[name].usable:
        pytest.skip(f"{name} is not usable here")
    dt = INTEGER_DT if precision == "fixed" else DYADIC_DT
    return nirbridge.compile(graph, name, dt=dt, precision=precision, **options)


def _recurrent(precision: str = "float") -> nir.NIRGraph:
    """A delay, synaptic currents, lanes, and a cycle with a bias in the edge that goes back."""
    if precision == "fixed":
        act = integer_lanes(MultiLevelLIF.one_hot((4,), 3, 40, 0.5))
        fc, rec = nir.Linear(whole_numbers(4, 4)), nir.Affine(whole_numbers(4, 4, seed=9), whole_numbers(4))
        times = [np.full(4, v * INTEGER_DT) for v in (4.0, 8.0)]
        gains = [np.full(4, 8.0), np.zeros(4), np.full(4, 60.0), np.zeros(4), np.full(4, 4.0)]
        dt = INTEGER_DT
    else:
        act = MultiLevelLIF.one_hot((4,), 3, 0.5, 0.5)
        weight = np.random.default_rng(1).integers(-3, 4, (2, 4, 4)) / 4
        fc, rec = nir.Linear(weight[0]), nir.Affine(weight[1] / 4, np.full(4, 0.25))
        times = [np.full(4, v * DYADIC_DT) for v in (2.0, 4.0)]
        gains = [np.full(4, 4.0), np.zeros(4), np.full(4, 0.5), np.zeros(4), np.full(4, 2.0)]
        dt = DYADIC_DT
    delay = nir.Delay(np.array([0, 1, 3, 2]) * dt)
    nodes = {"wait": delay, "fc": fc, "act": act, "rec": rec, "cuba": nir.CubaLIF(*times, *gains)}
    return net(nodes, "input wait fc act cuba output", "act rec act", shape=(4,))


def _data(seed: int, precision: str = "float") -> np.ndarray:
    x = np.random.default_rng(seed).integers(-4, 9, (STEPS, BATCH, 4)).astype(np.float64)
    return x * 8 if precision == "fixed" else x / 2


def _go_astray(program: Program, precision: str = "float") -> None:
    program.reset()
    program.advance(_data(99, precision)[:, :2])


@ALL
@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_it_goes_on_where_the_state_was_taken(runtime: str, precision: str, tmp_path: Path) -> None:
    x = _data(1, precision)
    with _compiled(_recurrent(precision), runtime, precision) as program:
        whole = program.run(x, record=["act", "act:v"])
        assert len(np.unique(whole.output)) > 1
        program.reset()
        program.advance(x[:CUT])
        state = program.state()
        _go_astray(program, precision)
        assert (int(state["steps"]), int(state["batch"]), str(state["precision"])) == (CUT, BATCH, precision)
        write_arrays(tmp_path / "state.npz", state)
        np.savez(tmp_path / "plain.npz", **state)
        stored = read_arrays(tmp_path / "state.npz")
        assert isinstance(stored, Mapping)
        for given in (stored, dict(np.load(tmp_path / "plain.npz")), pickle.loads(pickle.dumps(state))):
            program.restore(given)
            again = program.state()
            assert [*again] == [*state]
            assert all(np.array_equal(again[name], state[name]) for name in state if name != "runtime")
            rest = program.advance(x[CUT:], record=["act", "act:v"])
            np.testing.assert_array_equal(rest.output, whole.output[CUT:])
            for name in ("act", "act:v"):
                np.testing.assert_array_equal(rest.records[name], whole.records[name][CUT:])
        with program.copy() as other:
            other.restore(state)
            steps = np.stack([other.step(frame) for frame in x[CUT:]])
            np.testing.assert_array_equal(steps, whole.output[CUT:])
            assert int(other.state()["steps"]) == STEPS


@ALL
def test_a_delay_of_no_step_holds_nothing(runtime: str) -> None:
    graph = chain(nir.Delay(np.zeros(4)), nir.I(np.ones(4)), shape=(4,), out=(4,))
    x = _data(3)
    with _compiled(graph, runtime) as program:
        whole = program.run(x).output
        program.run(x[:CUT])
        state = program.state()
        program.restore(state)
        np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])
    assert [array.shape for name, array in state.items() if name.endswith(":line")] == [(0, BATCH, 4)]


@ALL
@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_a_state_means_the_same_elsewhere(runtime: str, precision: str) -> None:
    """That of the reference here, and this one in the reference; all numbers are dyadic."""
    x, graph = _data(2, precision), _recurrent(precision)
    with _compiled(graph, runtime, precision) as program, _compiled(graph, "reference", precision) as reference:
        whole = reference.run(x).output
        states = []
        for one in (program, reference):
            one.reset()
            one.advance(x[:CUT])
            states.append(one.state())
            _go_astray(one, precision)
        assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0] if ":" in name)
        program.restore(states[1])
        np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])
        reference.restore(states[0])
        np.testing.assert_array_equal(reference.advance(x[CUT:]).output, whole[CUT:])


@ALL
def test_before_the_first_step_there_is_nothing(runtime: str) -> None:
    x = _data(3)
    with _compiled(_recurrent(), runtime) as program:
        fresh = program.state()
        assert [name for name in fresh if ":" in name] == []
        whole = program.run(x).output
        program.restore(fresh)
        np.testing.assert_array_equal(program.advance(x[:, :3]).output, whole[:, :3])


def test_a_state_is_a_copy() -> None:
    x = _data(4)
    with _compiled(_recurrent(), "norse") as program:
        whole = program.run(x).output
        program.reset()
        program.advance(x[:CUT])
        state = program.state()
        program.restore(state)
        for array in state.values():
            if array.ndim:
                array[...] = 1e6
        np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])


def test_another_process_goes_on(tmp_path: Path) -> None:
    x = _data(5)
    nirbridge.write(tmp_path / "g.nir", _recurrent())
    np.save(tmp_path / "x.npy", x[CUT:])
    with _compiled(_recurrent(), "reference") as program:
        whole = program.run(x).output
        program.run(x[:CUT])
        np.savez(tmp_path / "state.npz", **program.state())
    code = f"""
import nirbridge, numpy as np
program = nirbridge.compile(nirbridge.read("g.nir"), dt={DYADIC_DT})
program.restore(dict(np.load("state.npz")))
np.save("y.npy", program.advance(np.load("x.npy")).output)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), whole[CUT:])


def test_samples_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread has the states of its samples; a state has those of all, whatever the number of threads."""
    torch = pytest.importorskip("torch")
    from nirbridge_norse import program as norse

    monkeypatch.setattr(norse, "WORTH_THREADS", 1)
    x, threads = _data(6), torch.get_num_threads()
    try:
        with _compiled(_recurrent(), "norse") as program:
            torch.set_num_threads(2)
            whole = program.run(x).output
            program.run(x[:CUT])
            assert len(program._parts) == 2  # type: ignore[attr-defined]
            state = program.state()
            torch.set_num_threads(3)
            program.restore(state)
            np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])
    finally:
        torch.set_num_threads(threads)


def test_late_values_beyond_single_precision() -> None:
    """A delay holds what float32 would round, so the program goes on in double precision."""
    weight = np.array([[127, -1], [1, 127]])
    graph = chain(nir.Delay(np.full(2, 2 * INTEGER_DT)), nir.Linear(weight), shape=(2,), out=(2,))
    x = np.full((4, 1, 2), 2.0**20 + 1)
    with _compiled(graph, "norse", "fixed") as program:
        whole = program.run(x).output
        assert whole.max() > 2**24
        program.run(x[:1])
        state = program.state()
        program.run(np.ones((1, 1, 2)))
        program.restore(state)
        small = np.concatenate([program.advance(np.ones((1, 1, 2))).output for _ in range(2)])
        np.testing.assert_array_equal(small[1], whole[2])


def test_lava_cuts_states_that_do_not_fit_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from nirbridge_lava import shared

    x = _data(7)
    for runtime, size in (("lava, fused", 64), ("lava, fused", 1700), ("lava, processes", 64)):
        monkeypatch.setattr(shared, "BUFFER_BYTES", size)
        with _compiled(_recurrent(), runtime) as program:
            whole = program.run(x).output
            program.run(x[:CUT])
            state = program.state()
            _go_astray(program)
            program.restore(state)
            np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: 3, r"^state: 3 is no dictionary of arrays"),
        (_set("graph", np.array("0" * 32)), r"^state: is one of another graph or dt \(0000"),
        (_set("graph", 7), r"^state: 'graph' is 7\."),
        (_set("precision", np.array("fixed")), r"^state: is one of precision 'fixed', and the program runs in 'float'"),
        (_set("batch", np.array(2)), r"^state 'wait:line': shape \(3, 5, 4\), expected \(3, 2, 4\)"),
        (_set("batch", np.array(-1)), r"^state: says -1 samples and 5 steps"),
        (_set("act:v", np.zeros((5, 3))), r"^state 'act:v': shape \(5, 3\), expected \(5, 4\)"),
        (_set("act:v", np.zeros((5, 4), complex)), r"^state 'act:v': dtype complex128, expected real numbers"),
        (_set("act:w", np.zeros((5, 4))), r"^state: holds an unknown array 'act:w'"),
        (lambda state: {name: state[name] for name in state if name != "cuba:i"}, r"^state: has no array 'cuba:i'"),
        (lambda state: {name: state[name] for name in state if name != "steps"}, r"^state: has no 'steps'"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Callable[[Any], Any], message: str) -> None:
    x = _data(8)
    with _compiled(_recurrent(), "reference") as program:
        whole = program.run(x).output
        program.run(x[:CUT])
        with pytest.raises(InputError, match=message):
            program.restore(change(program.state()))
        np.testing.assert_array_equal(program.advance(x[CUT:]).output, whole[CUT:])


def test_integers_and_narrow_numbers_are_checked() -> None:
    with _compiled(_recurrent("fixed"), "reference", "fixed") as program:
        program.run(_data(1, "fixed"))
        state = program.state()
        with pytest.raises(InputError, match="'act:v': holds fractions, and precision 'fixed' has integers"):
            program.restore({**state, "act:v": state["act:v"] + 0.5})
    with _compiled(_recurrent(), "norse") as program:
        program.run(_data(1))
        state = program.state()
        with pytest.raises(InputError, match=r"'act:v': holds 1e\+300, which float32 does not"):
            program.restore({**state, "act:v": np.full((BATCH, 4), 1e300)})


def test_the_fingerprint_is_that_of_the_meaning(tmp_path: Path) -> None:
    from nirbridge.runtime.fingerprint import fingerprint

    def other(**changes: Any) -> nir.NIRGraph:
        graph = _recurrent()
        for name, (field, value) in changes.items():
            setattr(graph.nodes[name], field, value)
        return build_graph(graph.nodes, graph.edges)

    nirbridge.write(tmp_path / "g.nir", _recurrent())
    known = fingerprint(make_plan(_recurrent(), 1e-3))
    assert fingerprint(make_plan(nirbridge.read(tmp_path / "g.nir"), 1e-3)) == known
    named = _recurrent()
    named.metadata = {"author": "somebody"}
    assert fingerprint(make_plan(named, 1e-3)) == known
    weight = _recurrent().nodes["fc"].weight
    weight[3, 3] += 2.0**-40
    others = [
        make_plan(_recurrent(), 2e-3),
        make_plan(_recurrent(), 1e-3, reset="subtract"),
        make_plan(_recurrent(), 1e-3, integrator="exact"),
        make_plan(other(fc=("weight", weight)), 1e-3),
        make_plan(other(act=("boundary", ">=")), 1e-3),
    ]
    assert len({known, *map(fingerprint, others)}) == 6


class _Summing(Program):
    """A plugin's program; ``_kept`` is all that it knows."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._kept: Any = 0.0

    def _advance(self, data: dict[str, Any], record: tuple[str, ...]) -> dict[str, Any]:
        sums = self._kept + np.cumsum(data["input"], axis=0)
        self._kept = sums[-1]
        return {name: data.get(name, sums) for name in (*self.plan.outputs, *record)}

    def _reset(self) -> None:
        self._kept = 0.0


class _Forgetful(_Summing):
    """It takes a state and does nothing with it."""

    def _state(self) -> dict[str, Any]:
        return {"n0:v": self._kept}

    def _restore(self, arrays: dict[str, Any], batch: int) -> None:
        pass


class _Plugin:
    name, summary, precisions, options = "plugin", "", ("float",), frozenset[str]()
    supported: frozenset[type[nir.NIRNode]] = frozenset({nir.Input, nir.Output, nir.I})

    def __init__(self, program: type[Program] = _Summing) -> None:
        self.program = program

    def availability(self) -> Availability:
        return Availability("1")

    def check(self, plan: Plan) -> Iterator[Any]:
        return iter(())

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        return self.program(plan)


def _counter() -> nir.NIRGraph:
    return chain(nir.I(np.ones(3)), shape=(3,), out=(3,))


def test_a_runtime_without_states_is_refused_by_name() -> None:
    with make_program(_Plugin(), make_plan(_counter()), "float", {}) as program:
        for call in (program.state, lambda: program.restore({})):
            with pytest.raises(UnsupportedError, match=r"^runtime 'plugin': gives no states"):
                call()
        assert program.run(np.ones((2, 1, 3))).output[1, 0, 0] == 2


@pytest.mark.parametrize(("program", "state"), [(_Summing, "exact"), (_Forgetful, "differs")])
def test_the_suite_finds_out_who_forgets(program: type, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(discovery._LOADED, "plugin", _Plugin(program))
    verdict = judge(Case("counter", (nir.I,), _counter), "plugin")
    assert verdict.state == state, verdict.detail
    assert not verdict.restores
    assert verdict.detail == ("" if state == "exact" else "'output': 99 of 108 values differ in pieces")


def test_a_call_that_was_broken_off_leaves_no_state() -> None:
    x = _data(9)
    with _compiled(_recurrent(), "reference") as program:
        program.run(x)
        advance = program._advance

        def broken(*arguments: Any) -> Any:
            advance(*arguments)
            raise KeyboardInterrupt

        program._advance = broken  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            program.advance(x)
        program._advance = advance  # type: ignore[method-assign]
        for call in (program.state, lambda: program.advance(x)):
            with pytest.raises(UnsupportedError, match="was broken off, so its states are torn. Call reset first"):
                call()
        program.reset()
        program.state()
