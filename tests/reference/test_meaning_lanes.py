"""The multi-level neuron in floating point: its equations as loops, for lanes of every kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nirbridge.ir import MultiLevelLIF
from tests.reference.judging import judges, run, same

STEPS, BATCH, NEURONS = 30, 2, 4
RNG = np.random.default_rng(23)
LANES = {
    "one lane": ([0.7], [1.0], [0.7]),
    "three for all": ([0.45, 0.95, 1.7], [1.0, 2.0, 4.0], [0.45, 0.95, 1.7]),
    "free": ([-0.3, 0.6, 0.61, 2.2], [-1.3, 0.7, 2.0, -3.1], [-0.2, 1.9, 0.1, 2.7]),
    "per neuron": (
        np.sort(RNG.uniform(0.3, 2.5, (3, NEURONS)), axis=0),
        RNG.uniform(-2, 3, (3, NEURONS)),
        RNG.uniform(0.1, 2, (3, NEURONS)),
    ),
}


def lanes(
    x: np.ndarray,
    decay: np.ndarray,
    gain: np.ndarray,
    v_init: np.ndarray,
    fields: tuple[Any, Any, Any],
    v_reset: np.ndarray,
    reset: str,
    boundary: str,
) -> tuple[np.ndarray, np.ndarray]:
    """u = decay v + gain x; the highest lane with u > (or >=) its threshold sends its weight and resets."""
    y, membranes = np.zeros(x.shape), np.zeros(x.shape)
    thresholds, weights, amounts = (
        np.broadcast_to(np.reshape(f, (len(f), -1)), (len(f), NEURONS)).tolist() for f in fields
    )
    for b, n in np.ndindex(x.shape[1:]):
        v = v_init[n].item()
        for t in range(len(x)):
            u = decay[n].item() * v + gain[n].item() * x[t, b, n].item()
            over = [s for s in range(len(thresholds)) if u > thresholds[s][n]]
            if boundary == ">=":
                over = [s for s in range(len(thresholds)) if u >= thresholds[s][n]]
            v = u
            if over:
                highest = max(over)
                y[t, b, n] = weights[highest][n]
                v = u - amounts[highest][n] if reset == "subtract" else v_reset[n].item()
            membranes[t, b, n] = v
    return y, membranes


def judge(x: np.ndarray, fields: Any, reset: str, boundary: str, **neuron: np.ndarray) -> np.ndarray:
    """What the lanes of the oracle send."""
    wide = {name: np.broadcast_to(value, (NEURONS,)) for name, value in neuron.items()}
    expected, membranes = lanes(x, fields=fields, reset=reset, boundary=boundary, **wide)
    node = MultiLevelLIF(
        shape=(NEURONS,),
        lane_threshold=np.array(fields[0]),
        lane_weight=np.array(fields[1]),
        lane_reset=np.array(fields[2]),
        reset=reset,
        boundary=boundary,
        **neuron,
    )
    found = run(node, x=x, precision="float", record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], membranes)
    return expected


def data() -> np.ndarray:
    return RNG.normal(0.6, 1.1, (STEPS, BATCH, NEURONS))


@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("name", LANES)
@judges(MultiLevelLIF)
def test_lanes(name: str, boundary: str, reset: str, precision: str) -> None:
    """One number for all neurons, then one for each; the membrane starts at v_init."""
    one = {"decay": np.array(0.9), "gain": np.array(1.1), "v_init": np.array(0.4), "v_reset": np.array(-0.3)}
    sent = judge(data(), LANES[name], reset, boundary, **one)
    assert len(np.unique(sent)) > len(LANES[name][1]) / 2  # 0 and lanes; of the free ones 0.61 lies close to 0.6
    each = {
        "decay": np.array([0.0, 0.37, 1.0, -0.6]),
        "gain": np.array([0.7, 1.0, 1.9, 1.3]),
        "v_init": np.array([0.3, 1.9, -0.8, 0.0]),
        "v_reset": np.array([0.1, -0.7, 0.0, 0.33]),
    }
    judge(data(), LANES[name], reset, boundary, **each)


@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("boundary", [">", ">="])
@judges(MultiLevelLIF)
def test_a_membrane_just_at_a_threshold(boundary: str, reset: str, precision: str) -> None:
    """With decay 0 a membrane is gain x: it meets the second threshold exactly, and the boundary decides."""
    gain, theta = np.array([0.7, 1.3, 0.1, 2.9]), np.array([0.3, 0.9, 1.1])
    x = data()
    second = gain * x[0, 0]
    fields = (np.stack([second - 0.1, second, second + 0.1]), [1.0, 2.0, 4.0], theta)
    rest = {"decay": np.zeros(()), "v_init": np.zeros(()), "v_reset": np.array(0.2)}
    sent = judge(x, fields, reset, boundary, gain=gain, **rest)
    assert (sent[0, 0] == (2.0 if boundary == ">=" else 1.0)).all()


@pytest.mark.parametrize("levels", [1, 3, 7])
@pytest.mark.parametrize("output", ["level", "value"])
@judges(MultiLevelLIF)
def test_uniform_levels_are_a_floor(levels: int, output: str, precision: str) -> None:
    """Castagnetti et al.: z = clip(floor(u/q), 0, N), v = u - z q, y = z or z q; q dyadic, so that u/q is exact."""
    q, decay, start = [0.25, 0.5, 1.0, 0.125], [1.0, 0.5, 0.75, 1.0], [0.125, 0.0, 0.5, -0.25]
    x = RNG.integers(-8, 20, (8, BATCH, NEURONS)) / 8
    node = MultiLevelLIF.uniform((NEURONS,), levels, np.array(q), np.array(decay), np.array(start), output)
    expected, membranes = np.zeros(x.shape), np.zeros(x.shape)
    for b, n in np.ndindex(x.shape[1:]):
        v = start[n]
        for t in range(len(x)):
            u = decay[n] * v + x[t, b, n].item()
            z = min(max(math.floor(u / q[n]), 0), levels)
            v = u - z * q[n]
            expected[t, b, n], membranes[t, b, n] = (z if output == "level" else z * q[n]), v
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], membranes)


@pytest.mark.parametrize("theta", [[0.3, 0.7, 1.1, 0.05], [1, 2, 1, 3]])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("boundary", [">", ">="])
@judges(MultiLevelLIF)
def test_one_hot_windows_of_the_spike_driven_transformer(
    boundary: str, scaled: bool, theta: list[float], precision: str
) -> None:
    """Abillama et al.: u += (x - u)/2; lane s fires in (w_s θ, w_{s+1} θ], or [w_s θ, w_{s+1} θ); any spike resets."""
    x = RNG.normal(1.0, 2.0, (STEPS, BATCH, NEURONS))
    node = MultiLevelLIF.one_hot(
        (NEURONS,), 3, np.array(theta), 0.5, "value", boundary, scaled, gain=0.5, v_reset=-0.125
    )
    weights = [0.25, 0.5, 1.0] if scaled else [1.0, 2.0, 4.0]
    expected, membranes = np.zeros(x.shape), np.zeros(x.shape)
    for b, n in np.ndindex(x.shape[1:]):
        v = 0.0
        for t in range(len(x)):
            u = 0.5 * v + 0.5 * x[t, b, n].item()
            ends = [w * theta[n] for w in weights] + [math.inf]
            for s in range(3):
                inside = ends[s] <= u < ends[s + 1] if boundary == ">=" else ends[s] < u <= ends[s + 1]
                expected[t, b, n] += weights[s] * inside
            v = -0.125 if expected[t, b, n] else u
            membranes[t, b, n] = v
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    same(found.records["n0:v"], membranes)
