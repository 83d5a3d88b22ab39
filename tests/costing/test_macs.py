"""Multiply-accumulates: the published VGG-16 figures, and small layers against brute force."""

from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

from nirbridge.costing import ann_energy, count_macs
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import Aggregate, SparseMatrix, find_spec
from nirbridge.primitives import BUILT_IN
from nirbridge.runtime import make_plan
from tests.costing.nets import conv, entry, line, vgg16


@pytest.mark.parametrize(("size", "classes", "published"), [(32, 10, 1557), (224, 1000, 71163)])
def test_vgg16_takes_the_published_energy(size: int, classes: int, published: float) -> None:
    assert ann_energy(vgg16(size, classes)) * 1e-6 == pytest.approx(published, rel=1e-3)


def test_vgg16_has_the_known_numbers_of_macs() -> None:
    small, large = count_macs(vgg16(32, 10)), count_macs(vgg16(224, 1000))
    assert len(small) == len(large) == 16
    assert small["n0"] == 3 * 64 * 9 * 32 * 32
    assert list(large.values())[-3:] == [25088 * 4096, 4096 * 4096, 4096 * 1000]
    assert sum(large.values()) == 15_470_264_320


def _brute_force(node: nir.Conv2d, size: tuple[int, int]) -> int:
    """Products that a loop over all output positions makes, padding included as in the formula."""
    stride, pad = int(node.stride[0]), int(node.padding[0])
    count = 0
    rows, columns = (range(0, n + 2 * pad - k + 1, stride) for n, k in zip(size, node.weight.shape[2:], strict=True))
    for _ in itertools.product(range(node.weight.shape[0]), rows, columns):
        count += node.weight[0].size
    return count


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolutions_with_groups_and_stride(groups: int, stride: int) -> None:
    node = conv(np.ones((8, 4 // groups, 3, 2)), stride=stride, padding=1, groups=groups)
    node.stride, node.padding = np.array([stride] * 2), np.array([1, 1])
    macs = count_macs(line(node, entry=entry(4, 9, 8)))
    assert macs == {"n0": _brute_force(node, (9, 8))}


def test_linear_layers_count_each_position() -> None:
    assert count_macs(line(nir.Linear(np.ones((3, 4))), entry=entry(4))) == {"n0": 12}
    assert count_macs(line(nir.Linear(np.ones((3, 4))), entry=entry(5, 4))) == {"n0": 60}


def test_conv1d_counts_its_own_axis() -> None:
    node = nir.Conv1d(None, np.ones((6, 2, 3)), 2, 0, 1, 1, np.zeros(6))
    assert count_macs(line(node, entry=entry(2, 9))) == {"n0": 6 * 2 * 3 * 4}


def test_aggregation_counts_edges_of_the_graph() -> None:
    dense = np.array([[0.5, 0.5, 0], [0.5, 0, 0], [0, 0, 1.0]])
    row, column = np.nonzero(dense)
    sparse = SparseMatrix(dense.shape, row, column, dense[row, column])
    for weight in (dense, sparse):
        assert count_macs(line(Aggregate(weight), entry=entry(3, 7))) == {"n0": 4 * 7}


def test_eight_bits_are_cheaper() -> None:
    graph = line(nir.Linear(np.ones((3, 4))), entry=entry(4))
    assert ann_energy(graph, bits=8) == pytest.approx(12 * 0.23)
    with pytest.raises(InputError, match="option 'bits': 16 is not among 32, 8"):
        ann_energy(graph, bits=16)


def test_every_primitive_has_a_role_and_its_rule() -> None:
    for spec in BUILT_IN:
        cost = spec.cost
        assert bool(cost.uncounted) == (cost.role in ("boundary", "transparent")), spec.node
        assert (cost.synapses is not None) == (cost.role == "synapses"), spec.node
        assert (cost.membrane is not None) == (cost.role in ("spiking neuron", "analog neuron")), spec.node
        assert (cost.unit is not None) == (cost.role in ("transparent", "product")), spec.node
        assert (cost.role == "spiking neuron") == spec.sends.spikes, spec.node


def test_a_node_without_a_role_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = line(nir.Linear(np.ones((3, 4))), nir.Scale(np.ones(3)), entry=entry(4))
    assert make_plan(graph)["n1"]
    monkeypatch.setattr(
        "nirbridge.costing.roles.find_spec", lambda kind: None if kind is nir.Scale else find_spec(kind)
    )
    with pytest.raises(UnsupportedError, match=r"node 'n1' \(Scale\): no energy model has a rule"):
        count_macs(graph)
