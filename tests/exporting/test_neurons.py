"""Every neuron of nirbridge: its node's fields, and spike-exact agreement."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.errors import ExportError
from nirbridge.exporting import export
from nirbridge.ir import EventInput, TemporalMix, find_spec
from nirbridge.ir import MultiLevelLIF as Node
from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, OverTime, PrimitiveNeuron
from tests.exporting.running import compare, dyadic, run_module

_CHANNELS = torch.tensor([0.5, 1.0, 0.75], dtype=torch.float64).reshape(3, 1, 1)
NEURONS: dict[str, Any] = {
    "soft": lambda: MultiLevelLIF(3, threshold=0.5),
    "hard": lambda: MultiLevelLIF(3, threshold=0.5, reset="value", v_reset=0.25),
    "closed boundary": lambda: MultiLevelLIF(3, threshold=0.5, boundary=">="),
    "scaled, leaky": lambda: MultiLevelLIF(4, decay=0.5, gain=0.5, scaled=True, reset="value"),
    "binary": lambda: MultiLevelLIF(1, threshold=0.75, decay=0.875, v_init=0.25),
    "learned": lambda: MultiLevelLIF(3, threshold=0.7, decay=0.9, learn_threshold=True, learn_decay=True),
    "per channel": lambda: MultiLevelLIF(3, threshold=_CHANNELS, decay=_CHANNELS, v_init=-_CHANNELS),
    "levels": lambda: MultiLevelIF(4, threshold=1.5),
    "levels as numbers": lambda: MultiLevelIF(3, threshold=_CHANNELS, output="level", v_init=0.25),
    "learned levels": lambda: MultiLevelIF(3, threshold=0.6, learn_threshold=True),
    "barrier": lambda: Barrier(3, threshold=_CHANNELS),
}


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("folded", [False, True])
def test_neuron_is_exact(name: str, folded: bool) -> None:
    neuron = NEURONS[name]().double()
    net = OverTime(nn.Sequential(nn.Identity(), neuron)) if folded else neuron
    graph = compare(net, dyadic(12, 2, 3, 4, 5, low=-6, high=14))
    (node,) = (node for node in graph.nodes.values() if type(node) is Node)
    assert (node.reset, node.boundary, node.lanes) == (neuron.reset, neuron.boundary, len(neuron.lane_weight))


def test_numbers_stay_numbers_and_channels_stay_channels() -> None:
    one = export(MultiLevelLIF(3, threshold=0.5), (3, 4, 5)).nodes["multilevellif"]
    assert (one.decay.shape, one.lane_threshold.shape, one.lane_weight.shape) == ((), (3,), (3,))
    many = export(MultiLevelLIF(2, threshold=_CHANNELS), (3, 4, 5)).nodes["multilevellif"]
    assert many.lane_threshold.shape == (2, 3, 1, 1)
    np.testing.assert_array_equal(many.lane_threshold, np.stack([_CHANNELS.numpy(), 2 * _CHANNELS.numpy()]))
    np.testing.assert_array_equal(many.lane_weight, [1, 2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nodes_equal_the_constructors_of_the_contract(dtype: torch.dtype) -> None:
    kind = np.float32 if dtype is torch.float32 else np.float64

    def node(neuron: nn.Module) -> Node:
        return export(neuron, (6,)).nodes["multilevellif"]

    theta = torch.tensor(0.7, dtype=dtype)
    expected = Node.one_hot((6,), 3, kind(0.7), kind(0.9), gain=kind(1), v_init=kind(0), v_reset=kind(0))
    _require_equal(node(MultiLevelLIF(3, threshold=theta, decay=0.9)), expected)
    # V_th/N is rounded in the module's dtype, as the module does it.
    quantum = np.asarray(kind(0.7)) / np.asarray(kind(3))
    _require_equal(node(MultiLevelIF(3, threshold=theta)), Node.uniform((6,), 3, quantum, kind(1), kind(0), "value"))


def _require_equal(found: Node, expected: Node) -> None:
    for name in Node.field_names():
        if name in ("v_reset", "gain"):
            assert getattr(found, name) == getattr(expected, name), name
        else:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name, strict=False)
            assert np.asarray(getattr(found, name)).dtype == np.asarray(getattr(expected, name)).dtype, name


def _lmht(steps: int, threshold: Any) -> LMHT:
    neuron = LMHT(3, steps, threshold, v_init=0.125).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        neuron.mixing_logits.copy_(torch.randn(steps, steps, generator=generator))
        neuron.decay_logit.fill_(-0.3)
    return neuron


@pytest.mark.parametrize("threshold", [0.5, _CHANNELS])
def test_lmht_is_a_mix_and_a_neuron(threshold: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)
            self.act = _lmht(4, threshold)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.conv(x))

    torch.manual_seed(0)
    net = OverTime(Net().double())
    graph = compare(net, dyadic(4, 3, 2, 6, 6))
    assert graph.edges[1:3] == [("conv", "act.mix"), ("act.mix", "act")]
    mix = graph.nodes["act.mix"]
    assert type(mix) is TemporalMix
    np.testing.assert_allclose(mix.weight, 2 / (1 + np.exp(-net.module.act.mixing_logits.detach().numpy())) / 4)
    assert graph.nodes["act"].decay == pytest.approx(1 / (1 + np.exp(0.3)) + 0.5)
    np.testing.assert_array_equal(graph.nodes["act"].lane_weight, graph.nodes["act"].lane_threshold)


def test_a_neuron_called_twice_has_two_states() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = MultiLevelLIF(2, decay=0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.act(x) + x)

    assert list(compare(Twice().double(), dyadic(8, 2, 5)).nodes) == ["input", "act", "act_1", "output"]


def _lif(dt: float) -> PrimitiveNeuron:
    spec = find_spec(nir.LIF)
    assert spec is not None
    return PrimitiveNeuron(spec, dt=dt, tau=0.01, r=1.0, v_leak=0.0, v_threshold=0.5, v_reset=0.0).double()


def test_a_primitive_trained_at_another_step_is_refused() -> None:
    neuron = _lif(2e-3)
    with pytest.raises(ExportError, match="runs at dt=0.002, the graph at 0.001 seconds per step"):
        export(neuron, (3,))
    with pytest.raises(ExportError, match=r"at 0.01 seconds per step. Export with dt=0.002"):
        export(neuron, input_node=EventInput((2, 4, 4), (4, 4), 10_000, 1, 1, "count", "or"))
    x = dyadic(20, 2, 3)
    with nirbridge.compile(export(neuron, (3,), dt=2e-3), "reference", dt=2e-3) as program:
        found = program.run(x.numpy()).output
    np.testing.assert_array_equal(found, run_module(neuron, x))
    assert np.ptp(found) == 1


def test_a_primitive_without_time_constants_fits_any_step() -> None:
    spec = find_spec(nir.IF)
    assert spec is not None
    assert export(PrimitiveNeuron(spec, dt=2e-3, r=1.0, v_threshold=0.5, v_reset=0.0), (3,))
