"""Networks exported by other frameworks, each by its own exporter, with what the framework itself computes.

``python export.py NAME FOLDER NAME FOLDER ...`` with networks of one framework writes graph.nir, x.npy [T, B, ...],
y.npy and version.txt for each; it runs as a process of its own, so that a framework's warnings and global state stay
there.  Exit code 3: the framework is not there, stdout says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

T, B, INPUTS, NEURONS = 60, 4, 6, 5
ALPHA, BETA, TAU = 0.8, 0.9, 20.0


@dataclass(frozen=True)
class Network:
    """What builds a network from its input [T, B, ...] and gives its graph and output, and the module it needs."""

    needed: str
    build: Callable[[Any], tuple[Any, Any]]
    shape: tuple[int, ...] = (INPUTS,)


def _weights(layer: Any, low: float, high: float) -> Any:
    import torch

    torch.nn.init.uniform_(layer.weight, low, high)
    return layer


def _over_time(module: Any, x: Any) -> Any:
    """A module with its state as second argument, step by step."""
    import torch

    state, outputs = None, []
    for frame in x:
        y, state = module(frame, state)
        outputs.append(y)
    return torch.stack(outputs)


def _full(values: dict[str, float]) -> dict[str, Any]:
    import torch

    return {name: torch.full((NEURONS,), value) for name, value in values.items()}


def _norse(cell: str, parameters: str, values: dict[str, float], *weights: float) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import norse.torch as norse
        import torch
        from norse.torch.functional import iaf
        from norse.torch.utils.export_nir import to_nir

        made = getattr(norse, parameters, None) or getattr(iaf, parameters)
        linear = _weights(torch.nn.Linear(INPUTS, NEURONS), *weights)
        module = norse.SequentialState(linear, getattr(norse, cell)(made(**_full(values)), dt=1e-3))
        return to_nir(module, x[0, 0]), _over_time(module, x)

    return build


def _snntorch(neuron: str, *weights: float, bias: bool = True, **options: Any) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import snntorch
        import torch
        from snntorch import utils
        from snntorch.export_nir import export_to_nir

        values = {"beta": BETA, "threshold": 1.0, **({"alpha": ALPHA} if "Synaptic" in neuron else {})}
        layer = getattr(snntorch, neuron)(**_full(values), init_hidden=True, **options)
        if hasattr(layer, "recurrent"):
            _weights(layer.recurrent, -0.5, 0.5)
            layer.recurrent.bias.data *= bias
        module = torch.nn.Sequential(_weights(torch.nn.Linear(INPUTS, NEURONS), *weights), layer)
        graph = export_to_nir(module, x[0, 0])
        utils.reset(module)
        return graph, torch.stack([module(frame) for frame in x])

    return build


# Weak enough for a membrane to lie below the threshold after a soft reset: above it snnTorch resets twice.
_leaky = ("Leaky", -0.1, 0.2)
_recurrent = {"linear_features": NEURONS, "all_to_all": True, "reset_mechanism": "zero", "reset_delay": False}


def _sinabs(high: float, **options: Any) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import sinabs.layers
        import torch
        from sinabs.activation import SingleSpike

        common = {"batch_size": x.shape[1], "spike_fn": SingleSpike}
        if options:
            threshold, tau = torch.full((NEURONS,), 0.5), torch.full((NEURONS,), TAU)
            layer = sinabs.layers.LIFSqueeze(tau_mem=tau, spike_threshold=threshold, **options, **common)
        else:
            layer = sinabs.layers.IAFSqueeze(spike_threshold=torch.full((NEURONS,), 0.5), **common)
        module = torch.nn.Sequential(_weights(torch.nn.Linear(INPUTS, NEURONS), -0.2, high), layer)
        return _run_sinabs(module, x)

    return build


def _sinabs_cnn(x: Any) -> tuple[Any, Any]:
    import sinabs.layers
    import torch
    from sinabs.activation import SingleSpike

    def neurons() -> Any:
        return sinabs.layers.IAFSqueeze(batch_size=x.shape[1], spike_fn=SingleSpike, spike_threshold=torch.tensor(1.0))

    module = torch.nn.Sequential(
        _weights(torch.nn.Conv2d(2, 3, 3, padding=1, bias=False), -0.2, 0.3),
        neurons(),
        sinabs.layers.SumPool2d(2),
        torch.nn.Flatten(),
        _weights(torch.nn.Linear(48, NEURONS, bias=False), -0.1, 0.1),
        neurons(),
    )
    return _run_sinabs(module, x)


def _run_sinabs(module: Any, x: Any) -> tuple[Any, Any]:
    import sinabs.nir

    flat = x.transpose(0, 1).flatten(0, 1)
    y = module(flat).unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)
    for layer in module:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
    return sinabs.nir.to_nir(module, flat), y


def _spikingjelly(neuron: str) -> Callable[[Any], tuple[Any, Any]]:
    """The releases on PyPI (0.0.0.0.14) have no exporter; this states what that of version 2.0.0.dev1 writes."""

    def build(x: Any) -> tuple[Any, Any]:
        import nir
        import numpy as np
        import torch
        from spikingjelly.activation_based import neuron as neurons

        linear = _weights(torch.nn.Linear(INPUTS, NEURONS), -0.2, 0.6)
        one, dt = np.ones(NEURONS), 1e-4
        if neuron == "LIFNode":
            layer = neurons.LIFNode(tau=TAU / 10, v_threshold=0.5)
            node: Any = nir.LIF(TAU / 10 * dt * one, one, 0 * one, 0.5 * one, 0 * one)
        else:
            layer = neurons.IFNode(v_threshold=1.0)
            node = nir.IF(one / dt, one, 0 * one)
        affine = nir.Affine(linear.weight.detach().numpy(), linear.bias.detach().numpy())
        nodes = {"input": nir.Input([INPUTS]), "0": affine, "1": node, "output": nir.Output([NEURONS])}
        graph = nir.NIRGraph(nodes, [("input", "0"), ("0", "1"), ("1", "output")])
        return graph, torch.stack([layer(linear(frame)) for frame in x])

    return build


def _rockpool(x: Any) -> tuple[Any, Any]:
    """Its exporter takes batch and time into the shapes of Input and Output; here they state the features."""
    import nir
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules.torch import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    linear = LinearTorch((INPUTS, NEURONS), weight=0.06 * torch.rand(INPUTS, NEURONS) - 0.02, has_bias=False)
    module = Sequential(linear, LIFTorch(NEURONS, tau_mem=0.02, tau_syn=0.01, threshold=1.0, bias=0.0, dt=1e-3))
    y, *_ = module(x.transpose(0, 1))
    written = to_nir(module, torch.zeros(1, T, INPUTS))
    inner = [node for node in written.nodes.values() if type(node) in (nir.Linear, nir.CubaLIF)]
    inner[0].weight = inner[0].weight.numpy()
    nodes = {"input": nir.Input([INPUTS]), "0": inner[0], "1": inner[1], "output": nir.Output([NEURONS])}
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)
    return graph, y.transpose(0, 1)


_norse_rates = {"tau_mem_inv": 200.0, "v_leak": 0.0}
_norse_spikes = {"v_th": 0.3, "v_reset": 0.0}

NETWORKS: dict[str, Network] = {
    "norse LIF": Network(
        "norse.torch",
        _norse("LIFCell", "LIFParameters", {"tau_syn_inv": 100.0, **_norse_rates, **_norse_spikes}, -0.2, 0.2),
    ),
    "norse LIFBox": Network(
        "norse.torch", _norse("LIFBoxCell", "LIFBoxParameters", {**_norse_rates, **_norse_spikes}, -0.4, 1.0)
    ),
    "norse LIBox": Network("norse.torch", _norse("LIBoxCell", "LIBoxParameters", _norse_rates, -0.4, 1.0)),
    "norse IAF": Network("norse.torch", _norse("IAFCell", "IAFParameters", {"v_th": 1.0, "v_reset": 0.0}, -0.4, 1.0)),
    "snntorch zero": Network("snntorch.export_nir", _snntorch(*_leaky, reset_mechanism="zero", reset_delay=False)),
    "snntorch zero, delayed": Network(
        "snntorch.export_nir", _snntorch(*_leaky, reset_mechanism="zero", reset_delay=True)
    ),
    "snntorch subtract": Network(
        "snntorch.export_nir", _snntorch(*_leaky, reset_mechanism="subtract", reset_delay=False)
    ),
    "snntorch subtract, delayed": Network(
        "snntorch.export_nir", _snntorch(*_leaky, reset_mechanism="subtract", reset_delay=True)
    ),
    "snntorch Synaptic": Network(
        "snntorch.export_nir", _snntorch("Synaptic", -0.05, 0.15, reset_mechanism="zero", reset_delay=False)
    ),
    "snntorch RLeaky": Network("snntorch.export_nir", _snntorch("RLeaky", -0.1, 0.3, bias=False, **_recurrent)),
    "snntorch RLeaky, bias": Network("snntorch.export_nir", _snntorch("RLeaky", -0.1, 0.3, **_recurrent)),
    "snntorch RLeaky, zero, delayed": Network(
        "snntorch.export_nir", _snntorch("RLeaky", -0.1, 0.3, bias=False, **{**_recurrent, "reset_delay": True})
    ),
    "snntorch RLeaky, subtract, delayed": Network(
        "snntorch.export_nir",
        _snntorch(
            "RLeaky", -0.1, 0.3, bias=False, **{**_recurrent, "reset_delay": True, "reset_mechanism": "subtract"}
        ),
    ),
    "rockpool LIF": Network("rockpool.nn.modules.torch.nir", _rockpool),
    "sinabs IAF": Network("sinabs.nir", _sinabs(0.4)),
    "sinabs LIF": Network("sinabs.nir", _sinabs(0.8, norm_input=True)),
    "sinabs LIF, plain input": Network("sinabs.nir", _sinabs(0.4, norm_input=False)),
    "sinabs CNN": Network("sinabs.nir", _sinabs_cnn, (2, 8, 8)),
    "spikingjelly LIF": Network("spikingjelly.activation_based", _spikingjelly("LIFNode")),
    "spikingjelly IF": Network("spikingjelly.activation_based", _spikingjelly("IFNode")),
}


def main() -> None:
    """Exports each network."""
    for name, folder in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        _export(NETWORKS[name], Path(folder))


def _export(network: Network, folder: Path) -> None:
    try:
        import_module(network.needed)
    except Exception as error:  # a peer that is installed by halves fails in many ways
        print(f"{network.needed} cannot be imported: {' '.join(str(error).split())}")
        sys.exit(3)
    import nir
    import numpy as np
    import torch

    torch.manual_seed(0)
    x = torch.rand(T, B, *network.shape)
    # Few different values, so that a recording stays small.
    x = torch.floor(64 * x) / 64 if len(network.shape) == 1 else (x[: T // 2, : B // 2] < 0.2).float()
    with torch.no_grad():
        graph, y = network.build(x)
    try:
        nir.write(folder / "graph.nir", graph)
    except TypeError:  # NIR's own writer cannot leave out the shapes that sinabs does not state
        import nirbridge

        nirbridge.write(folder / "graph.nir", graph)
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "y.npy", y.detach().numpy())
    package = network.needed.split(".")[0]
    (folder / "version.txt").write_text(f"{package} {version(package)}", encoding="utf-8")


if __name__ == "__main__":
    main()
