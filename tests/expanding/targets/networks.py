"""The networks that every platform is tried on: dyadic weights, so that equal means equal."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

import nirbridge
from nirbridge.demo.scene import EVENT_INPUT
from nirbridge.expanding.core import state_shapes
from nirbridge.ir import MultiLevelLIF, build_graph

Array = NDArray[Any]
STEPS, BATCH = 12, 3


def _weights(seed: int, *shape: int, size: int = 8) -> Array:
    """Eighths, about as often below 0 as above."""
    return np.random.default_rng(seed).integers(-size + 2, size, shape) / 8


def _chain(
    shape: tuple[int, ...], sends: tuple[int, ...], *nodes: nir.NIRNode, extra: tuple[tuple[str, str], ...] = ()
) -> nir.NIRGraph:
    names = ["input", *(f"n{place}" for place in range(len(nodes))), "output"]
    made = dict(zip(names, [nir.Input(np.array(shape)), *nodes, nir.Output(np.array(sends))], strict=True))
    edges = [*itertools.pairwise(names), *extra]
    return build_graph(made, edges)


def lif_mlp() -> nir.NIRGraph:
    """Two layers of binary LIF with hard reset, decays 1/2 and 3/4, at dt 1e-3."""

    def neurons(count: int, share: float) -> nir.LIF:
        one = np.ones(count)
        return nir.LIF(1e-3 / share * one, one / share, 0 * one, 0.75 * one, 0 * one)

    first = nir.Affine(_weights(0, 10, 6), _weights(1, 10) / 2)
    return state_shapes(_chain((6,), (7,), first, neurons(10, 0.5), nir.Linear(_weights(2, 7, 10)), neurons(7, 0.25)))


def mlif_cnn() -> nir.NIRGraph:
    """Convolution, pool and matrix with one-hot M-LIF of three lanes, soft reset."""

    def neurons(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, lanes=3, decay=0.5)

    convolution = nir.Conv2d((8, 8), _weights(3, 4, 2, 3, 3), 1, 1, 1, 1, np.zeros(4))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([4, 4, 4])}, 0, -1)
    matrix = nir.Linear(_weights(4, 9, 64, size=4))
    return state_shapes(_chain((2, 8, 8), (9,), convolution, neurons(4, 8, 8), pool, flat, matrix, neurons(9)))


def levels_net() -> nir.NIRGraph:
    """Two layers of four-level IF with soft reset at >=."""

    def neurons(count: int) -> MultiLevelLIF:
        return MultiLevelLIF.uniform((count,), levels=4, step=0.5, output="value")

    return state_shapes(
        _chain((6,), (5,), nir.Linear(_weights(5, 8, 6)), neurons(8), nir.Linear(_weights(6, 5, 8)), neurons(5))
    )


def residual_net() -> nir.NIRGraph:
    """Convolutions with M-LIF of two lanes, the second one's input added to its output."""

    def neurons(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, lanes=2, decay=0.5)

    def convolution(seed: int, inputs: int) -> nir.Conv2d:
        return nir.Conv2d((6, 6), _weights(seed, 3, inputs, 3, 3), 1, 1, 1, 1, np.zeros(3))

    graph = _chain(
        (2, 6, 6),
        (3, 6, 6),
        *(convolution(7, 2), neurons(3, 6, 6), convolution(8, 3), neurons(3, 6, 6)),
        *(convolution(9, 3), neurons(3, 6, 6)),
        extra=(("n1", "n4"),),
    )
    return state_shapes(graph)


def channels_net() -> nir.NIRGraph:
    """A strided convolution with M-LIF whose thresholds, decays and resets at >= are each channel's own; uniform IF."""
    own = np.array([0.5, 1.0, 1.5]).reshape(3, 1, 1)
    thresholds = own * np.array([1, 2, 4]).reshape(3, 1, 1, 1)
    neurons = MultiLevelLIF(
        shape=(3, 4, 6),
        decay=np.array([0.5, 0.75, 1.0]).reshape(3, 1, 1),
        gain=np.array([1.0, 0.5, 2.0]).reshape(3, 1, 1),
        v_init=np.zeros(()),
        lane_threshold=thresholds,
        lane_weight=np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1),
        lane_reset=thresholds / 2,
        v_reset=np.zeros(()),
        boundary=">=",
    )
    convolution = nir.Conv2d((7, 6), _weights(10, 3, 2, 3, 3), (2, 1), 1, 1, 1, _weights(11, 3))
    flat = nir.Flatten({"input": np.array([3, 4, 6])}, 0, -1)
    matrix = nir.Affine(_weights(12, 5, 72, size=4), _weights(13, 5))
    last = MultiLevelLIF.uniform((5,), levels=3, step=0.5, output="level")
    return state_shapes(_chain((2, 7, 6), (5,), convolution, neurons, flat, matrix, last))


