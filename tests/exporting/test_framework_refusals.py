"""What of snnTorch, spikingjelly and sinabs no node does: refused by name, with the reason and what to do instead.

The modules are stand-ins with the recorded values of the real ones, of which one is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nirbridge
from nirbridge.errors import ExportError
from tests.exporting.test_frameworks import stand_in

NEURON = 1
"""Where the neuron stands in the recorded networks."""


def of_type(full_name: str, values: dict[str, Any] | None = None) -> nn.Module:
    home, _, name = full_name.rpartition(".")
    module = type(name, (nn.Module,), {"__module__": home})()
    vars(module).update(values or {})
    return module


class MaxSpike:
    __module__ = "sinabs.activation.spike_generation"
    max_num_spikes_per_bin = None


CHANGED: dict[str, tuple[str, dict[str, Any], str]] = {
    "subtract at once": ("snntorch Leaky", {"reset_delay": False}, "subtracts twice where a membrane stays above it"),
    "late zero": ("snntorch Synaptic", {"reset_mechanism": "zero"}, "drops the input of the step behind a spike"),
    "inhibition": ("snntorch Leaky", {"inhibition": True}, "inhibition=True"),
    "quantised state": ("snntorch Leaky", {"state_quant": print}, "state_quant rounds"),
    "no decay": ("snntorch Leaky", {"beta": torch.tensor(0.0)}, "keeps nothing of its membrane"),
    "threshold 0": ("snntorch Leaky", {"threshold": torch.tensor(0.0)}, "so it fires at rest"),
    "factor 0": ("snntorch Leaky", {"graded_spikes_factor": torch.tensor(0.0)}, "graded_spikes_factor is 0"),
    "soft spikes": ("snntorch Leaky", {"spike_grad": torch.sigmoid}, "sends other values than 0 and 1"),
    "RSynaptic at once": ("snntorch RSynaptic", {"reset_delay": False}, "the spikes of another step"),
    "Lapicque": ("snntorch Lapicque", {"time_step": torch.tensor(4.0)}, "time_step/(R C) is 2, above 1"),
    "several alphas": ("snntorch Synaptic", {"alpha": torch.tensor([0.5, 1, 1, 1, 1])}, "decays by 0.5 to 1 a step"),
    "betas that do not fit": ("snntorch Leaky", {"beta": torch.ones(4)}, "does not broadcast to features (5,)"),
    "threshold below reset": ("spikingjelly LIF", {"v_reset": 2.0}, "v_threshold - v_reset is -1.5"),
    "soft spikes of IF": ("spikingjelly IF", {"surrogate_function": torch.sigmoid}, "sends other values"),
    "soft spikes of LIF": ("spikingjelly LIF", {"surrogate_function": torch.sigmoid}, "sends other values"),
    "soft spikes of PLIF": ("spikingjelly ParametricLIF", {"surrogate_function": torch.tanh}, "sends other values"),
    "floor": ("sinabs IAF", {"min_v_mem": torch.tensor(-1.0)}, "min_v_mem keeps its membrane above a floor"),
    "any spikes": ("sinabs IAF", {"spike_fn": MaxSpike()}, "sends any number of spikes a step"),
    "own spikes": ("sinabs IAF", {"spike_fn": print}, "is not one of sinabs"),
    "own reset": ("sinabs IAF", {"reset_fn": print}, "is not one of sinabs"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_settings_that_no_node_has(name: str) -> None:
    network, values, text = CHANGED[name]
    module, _ = stand_in(network)
    neuron = module[NEURON]
    for key, value in values.items():
        neuron._parameters.pop(key, None)
        object.__setattr__(neuron, key, value)
    with pytest.raises(ExportError) as caught:
        nirbridge.export(module, (6,))
    assert text in str(caught.value)
    assert f"module '{NEURON}' ({type(neuron).__name__})" in str(caught.value)


TYPES: dict[str, tuple[str, str]] = {
    "Alpha": ("snntorch._neurons.alpha.Alpha", "two currents that excite and inhibit"),
    "LeakyParallel": ("snntorch._neurons.leakyparallel.LeakyParallel", "without a counterpart"),
    "QIFNode": ("spikingjelly.activation_based.neuron.QIFNode", "by the square of its membrane"),
    "NeuNorm": ("spikingjelly.activation_based.layer.NeuNorm", "nir_exchange"),
    "ALIF": ("sinabs.layers.alif.ALIF", "adapts its threshold"),
}


@pytest.mark.parametrize("name", TYPES)
def test_layers_that_no_node_is(name: str) -> None:
    full_name, text = TYPES[name]
    with pytest.raises(ExportError) as caught:
        nirbridge.export(nn.Sequential(nn.Linear(6, 5), of_type(full_name)), (6,))
    (problem,) = caught.value.problems
    assert text in str(problem)
    assert f"module '1' ({name})" in str(problem)


def test_step_modes_of_one_network_agree() -> None:
    module, _ = stand_in("spikingjelly IF")
    module[NEURON].step_mode = "m"
    with pytest.raises(ExportError, match=r"takes \[B, ...\] of one step, but its input is \[T, B, ...\]"):
        nirbridge.export(module, (6,))


def test_a_subclass_may_mean_something_else() -> None:
    module, _ = stand_in("snntorch Leaky")
    module[NEURON].__class__ = type("Mine", (type(module[NEURON]),), {})
    with pytest.raises(ExportError, match=r"\(Mine\): is a subclass of Leaky"):
        nirbridge.export(module, (6,))


class Loop(nn.Module):
    """The loop over steps that snnTorch's tutorials write."""

    def __init__(self, start: Callable[[], Tensor | None], steps: int) -> None:
        super().__init__()
        net, _ = stand_in("snntorch forward of one step")
        self.fc1, self.lif1, self.start, self.steps = net.fc1, net.lif1, start, steps

    def forward(self, x: Tensor) -> Tensor:
        mem, sent = self.start(), []
        for _ in range(self.steps):
            spk, mem = self.lif1(self.fc1(x), mem)
            sent.append(spk)
        return torch.stack(sent)


