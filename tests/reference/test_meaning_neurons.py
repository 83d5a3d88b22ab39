"""NIR's own neurons in floating point: the equations of the NIR paper, neuron by neuron and step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest

from nirbridge.primitives import EventInput
from tests.reference.judging import close, each_neuron, judges, run, same

Series = list[float]
Found = tuple[Series, Series]
INTEGRATORS = ("euler", "exact", "hold")
STEPS, BATCH, NEURONS = 40, 2, 4


def leaked(state: float, rest: float, drive: float, tau: float, dt: float, integrator: str) -> float:
    """One step of tau ds/dt = rest - s + drive: Euler's, or the solution for an impulse or for a held input."""
    if integrator == "euler":
        return state + dt / tau * (rest - state + drive)
    kept = math.exp(-dt / tau)
    if integrator == "exact":
        return rest + kept * (state - rest) + dt / tau * drive
    return rest + drive + kept * (state - rest - drive)


def after_spike(v: float, v_threshold: float, v_reset: float, reset: str) -> float:
    """ "value": v_reset; "subtract": v less the way from threshold to reset."""
    return v_reset if reset == "value" else v - (v_threshold - v_reset)


def fired(membranes: Series, v: float, reset: str, v_threshold: float, v_reset: float) -> tuple[float, float]:
    """(spike, membrane after it)."""
    spike = v > v_threshold
    v = after_spike(v, v_threshold, v_reset, reset) if spike else v
    membranes.append(v)
    return float(spike), v


def integrator(x: Series, dt: float, method: str, reset: str, r: float) -> Found:
    """v += R x, counted in steps."""
    v, membranes = 0.0, []
    for value in x:
        v = v + r * value
        membranes.append(v)
    return membranes, membranes


def integrate_and_fire(
    x: Series, dt: float, method: str, reset: str, r: float, v_threshold: float, v_reset: float
) -> Found:
    """v += R x, counted in steps; a spike where v > v_threshold."""
    v, spikes, membranes = 0.0, [], []  # type: ignore[var-annotated]
    for value in x:
        spike, v = fired(membranes, v + r * value, reset, v_threshold, v_reset)
        spikes.append(spike)
    return spikes, membranes


def leaky(x: Series, dt: float, method: str, reset: str, tau: float, r: float, v_leak: float) -> Found:
    """tau dv/dt = v_leak - v + R x."""
    v, membranes = 0.0, []
    for value in x:
        v = leaked(v, v_leak, r * value, tau, dt, method)
        membranes.append(v)
    return membranes, membranes


def leaky_and_fire(
    x: Series,
    dt: float,
    method: str,
    reset: str,
    tau: float,
    r: float,
    v_leak: float,
    v_threshold: float,
    v_reset: float,
) -> Found:
    """The same; a spike where v > v_threshold."""
    v, spikes, membranes = 0.0, [], []  # type: ignore[var-annotated]
    for value in x:
        v = leaked(v, v_leak, r * value, tau, dt, method)
        spike, v = fired(membranes, v, reset, v_threshold, v_reset)
        spikes.append(spike)
    return spikes, membranes


def with_synapse(
    x: Series, dt: float, method: str, reset: str, tau_syn: float, tau_mem: float, r: float, v_leak: float, w_in: float
) -> Found:
    """tau_syn di/dt = w_in x - i first, then tau_mem dv/dt = v_leak - v + R i with the new current."""
    i, v, membranes = 0.0, 0.0, []
    for value in x:
        i = leaked(i, 0.0, w_in * value, tau_syn, dt, method)
        v = leaked(v, v_leak, r * i, tau_mem, dt, method)
        membranes.append(v)
    return membranes, membranes


