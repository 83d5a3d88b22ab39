"""What GPTQ knows of a layer's inputs."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import flatten
from nirbridge.quantizing.hessians import hessians
from nirbridge.quantizing.patches import patches, thinned
from tests.conformance.cases import Graph, line
from tests.quantizing.networks import NETWORKS, Maker, frames

DT = 1e-3


def of(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    return hessians(flatten(graph), {"input": x}, DT)


def recorded(graph: Graph, x: np.ndarray, *names: str) -> list[np.ndarray]:
    with nirbridge.compile(graph, dt=DT) as program:
        found = program.run(x, record=list(names)).records
    return [found[name] for name in names]


def gram(rows: np.ndarray) -> np.ndarray:
    rows = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
    return 2 * rows.T @ rows


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 2), ((1, 2), (2, 1), (2, 1), 1), (1, 1, 1, 4)]
)
def test_rows_times_weights_are_the_convolution(stride: object, padding: object, dilation: object, groups: int) -> None:
    random = np.random.default_rng(0)
    node = nir.Conv2d(None, random.normal(size=(8, 4 // groups, 3, 2)), stride, padding, dilation, groups, np.zeros(8))
    x = random.normal(size=(1, 3, 4, 7, 6))
    with nirbridge.compile(line(node, shape=(4, 7, 6))) as program:
        expected = program.run(x).output[0]
    rows = patches(node, x[0], 10**6)
    found = rows @ np.swapaxes(node.weight.reshape(groups, 8 // groups, -1), 1, 2)  # [G, N·places, out of a group]
    found = np.moveaxis(found, 1, 0).reshape(3, -1, 8)
    assert np.abs(np.moveaxis(found, 2, 1).reshape(expected.shape) - expected).max() < 1e-12
    fewer = patches(node, x[0], 10)
    assert fewer.shape[1] <= 10
    assert all((rows[0] == row).all(axis=1).any() for row in fewer[0])


def test_rows_of_one_axis_and_of_matrices_by_place() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(2, 3, 9))
    node = nir.Conv1d(None, random.normal(size=(5, 3, 4)), 2, 1, 1, 1, np.zeros(5))
    with nirbridge.compile(line(node, shape=(3, 9))) as program:
        expected = program.run(x[None]).output[0]
    found = (patches(node, x, 100)[0] @ node.weight.reshape(5, -1).T).reshape(2, -1, 5)
    assert np.abs(np.moveaxis(found, 2, 1) - expected).max() < 1e-12
    by_place = nir.Linear(random.normal(size=(3, 4, 9)))
    assert (patches(by_place, x, 100) == np.moveaxis(x, 0, 1)).all()


def test_a_network_of_steps_sees_every_step() -> None:
    graph = NETWORKS["dense"](Maker(0))
    x = frames(graph)
    found = of(graph, x)
    entered = dict(zip(("n0", "n2", "n4"), recorded(graph, x, "input", "n1", "n3"), strict=True))
    for name, values in entered.items():
        np.testing.assert_allclose(found[name], gram(values), rtol=1e-5)


def test_a_cycle_brings_what_was_sent_the_step_before() -> None:
    graph = NETWORKS["recurrent"](Maker(1))
    x = frames(graph)
    (sent,) = recorded(graph, x, "act")
    np.testing.assert_allclose(of(graph, x)["rec"], gram(sent), rtol=1e-5)
    nodes = {"pass": nir.Linear(np.eye(4)), "back": nir.Linear(np.eye(4) / 2), "act": nir.IF(np.ones(4), np.ones(4))}
    edges = [("input", "pass"), ("pass", "act"), ("act", "back"), ("back", "pass"), ("act", "output")]
    ends = {"input": nir.Input({"input": np.array([4])}), "output": nir.Output({"output": np.array([4])})}
    looped = nir.NIRGraph({**ends, **nodes}, edges, type_check=False)
    (back,) = recorded(looped, x, "back")
    late = np.concatenate([0 * back[:1], back[:-1]])
    np.testing.assert_allclose(of(looped, x)["pass"], gram(x + late), rtol=1e-5)


def test_a_phase_code_is_seen_decoded() -> None:
    """One row a window: Σ Q^-t s(t), of the base in which the neuron behind it adds up."""
    graph = NETWORKS["phases"](Maker(2))
    x = frames(graph, steps=3, batch=5)
    found = of(graph, x)
    names = list(graph.nodes)
    last = max((name for name in names if type(graph.nodes[name]) is nir.Linear), key=names.index)
    source = next(a for a, b in graph.edges if b == last)
    (sent,) = recorded(graph, x, source)
    decoded = np.tensordot(sent.reshape(3, 8, *sent.shape[1:]), 1.5 ** -np.arange(1.0, 9), (1, 0))
    np.testing.assert_allclose(found[last], gram(decoded), rtol=1e-5)
    assert found["n1"].shape == (1, 18, 18)


@pytest.mark.parametrize("size", [5, 6, 7, 9, 15])
def test_thinned_places_are_in_all_columns(size: int) -> None:
    """For whatever step: one of 7 on maps of 7 columns would look at the border alone."""
    places = np.tile(np.arange(size), 256 * size)
    for step in range(2, 40):
        found = np.bincount(thinned(places, len(places) // step), minlength=size)
        assert found.min() > 0.8 * found.mean()
