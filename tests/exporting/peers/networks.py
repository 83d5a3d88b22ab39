"""Networks of other frameworks as their users write them, with dyadic weights, and how each is run over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tests.exporting.running import dyadic, make_dyadic

T, B, INPUTS, NEURONS = 12, 3, 6, 5


def by_steps(net: nn.Module, x: Tensor) -> Tensor:
    """One step after the other; of a cell's spikes and states the spikes count."""
    sent = [net(frame) for frame in x]
    return torch.stack([one[0] if isinstance(one, tuple) else one for one in sent])


def over_time(net: nn.Module, x: Tensor) -> Tensor:
    return net(x)


def batch_first(net: nn.Module, x: Tensor) -> Tensor:
    return net(x.transpose(0, 1)).transpose(0, 1)


def squeezed(net: nn.Module, x: Tensor) -> Tensor:
    y = net(x.transpose(0, 1).flatten(0, 1))
    return y.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)


@dataclass(frozen=True)
class Network:
    """What builds a network, how it runs on [T, B, *shape], and the package that it needs."""

    package: str
    build: Callable[[], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    shape: tuple[int, ...] = (INPUTS,)

    def made(self) -> nn.Module:
        return make_dyadic_weights(self.build()).eval()

    def data(self) -> Tensor:
        return dyadic(T, B, *self.shape, seed=2, low=-4, high=12).float()


def make_dyadic_weights(net: nn.Module) -> nn.Module:
    """Dyadic weights, and few steps, so that single precision is exact; what neurons learn stays as it was set.

    Spikes of snnTorch and sinabs are in single precision whatever the membrane is in.
    """
    for index, layer in enumerate(net.modules()):
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv1d)):
            make_dyadic(layer, index)
    return net.float()


def _t(*values: float) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


def _snntorch(name: str, **settings: Any) -> Network:
    def build() -> nn.Module:
        import snntorch

        defaults = {"beta": 0.5, "init_hidden": True}
        if "Synaptic" in name:
            defaults["alpha"] = 0.5
        layer = getattr(snntorch, name)(**{**defaults, **settings})
        if isinstance(getattr(layer, "recurrent", None), nn.Linear):
            make_dyadic(layer.recurrent, 5)
        last = snntorch.Leaky(0.5, init_hidden=True, output=True)
        return nn.Sequential(nn.Linear(INPUTS, NEURONS), layer, nn.Linear(NEURONS, 3), last)

    return Network("snntorch", build, by_steps)


def _recurrent_pictures() -> nn.Module:
    import snntorch

    cell = snntorch.RLeaky(0.5, conv2d_channels=2, kernel_size=3, init_hidden=True)
    return nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), cell, nn.Flatten(), nn.Linear(40, 3))


class OneStep(nn.Module):
    """The cells' states stay with them, and are returned."""

    def __init__(self) -> None:
        super().__init__()
        import snntorch

        self.fc1, self.lif1 = nn.Linear(INPUTS, NEURONS), snntorch.Leaky(0.5, threshold=_t(1.0, 0.5, 1.5, 1.0, 2.0))
        self.fc2, self.lif2 = nn.Linear(NEURONS, 3), snntorch.Synaptic(0.25, 0.5)

    def forward(self, x: Tensor) -> Any:
        spk1, mem1 = self.lif1(self.fc1(x))
        spk2, _, mem2 = self.lif2(self.fc2(spk1))
        return spk2, mem1, mem2


def _spikingjelly(name: str, mode: str = "s", **settings: Any) -> Network:
    def build() -> nn.Module:
        from spikingjelly.activation_based import layer, neuron

        make = getattr(neuron, name)
        return nn.Sequential(
            layer.Linear(INPUTS, NEURONS, step_mode=mode),
            make(step_mode=mode, **settings),
            layer.Dropout(0.5, step_mode=mode),
            layer.Linear(NEURONS, 3, step_mode=mode),
            make(step_mode=mode, **settings),
        )

    return Network("spikingjelly", build, by_steps if mode == "s" else over_time)


def _spikingjelly_cnn() -> nn.Module:
    from spikingjelly.activation_based import functional, layer, neuron

    net = nn.Sequential(
        layer.Conv2d(2, 3, 3, padding=1, bias=False),
        neuron.LIFNode(v_threshold=0.5),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(12, 4),
        neuron.IFNode(v_threshold=0.5, v_reset=None),
    )
    functional.set_step_mode(net, "m")
    return net


def _spikingjelly_containers() -> nn.Module:
    from spikingjelly.activation_based import layer, neuron

    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d(2)),
        neuron.IFNode(step_mode="m"),
        layer.MultiStepContainer(nn.Flatten(), nn.Linear(12, 4), neuron.LIFNode()),
    )


def _sinabs(name: str, **settings: Any) -> Network:
    def build() -> nn.Module:
        from sinabs import layers
        from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, SingleSpike

        named = {"most": "spike_fn", "single": "spike_fn", "value": "reset_fn", "less": "reset_fn"}
        made = {
            "most": lambda n: MaxSpike(n),
            "single": lambda _: SingleSpike,
            "value": lambda v: MembraneReset(v),
            "less": lambda v: MembraneSubtract(v),
        }
        given = {named.get(key, key): made[key](v) if key in made else v for key, v in settings.items()}
        if name.endswith("Recurrent"):
            given["rec_connect"] = make_dyadic(nn.Linear(NEURONS, NEURONS), 5)
        if not name.startswith("IAF"):
            given.setdefault("tau_mem", 20.0)
        layer = getattr(layers, name)(**given)
        with torch.no_grad():
            for alpha in ("alpha_mem", "alpha_syn"):
                if getattr(layer, alpha, None) is not None:
                    getattr(layer, alpha).fill_(0.5)
        return nn.Sequential(nn.Linear(INPUTS, NEURONS), layer)

    return Network("sinabs", build, batch_first)