def with_synapse_and_fire(
    x: Series,
    dt: float,
    method: str,
    reset: str,
    tau_syn: float,
    tau_mem: float,
    r: float,
    v_leak: float,
    v_threshold: float,
    v_reset: float,
    w_in: float,
) -> Found:
    """The same; a spike where v > v_threshold."""
    i, v, spikes, membranes = 0.0, 0.0, [], []  # type: ignore[var-annotated]
    for value in x:
        i = leaked(i, 0.0, w_in * value, tau_syn, dt, method)
        v = leaked(v, v_leak, r * i, tau_mem, dt, method)
        spike, v = fired(membranes, v, reset, v_threshold, v_reset)
        spikes.append(spike)
    return spikes, membranes


ORACLES: dict[type[nir.NIRNode], Callable[..., Found]] = {
    nir.I: integrator,
    nir.IF: integrate_and_fire,
    nir.LI: leaky,
    nir.LIF: leaky_and_fire,
    nir.CubaLI: with_synapse,
    nir.CubaLIF: with_synapse_and_fire,
}
RANGES = {
    "tau": (3.3e-3, 9e-3),
    "tau_syn": (2.1e-3, 6e-3),
    "tau_mem": (3.3e-3, 9e-3),
    "r": (0.7, 2.3),
    "w_in": (0.8, 1.9),
    "v_leak": (-0.4, 0.3),
    "v_threshold": (0.5, 1.1),
    "v_reset": (-0.6, 0.2),
}
FIELDS = {kind: [name for name in RANGES if name in kind.__dataclass_fields__] for kind in ORACLES}
"""In the order of RANGES, which is none of NIR's: they are given by name."""


def parameters(kind: type[nir.NIRNode], shape: tuple[int, ...], dtype: type = np.float64) -> dict[str, np.ndarray]:
    """Random ones, none of them a short binary fraction."""
    rng = np.random.default_rng(len(shape) + 3)
    return {name: np.asarray(rng.uniform(*RANGES[name], shape), dtype) for name in FIELDS[kind]}


def data(*shape: int) -> np.ndarray:
    """Both signs, more of them positive."""
    return np.random.default_rng(11).normal(0.3, 1.5, (STEPS, BATCH, *shape))


def judge(
    kind: type[nir.NIRNode],
    given: dict[str, Any],
    x: np.ndarray,
    dt: float | None = None,
    integrator: str = "euler",
    reset: str = "value",
) -> tuple[np.ndarray, np.ndarray]:
    """Output and membrane of a node against its oracle."""
    step = 1e-3 if dt is None else dt

    def oracle(series: Series, **scalars: float) -> Found:
        return ORACLES[kind](series, step, integrator, reset, **scalars)

    expected, membranes = each_neuron(oracle, x, **given)
    options = {"dt": dt, "integrator": integrator, "reset": reset}
    found = run(kind(**given), x=x, precision="float", record=("n0:v",), **options)
    exact = integrator == "euler" or "tau" not in " ".join(given)
    (same if exact else close)(found.records["n0:v"], membranes)
    (same if exact or "v_threshold" in given else close)(found.output, expected)
    return expected, membranes


def spikes_here_and_there(spikes: np.ndarray) -> None:
    """Each neuron fires and is silent, or a test of spikes says nothing."""
    counts = spikes.sum(axis=(0, 1))
    assert (counts > 0).all()
    assert (counts < spikes.shape[0] * spikes.shape[1]).all()


@pytest.mark.parametrize("dt", [None, 2.7e-4, 1.9e-3])
@pytest.mark.parametrize("method", INTEGRATORS)
@judges(nir.I, nir.LI, nir.CubaLI)
def test_integrators_send_their_membrane(kind: Any, method: str, dt: float | None, precision: str) -> None:
    judge(kind, parameters(kind, (NEURONS,)), data(NEURONS), dt, method)