@pytest.mark.parametrize(
    ("start", "text"),
    [(lambda: torch.zeros(0), "is given a state to start from"), (lambda: None, "with the state of an earlier call")],
)
def test_a_loop_over_steps_is_told_to_make_one(start: Callable[[], Tensor | None], text: str) -> None:
    with pytest.raises(ExportError) as caught:
        nirbridge.export(Loop(start, 3), (6,))
    assert text in str(caught.value)
    assert "Let forward make one step, without a loop" in str(caught.value)


def test_a_neuron_called_twice_has_one_state() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, _ = stand_in("spikingjelly IF")

        def forward(self, x: Tensor) -> Tensor:
            neuron = self.net[1]
            return neuron(self.net[0](x)) + neuron(self.net[0](x))

    with pytest.raises(ExportError, match="is called again in one forward, but has one state"):
        nirbridge.export(Twice(), (6,))


class Membrane(nn.Module):
    """Reads the membrane of a neuron."""

    def __init__(self, behind: bool) -> None:
        super().__init__()
        self.behind, (net, _) = behind, stand_in("snntorch forward of one step")
        self.fc1, self.lif1, self.fc2 = net.fc1, net.lif1, net.fc2

    def forward(self, x: Tensor) -> Tensor:
        _, mem = self.lif1(self.fc1(x))
        return self.fc2(mem) if self.behind else mem


@pytest.mark.parametrize(("behind", "text"), [(True, "takes the membrane of a neuron"), (False, "a membrane alone")])
def test_a_membrane_stays_inside(behind: bool, text: str) -> None:
    with pytest.raises(ExportError, match=text):
        nirbridge.export(Membrane(behind), (6,))
