"""Every neuron: compiled pass, torch steps and reference give the same bits."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

from nirbridge.ir import MultiLevelLIF
from nirbridge_norse.neurons import fused_snn
from tests.norse.norse_graphs import (
    DT,
    SHAPE,
    assert_equals_reference,
    chain,
    core_neurons,
    dyadic,
    multilevel,
    outputs,
    uniform,
)

NAMES = sorted(core_neurons())
X = uniform(40, (25, 2, *SHAPE), -1.0, 3.0)


def stepwise(monkeypatch, graph, x, dtype):
    """The output with the compiled passes switched off."""
    with monkeypatch.context() as patch:
        patch.setattr(fused_snn, "numba_is_there", lambda: False)
        return outputs(graph, x, dtype=dtype)


def assert_three_agree(monkeypatch, graph, x):
    for dtype in ("float64", "float32"):
        fused = outputs(graph, x, dtype=dtype)
        assert np.unique(fused).size > 1
        np.testing.assert_array_equal(fused, stepwise(monkeypatch, graph, x, dtype))
        if dtype == "float64":
            np.testing.assert_array_equal(fused, outputs(graph, x, "reference"))


@pytest.mark.parametrize("name", NAMES)
def test_core_neuron_with_arbitrary_numbers(monkeypatch, name):
    assert_three_agree(monkeypatch, chain(SHAPE, core_neurons()[name]), X)


@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize(
    ("lanes", "lane_shape"), [(1, ()), (3, ()), (3, (3, 1, 1)), (4, SHAPE), (8, ()), (9, ()), (31, (3, 1, 1))]
)
def test_multilevel_with_arbitrary_numbers(monkeypatch, lanes, lane_shape, reset, boundary):
    assert_three_agree(monkeypatch, chain(SHAPE, multilevel(lanes, lane_shape, reset, boundary)), X)


def test_lane_fields_of_different_shapes(monkeypatch):
    node = multilevel(3, (3, 1, 1), "subtract", ">")
    node.lane_weight = np.array([1.0, 2.0, 4.0])
    node.lane_reset = uniform(9, (3, *SHAPE))
    assert_three_agree(monkeypatch, chain(SHAPE, node), X)


def test_channels_large_enough_to_sweep_by_lane(monkeypatch):
    shape = (3, 30, 50)
    node = MultiLevelLIF.one_hot(shape, 3, threshold=np.array([0.3, 0.7, 1.1]).reshape(3, 1, 1), decay=0.9)
    assert_three_agree(monkeypatch, chain(shape, node), uniform(3, (6, 2, *shape), -1, 3))


@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 8, 9, 16, 255])
def test_highest_lane_at_and_beside_every_threshold(lanes, boundary):
    thresholds = np.cumsum(uniform(lanes, (lanes,), 0.05, 0.6))
    probes = np.concatenate([[-1.0, 0.0], thresholds, np.nextafter(thresholds, 9e9), np.nextafter(thresholds, -9e9)])
    above = probes[:, None] >= thresholds if boundary == ">=" else probes[:, None] > thresholds
    expected = above.sum(axis=1).astype(float)
    node = MultiLevelLIF(
        shape=probes.shape,
        decay=0.0,
        gain=1.0,
        v_init=0.0,
        lane_threshold=thresholds,
        lane_weight=np.arange(1.0, lanes + 1),
        lane_reset=thresholds,
        v_reset=0.0,
        boundary=boundary,
    )
    graph = chain(probes.shape, node)
    np.testing.assert_array_equal(outputs(graph, probes[None, None], dtype="float64")[0, 0], expected)


def test_float32_equals_reference_on_dyadic_numbers():
    x = dyadic(1, (20, 3, *SHAPE), 64)
    nodes = [
        nir.IF(r=dyadic(2, SHAPE), v_threshold=1 + dyadic(3, SHAPE) / 2, v_reset=dyadic(4, SHAPE) / 2),
        nir.I(r=dyadic(5, SHAPE)),
        MultiLevelLIF.one_hot(SHAPE, 3, threshold=1.5 + dyadic(6, SHAPE), decay=1.0),
        MultiLevelLIF.one_hot(SHAPE, 3, threshold=1.5 + dyadic(6, SHAPE), decay=0.5, reset="value"),
        MultiLevelLIF.uniform(SHAPE, 255, 1 / 32),
        MultiLevelLIF.uniform(SHAPE, 4, 0.25, v_init=0.125, output="value"),
    ]
    for node in nodes:
        assert_equals_reference(chain(SHAPE, node), x)


def test_leaky_neurons_in_float32_on_dyadic_numbers():
    rate, dt = 0.25, 2.0**-10
    shape = (7,)
    tau = np.full(shape, dt / rate)
    one = np.ones(shape)
    x = dyadic(8, (6, 2, 7), 64)
    common = {"r": 2 * one, "v_leak": one / 4}
    for node in (
        nir.LIF(tau=tau, v_threshold=one / 2, v_reset=-one / 4, **common),
        nir.LI(tau=tau, **common),
        nir.CubaLIF(tau_syn=tau, tau_mem=tau, v_threshold=one / 2, v_reset=-one / 4, w_in=3 * one, **common),
        nir.CubaLI(tau_syn=tau, tau_mem=tau, w_in=3 * one, **common),
    ):
        expected = outputs_with_dt(chain(shape, node), x, "reference", dt)
        assert np.unique(expected).size > 1
        np.testing.assert_array_equal(outputs_with_dt(chain(shape, node), x, "norse", dt), expected)


def outputs_with_dt(graph, x, runtime, dt):
    import nirbridge

    with nirbridge.compile(graph, runtime, dt=dt) as program:
        return program.run(x).output


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_parameters_as_files_hold_them(name):
    node = core_neurons()[name]
    for field, value in vars(node).items():
        if isinstance(value, np.ndarray):
            setattr(node, field, value.astype(np.float32))
    graph = chain(SHAPE, node)
    np.testing.assert_array_equal(outputs(graph, X, dtype="float64"), outputs(graph, X, "reference"))


@pytest.mark.parametrize("shape", [(1,), (7,), (1023,), (1025,), (2, 40, 41)])
@pytest.mark.parametrize("batch", [1, 3, 150])
def test_every_neuron_meets_its_own_parameters(shape, batch):
    if batch * np.prod(shape) > 200_000:
        batch = 2
    node = nir.IF(r=uniform(1, shape), v_threshold=uniform(2, shape), v_reset=uniform(3, shape, -1, 0))
    x = uniform(4, (4, batch, *shape), -1, 3)
    graph = chain(shape, node)
    np.testing.assert_array_equal(outputs(graph, x, dtype="float64"), outputs(graph, x, "reference"))


def test_many_levels_need_no_memory_for_each_level():
    """One threshold a layer stays one table row a level, whatever the layer's size."""
    from nirbridge_norse.neurons.lanes import lane_parameters
    from nirbridge_norse.setting import make_setting

    node = MultiLevelLIF.uniform((64, 48, 48), 255, np.full((64, 1, 1), 1 / 16))
    lanes = lane_parameters(node, make_setting(DT)).lanes
    assert lanes.threshold.shape == (255, 64)
    assert lanes.weight.shape == lanes.amount.shape == (256, 64)
    assert lanes.group.shape == (64, 1, 1)
    torch.testing.assert_close(lanes.threshold[:, 0], torch.arange(1, 256) / 16)