def _sinabs_cnn() -> nn.Module:
    from sinabs import layers
    from sinabs.activation import MaxSpike

    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False),
        layers.IAFSqueeze(batch_size=B, spike_fn=MaxSpike(4)),
        layers.SumPool2d(2),
        nn.Flatten(),
    )


def _sinabs_repeated() -> nn.Module:
    from sinabs import layers
    from sinabs.activation import SingleSpike

    return nn.Sequential(
        layers.Repeat(nn.Conv2d(2, 3, 3, padding=1)),
        layers.IAF(spike_fn=SingleSpike),
        layers.FlattenTime(),
        layers.SumPool2d(2),
        layers.UnflattenTime(batch_size=B),
    )


_dyadic_leak = {"train_alphas": True}
NETWORKS: dict[str, Network] = {
    "snntorch Leaky": _snntorch("Leaky"),
    "snntorch Leaky, one beta each": _snntorch("Leaky", beta=_t(0.5, 0.25, 1.0, 0.5, 2.0), learn_beta=True),
    "snntorch Leaky, zero": _snntorch("Leaky", reset_mechanism="zero"),
    "snntorch Leaky, zero at once": _snntorch("Leaky", reset_mechanism="zero", reset_delay=False),
    "snntorch Leaky, none, graded": _snntorch("Leaky", reset_mechanism="none", graded_spikes_factor=2.0),
    "snntorch Lapicque": _snntorch("Lapicque", beta=False, R=1.0, C=2.0, threshold=0.5),
    "snntorch Synaptic": _snntorch("Synaptic", threshold=2.0),
    "snntorch Synaptic, zero at once": _snntorch("Synaptic", reset_mechanism="zero", reset_delay=False),
    "snntorch Synaptic, alpha 1": _snntorch("Synaptic", alpha=1.0, threshold=4.0),
    "snntorch RLeaky": _snntorch("RLeaky", linear_features=NEURONS),
    "snntorch RLeaky, zero at once": _snntorch(
        "RLeaky", linear_features=NEURONS, reset_mechanism="zero", reset_delay=False
    ),
    "snntorch RLeaky, one to one": _snntorch("RLeaky", all_to_all=False, V=_t(0.5, -0.5, 1.0, -1.0, 0.25)),
    "snntorch RLeaky, pictures": Network("snntorch", _recurrent_pictures, by_steps, (2, 4, 5)),
    "snntorch RSynaptic": _snntorch("RSynaptic", linear_features=NEURONS),
    "snntorch forward of one step": Network("snntorch", OneStep, by_steps),
    "spikingjelly IF": _spikingjelly("IFNode"),
    "spikingjelly IF, soft, multi-step": _spikingjelly("IFNode", "m", v_reset=None),
    "spikingjelly IF, reset below 0": _spikingjelly("IFNode", v_reset=-0.5),
    "spikingjelly LIF": _spikingjelly("LIFNode", v_threshold=0.5),
    "spikingjelly LIF, soft": _spikingjelly("LIFNode", v_threshold=0.5, v_reset=None),
    "spikingjelly LIF, plain input": _spikingjelly("LIFNode", "m", decay_input=False, tau=4.0),
    "spikingjelly LIF, reset below 0": _spikingjelly("LIFNode", v_reset=-0.25, v_threshold=0.25),
    "spikingjelly ParametricLIF": _spikingjelly("ParametricLIFNode", v_threshold=0.5),
    "spikingjelly CNN, multi-step": Network("spikingjelly", _spikingjelly_cnn, over_time, (2, 4, 4)),
    "spikingjelly containers": Network("spikingjelly", _spikingjelly_containers, over_time, (2, 4, 4)),
    "sinabs IAF": _sinabs("IAF", single=True),
    "sinabs IAF, several spikes": _sinabs("IAF", most=3, spike_threshold=_t(0.5)),
    "sinabs IAF, less off": _sinabs("IAF", single=True, less=0.5),
    "sinabs IAF, synapse": _sinabs("IAF", single=True, tau_syn=5.0),
    "sinabs IAF, recurrent": _sinabs("IAFRecurrent", most=4),
    "sinabs LIF": _sinabs("LIF", single=True, spike_threshold=_t(0.25)),
    "sinabs LIF, dyadic": _sinabs("LIF", single=True, value=0.0, **_dyadic_leak),
    "sinabs LIF, plain input": _sinabs("LIF", most=2, norm_input=False, **_dyadic_leak),
    "sinabs LIF, synapse": _sinabs("LIF", most=2, tau_syn=5.0, norm_input=False, **_dyadic_leak),
    "sinabs LIF, recurrent": _sinabs("LIFRecurrent", most=4, **_dyadic_leak),
    "sinabs ExpLeak": _sinabs("ExpLeak", **_dyadic_leak),
    "sinabs CNN": Network("sinabs", _sinabs_cnn, squeezed, (2, 4, 4)),
    "sinabs CNN, repeated": Network("sinabs", _sinabs_repeated, batch_first, (2, 4, 4)),
}
