"""What the passes change, and that they change nothing else."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import Aggregate, MaxPool2d, MultiLevelLIF, PhaseEncode, PhaseIF, Place, SparseMatrix, flatten
from nirbridge.passes.resolve_phase_pooling import resolve_phase_pooling
from nirbridge.passes.widen_parameters import widen_parameters
from nirbridge.primitives import FirstSpikePool2d
from tests.ir.graphs import chain

IMAGE = (2, 4, 4)


def _kinds(*nodes: nir.NIRNode) -> list[str]:
    flat, _ = resolve_phase_pooling(flatten(chain(*nodes, shape=IMAGE, out=(1,))))
    return [type(node).__name__ for node in flat.nodes.values()][1:-1]


def _fire() -> PhaseIF:
    return PhaseIF(IMAGE, 4, 4, 2.0, 2.0, 1.0, 0.0)


def test_pools_behind_phase_neurons_take_the_first_spike() -> None:
    pool = MaxPool2d(2, 2, 0)
    assert _kinds(_fire(), pool) == ["PhaseIF", "FirstSpikePool2d"]
    assert _kinds(_fire(), pool, MaxPool2d(2, 2, 0)) == ["PhaseIF", "FirstSpikePool2d", "FirstSpikePool2d"]
    assert _kinds(pool) == ["MaxPool2d"]
    assert _kinds(PhaseEncode(IMAGE, 4), pool) == ["PhaseEncode", "MaxPool2d"]
    assert _kinds(_fire(), nir.Scale(np.ones(IMAGE)), pool) == ["PhaseIF", "Scale", "MaxPool2d"]


def test_pools_see_through_what_only_moves_spikes() -> None:
    pool, zeros = MaxPool2d(2, 2, 0), np.zeros(2)
    swapped = np.eye(2)[::-1].reshape(2, 2, 1, 1)
    for moving in (Place(IMAGE, (5, 4, 4), 1, 3), nir.Conv2d((4, 4), swapped, 1, 0, 1, 1, zeros)):
        assert _kinds(_fire(), moving, pool)[-1] == "FirstSpikePool2d"
    for other in (
        nir.Conv2d((4, 4), 2 * swapped, 1, 0, 1, 1, zeros),
        nir.Conv2d((4, 4), swapped, 1, 0, 1, 1, zeros + 1),
        nir.Conv2d((4, 4), np.ones((2, 2, 1, 1)), 1, 0, 1, 1, zeros),
    ):
        assert _kinds(_fire(), other, pool)[-1] == "MaxPool2d"


@pytest.mark.parametrize("other", [_fire(), PhaseEncode(IMAGE, 4), PhaseIF(IMAGE, 4, 4, 2.0, 2.0, 1.0, 0.0, spikes=2)])
@pytest.mark.parametrize("moving", [MaxPool2d(1, 1, 0), Place(IMAGE, (4, 4, 4), 0, 2)])
def test_sums_of_trains_are_not_pooled(other: nir.NIRNode, moving: nir.NIRNode) -> None:
    """They were pooled as one train, of which the first spike tells the largest value."""
    nodes = {"a": _fire(), "b": other, "pool": moving, "last": MaxPool2d(2, 2, 0)}
    edges = [("input", "a"), ("input", "b"), ("a", "pool"), ("b", "pool"), ("pool", "last")]
    flat = flatten(nir.NIRGraph({"input": nir.Input(np.array(IMAGE)), **nodes}, edges, type_check=False))
    resolved, problems = resolve_phase_pooling(flat)
    assert type(resolved.nodes["last"]) is MaxPool2d
    assert {problem.where for problem in problems} >= {"node 'last' (MaxPool2d)"}


@pytest.mark.parametrize("start", [0, 1, 2])
def test_trains_side_by_side_are_pooled(start: int) -> None:
    nodes = {"a": _fire(), "b": _fire(), "first": Place(IMAGE, (4, 4, 4), 0, 2)}
    nodes |= {"second": Place(IMAGE, (4, 4, 4), start, start + 2), "pool": MaxPool2d(2, 2, 0)}
    edges = [("input", "a"), ("input", "b"), ("a", "first"), ("b", "second"), ("first", "pool"), ("second", "pool")]
    flat = flatten(nir.NIRGraph({"input": nir.Input(np.array(IMAGE)), **nodes}, edges, type_check=False))
    resolved, problems = resolve_phase_pooling(flat)
    assert (type(resolved.nodes["pool"]) is FirstSpikePool2d) == (not problems) == (start == 2)


def test_the_pool_knows_its_phases_and_the_graph_keeps_its_node() -> None:
    graph = chain(_fire(), MaxPool2d(2, 2, 0), shape=IMAGE, out=(1,))
    flat, _ = resolve_phase_pooling(flatten(graph))
    assert isinstance(flat.nodes["n1"], FirstSpikePool2d)
    assert flat.nodes["n1"].phases == 4
    assert type(graph.nodes["n1"]) is MaxPool2d


def test_widening_is_exact_and_leaves_integers_and_the_graph() -> None:
    weight, bias = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32), np.array([0.1, 0.2], np.float32)
    sparse = SparseMatrix((2, 2), [0], [1], np.array([0.1], np.float16))
    lanes = MultiLevelLIF((2,), 1, 1, 0, np.array([1, 2]), np.array([1, 2]), np.array([1, 2]), 0)
    nodes = nir.Affine(weight, bias), Aggregate(sparse), lanes, nir.Scale(np.array([0.1, 0.2], np.float16))
    graph = chain(*nodes, shape=(2,), out=(2,))
    wide = widen_parameters(flatten(graph)).nodes
    assert wide["n0"].bias.dtype == np.float64
    assert (wide["n0"].bias == bias).all()
    assert wide["n3"].scale.dtype == np.float64
    assert wide["n2"].lane_threshold.dtype.kind == "i"
    assert graph.nodes["n0"].bias is bias
    assert graph.nodes["n3"].scale.dtype == np.float16
    assert wide["n0"].weight is weight, "weights of synapses stay as they are stored"
    assert wide["n1"].weight.value.dtype == np.float16


def test_time_constants_divide_in_double_precision() -> None:
    tau = np.array([3e-3], np.float32)
    one = np.ones(1, np.float32)
    with nirbridge.compile(chain(nir.LI(tau, one, 0 * one), shape=(1,), out=(1,)), dt=1e-3) as program:
        assert program.run(np.ones((1, 1, 1))).output.item() == 1e-3 / float(tau[0])
