"""The call options for what files leave open, against direct computation and on every runtime."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError
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
    v, i, out = np.zeros((2, SIZE)), np.zeros((2, SIZE)), []
    for x in X:
        if kind is nir.IF:
            v = v + R * x
        else:
            if kind in (nir.CubaLIF, nir.CubaLI):
                i = _leak(i, W_IN * x, TAU_SYN, 0.0, integrator)
            v = _leak(v, R * (i if kind in (nir.CubaLIF, nir.CubaLI) else x), TAU, LEAK, integrator)
        if kind in (nir.LI, nir.CubaLI):
            out.append(v)
            continue
        spikes = v > THRESHOLD
        out.append(spikes.astype(float))
        after = RESET if reset == "to_value" else v - (THRESHOLD - RESET)
        v = np.where(spikes, after, v)
    return np.stack(out)


NODES = {
    nir.LI: nir.LI(TAU, R, LEAK),
    nir.CubaLI: nir.CubaLI(TAU_SYN, TAU, R, LEAK, W_IN),
    nir.IF: nir.IF(R, THRESHOLD, RESET),
    nir.LIF: nir.LIF(TAU, R, LEAK, THRESHOLD, RESET),
    nir.CubaLIF: nir.CubaLIF(TAU_SYN, TAU, R, LEAK, THRESHOLD, RESET, W_IN),
}


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("reset", ["to_value", "subtract"])
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
        runs = [_expected(kind, i, r) for i in ("euler", "exact", "hold") for r in ("to_value", "subtract")]
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
    for reset in ("to_value", "subtract"):
        with nirbridge.compile(graph, dt=DT, reset=reset) as program:
            assert program.run(x).output.ravel().tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("option", ["integrator", "reset"])
def test_unknown_values_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"option '{option}': 'other' is not among"):
        nirbridge.compile(chain(NODES[nir.LIF], shape=(SIZE,), out=(SIZE,)), **{option: "other"})


@pytest.mark.parametrize(("integrator", "reset"), [("exact", "to_value"), ("hold", "subtract")])
def test_lava_knows_the_options_without_knowing_of_them(integrator: str, reset: str) -> None:
    """They are worked into the plan, so every runtime has them."""
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    graph = chain(NODES[nir.CubaLIF], shape=(SIZE,), out=(SIZE,))
    with nirbridge.compile(graph, "lava", dt=DT, integrator=integrator, reset=reset) as program:
        assert np.array_equal(program.run(X[:60]).output, _expected(nir.CubaLIF, integrator, reset)[:60])
