"""Graphs with one node of every type that the Norse runtime lowers, and the comparison of two runtimes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph

SHAPE = (3, 4, 5)
DT = 1e-3


def dyadic(seed: int, shape: tuple[int, ...], span: int = 16, unit: float = 1 / 16) -> Any:
    """Random multiples of ``unit`` in [-span·unit, span·unit]."""
    return np.random.default_rng(seed).integers(-span, span + 1, shape) * unit


def uniform(seed: int, shape: tuple[int, ...], low: float = 0.1, high: float = 2.0) -> Any:
    """Random numbers that are not dyadic."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def chain(shape: tuple[int, ...], *nodes: nir.NIRNode) -> nir.NIRGraph:
    """Input → n0 → n1 → … → Output."""
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    inner = dict(zip(names[1:-1], nodes, strict=True))
    boundary = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": None})}
    return build_graph({**boundary, **inner}, list(pairwise(names)))


def core_neurons(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> dict[str, nir.NIRNode]:
    """Every neuron of NIR with parameters of their own for each place."""

    def p(k: int, low: float = 0.1, high: float = 2.0) -> Any:
        return uniform(seed + k, shape, low, high)

    tau = p(1, 2e-3, 2e-2)
    rest = p(2, -0.3, 0.3)
    return {
        "I": nir.I(r=p(3)),
        "IF": nir.IF(r=p(3), v_threshold=p(4), v_reset=p(5, -0.5, 0.1)),
        "LI": nir.LI(tau=tau, r=p(3), v_leak=rest),
        "LIF": nir.LIF(tau=tau, r=p(3, 1, 9), v_leak=rest, v_threshold=p(4, 0.3, 0.8), v_reset=p(5, -0.5, 0.1)),
        "CubaLI": nir.CubaLI(tau_syn=tau / 2, tau_mem=tau, r=p(3), v_leak=rest, w_in=p(6)),
        "CubaLIF": nir.CubaLIF(
            tau_syn=tau / 2,
            tau_mem=tau,
            r=p(3, 1, 9),
            v_leak=rest,
            v_threshold=p(4, 0.3, 0.8),
            v_reset=p(5, -0.5, 0.1),
            w_in=p(6, 1, 5),
        ),
    }


def lanes_of(seed: int, count: int, shape: tuple[int, ...]) -> Any:
    """(count, *shape) ascending positive numbers that are not dyadic."""
    return np.cumsum(uniform(seed, (count, *shape), 0.05, 0.6), axis=0)


def multilevel(lanes: int, lane_shape: tuple[int, ...], reset: str, boundary: str) -> MultiLevelLIF:
    """A neuron over SHAPE whose lane fields have ``lane_shape`` and whose other fields differ from place to place."""
    return MultiLevelLIF(
        shape=SHAPE,
        decay=uniform(1, SHAPE, 0.5, 1.0),
        gain=uniform(2, SHAPE, 0.5, 1.5),
        v_init=uniform(3, SHAPE, -0.2, 0.2),
        lane_threshold=lanes_of(4, lanes, lane_shape),
        lane_weight=lanes_of(5, lanes, lane_shape),
        lane_reset=lanes_of(6, lanes, lane_shape),
        v_reset=uniform(7, SHAPE, -0.2, 0.2),
        reset=reset,
        boundary=boundary,
    )


def outputs(graph: nir.NIRGraph, x: Any, runtime: str = "norse", **options: Any) -> Any:
    """The output of a fresh program."""
    with nirbridge.compile(graph, runtime, dt=DT, **options) as program:
        return program.run(x).output


def assert_equals_reference(graph: nir.NIRGraph, x: Any, dtypes: tuple[str, ...] = ("float64", "float32")) -> Any:
    """Bit for bit, in every dtype; the output must say something."""
    expected = outputs(graph, x, "reference")
    assert np.unique(expected).size > 1
    for dtype in dtypes:
        found = outputs(graph, x, dtype=dtype)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, expected)
    return expected