def synapses_net() -> nir.NIRGraph:
    """CubaLIF with a v_leak, a v_reset below 0 for the next layer, and a leaky readout of membranes."""
    one, last = np.ones(8), np.ones(4)
    first = nir.CubaLIF(2e-3 * one, 4e-3 * one, 2 * one, 0.25 * one, 0.75 * one, 0 * one, one)
    second = nir.LIF(2e-3 * one, 2 * one, 0.5 * one, one, -0.25 * one)
    readout = nir.LI(2e-3 * last, 2 * last, 0.5 * last)
    matrices = nir.Linear(_weights(14, 8, 6)), nir.Linear(_weights(15, 8, 8)), nir.Affine(_weights(16, 4, 8), last / 4)
    return state_shapes(_chain((6,), (4,), matrices[0], first, matrices[1], second, matrices[2], readout))


def recurrent_net() -> nir.NIRGraph:
    """M-LIF of two lanes that all lead back to all through a matrix with a bias, and LIF behind it."""
    first = nir.Linear(_weights(21, 6, 5)), MultiLevelLIF.one_hot((6,), 2, decay=0.5), nir.Linear(_weights(22, 4, 6))
    one = np.ones(4)
    graph = _chain((5,), (4,), *first, nir.LIF(2e-3 * one, 2 * one, 0 * one, one, 0 * one))
    back = nir.Affine(_weights(23, 6, 6) / 4, _weights(24, 6) / 4)
    return state_shapes(build_graph({**graph.nodes, "back": back}, [*graph.edges, ("n1", "back"), ("back", "n1")]))


def audio_net() -> nir.NIRGraph:
    """Convolutions along one axis, strided and grouped, M-LIF of two lanes; LIF with each its threshold and decay."""
    first = nir.Conv1d(16, _weights(17, 4, 3, 3), 2, 1, 1, 1, _weights(18, 4) / 2)
    second = nir.Conv1d(8, _weights(19, 4, 2, 3), 1, "valid", 2, 2, np.zeros(4))
    own = np.array([1, 2, 3, 4, 2])
    last = nir.LIF(1e-3 * 2.0**own, 2.0**own, np.zeros(5), own / 2, np.zeros(5))
    flat = nir.Flatten({"input": np.array([4, 4])}, 0, -1)
    neurons = MultiLevelLIF.one_hot((4, 8), 2, decay=0.5), MultiLevelLIF.one_hot((4, 4), 2, decay=0.75)
    matrix = nir.Linear(_weights(20, 5, 16))
    return state_shapes(_chain((3, 16), (5,), first, neurons[0], second, neurons[1], flat, matrix, last))


def demo() -> nir.NIRGraph:
    """The network of ``nirbridge demo``: M-LIF of three lanes with hard reset, trained."""
    from safetensors.torch import load_file

    from nirbridge.demo.network import WEIGHTS, DemoNetwork

    module = DemoNetwork()
    module.load_state_dict(load_file(WEIGHTS))
    return nirbridge.export(module, input_shape=EVENT_INPUT.shape)


NETWORKS: dict[str, Callable[[], nir.NIRGraph]] = {
    "LIF MLP": lif_mlp,
    "M-LIF CNN": mlif_cnn,
    "4-level IF": levels_net,
    "residual": residual_net,
    "channels": channels_net,
    "synapses": synapses_net,
    "audio": audio_net,
    "recurrent": recurrent_net,
    "demo": demo,
}


def data(name: str, graph: nir.NIRGraph) -> Array:
    """[T, B, *shape]: small whole numbers and quarters."""
    shape = next(node for node in graph.nodes.values() if type(node) is nir.Input).input_type["input"]
    rng = np.random.default_rng(len(name))
    if name == "demo":
        return (rng.random((STEPS, BATCH, *shape)) < 0.2) * 1.0
    return rng.integers(0, 9, (STEPS, BATCH, *shape)) / 4