@pytest.mark.parametrize("dt", [None, 2.7e-4, 1.9e-3])
@pytest.mark.parametrize("method", INTEGRATORS)
@pytest.mark.parametrize("reset", ["value", "subtract"])
@judges(nir.IF, nir.LIF, nir.CubaLIF)
def test_neurons_fire_and_reset(kind: Any, reset: str, method: str, dt: float | None, precision: str) -> None:
    x = data(NEURONS) * (4 if dt == 2.7e-4 and kind is not nir.IF else 1)
    spikes, _ = judge(kind, parameters(kind, (NEURONS,)), x, dt, method, reset)
    spikes_here_and_there(spikes)


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("kind", ORACLES)
def test_one_number_for_all_neurons_and_single_precision_in_files(kind: Any, reset: str) -> None:
    """Parameters broadcast, and are computed with in double precision whatever they are stored in."""
    judge(kind, parameters(kind, ()), data(2, 3), reset=reset)
    judge(kind, parameters(kind, (2, 3), np.float32), data(2, 3), 7e-4, reset=reset)
    judge(kind, parameters(kind, (2, 1)), data(2, 3), reset=reset)


@pytest.mark.parametrize("reset", ["value", "subtract"])
@judges(nir.IF, nir.LIF, nir.CubaLIF)
def test_no_spike_just_at_the_threshold(kind: Any, reset: str, precision: str) -> None:
    """The threshold of each neuron is the highest membrane that it comes to in half the time: no spike there."""
    given, x = parameters(kind, (NEURONS,)), data(NEURONS)
    x[STEPS // 2 :] *= 3
    without = each_neuron(
        lambda series, **scalars: ORACLES[kind](series, 1e-3, "euler", reset, **scalars),
        x,
        **{**given, "v_threshold": np.inf},
    )[1]
    given["v_threshold"] = without[: STEPS // 2].max(axis=(0, 1))
    spikes, membranes = judge(kind, given, x, reset=reset)
    assert not spikes[: STEPS // 2].any()
    assert (membranes == given["v_threshold"]).any(axis=(0, 1)).all()
    spikes_here_and_there(spikes)


@pytest.mark.parametrize("kind", [nir.IF, nir.LIF, nir.CubaLIF, nir.CubaLI])
def test_what_is_left_out_is_a_reset_to_0_and_a_synapse_of_1(kind: Any) -> None:
    given, x = parameters(kind, (NEURONS,)), data(NEURONS)
    left = {"v_reset": np.zeros(NEURONS), "w_in": np.ones(NEURONS)}
    short = {name: value for name, value in given.items() if name not in left}
    expected, _ = judge(kind, {**given, **{name: value for name, value in left.items() if name in given}}, x)
    same(run(kind(**short), x=x, precision="float").output, expected)


@judges(nir.Threshold, precisions=("float", "fixed"))
def test_threshold(precision: str) -> None:
    """1 where x > threshold, 0 on it and below."""
    threshold = np.array([1.0, -2.0, 0.0]) if precision == "fixed" else np.array([1.1, -0.7, 0.3])
    x = threshold + np.arange(-2, 3)[:, None, None] * (1 if precision == "fixed" else 0.1)
    expected = [[[float(x[t, 0, n] > threshold[n]) for n in range(3)]] for t in range(5)]
    assert (x[2] == threshold).all()
    same(run(nir.Threshold(threshold), x=x, precision=precision).output, np.array(expected))


ENTRY = EventInput((2, 2, 3), (6, 4), 2_500, 1, 1, "count", "sum")
FRAMES = np.random.default_rng(5).integers(0, 4, (STEPS, BATCH, 2, 2, 3))


@judges(EventInput, precisions=("float", "fixed"))
def test_an_event_input_hands_frames_on(precision: str) -> None:
    same(run(x=FRAMES, precision=precision, entry=ENTRY).output, FRAMES.astype(float))


@judges(EventInput, nir.LIF)
def test_the_window_of_an_event_input_is_the_step(precision: str) -> None:
    given = parameters(nir.LIF, (2, 2, 3))
    found = run(nir.LIF(**given), x=FRAMES, precision=precision, entry=ENTRY, record=("n0:v",))
    spikes, membranes = each_neuron(lambda s, **p: leaky_and_fire(s, 2.5e-3, "euler", "value", **p), FRAMES, **given)
    same(found.output, spikes)
    same(found.records["n0:v"], membranes)
