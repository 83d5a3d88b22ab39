"""Networks exported by other frameworks, each by its own exporter, with what the framework itself computes.

``python live_exports.py NAME FOLDER`` writes graph.nir, x.npy [T, B, n] and y.npy; it runs as a process of its own,
so that a framework's warnings and global state stay there.  Exit code 3: the framework is not there, stdout says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

T, B, INPUTS, NEURONS = 60, 4, 6, 5
BETA, TAU = 0.9, 20.0


def _weights(linear: Any, low: float, high: float) -> Any:
    import torch

    torch.nn.init.uniform_(linear.weight, low, high)
    return linear


def _over_time(module: Any, x: Any) -> Any:
    """A module with its state as second argument, step by step."""
    import torch

    state, outputs = None, []
    for frame in x:
        y, state = module(frame, state)
        outputs.append(y)
    return torch.stack(outputs)


def _norse(cell: str, parameters: Callable[[], Any]) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import norse.torch as norse
        import torch
        from norse.torch.utils.export_nir import to_nir

        linear = _weights(torch.nn.Linear(INPUTS, NEURONS), -0.4, 1.0)
        module = norse.SequentialState(linear, getattr(norse, cell)(parameters(), dt=1e-3))
        return to_nir(module, x[0, 0]), _over_time(module, x)

    return build


def _box() -> Any:
    import norse.torch as norse
    import torch

    values = {"tau_mem_inv": 200.0, "v_th": 0.3, "v_leak": 0.0, "v_reset": 0.0}
    return norse.LIFBoxParameters(**{name: torch.full((NEURONS,), value) for name, value in values.items()})


def _iaf() -> Any:
    import torch
    from norse.torch.functional.iaf import IAFParameters

    return IAFParameters(v_th=torch.full((NEURONS,), 1.0), v_reset=torch.zeros(NEURONS))


def _snntorch(reset: str, delay: bool) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import snntorch
        import torch
        from snntorch import utils
        from snntorch.export_nir import export_to_nir

        full = {name: torch.full((NEURONS,), value) for name, value in (("beta", BETA), ("threshold", 1.0))}
        leaky = snntorch.Leaky(**full, reset_mechanism=reset, reset_delay=delay, init_hidden=True)
        # Weak enough for a membrane to lie below the threshold after a soft reset: above it snnTorch resets twice.
        module = torch.nn.Sequential(_weights(torch.nn.Linear(INPUTS, NEURONS), -0.1, 0.3), leaky)
        graph = export_to_nir(module, x[0, 0])
        utils.reset(module)
        return graph, torch.stack([module(frame) for frame in x])

    return build


def _sinabs(**options: Any) -> Callable[[Any], tuple[Any, Any]]:
    def build(x: Any) -> tuple[Any, Any]:
        import sinabs.layers
        import sinabs.nir
        import torch
        from sinabs.activation import SingleSpike

        common = {"batch_size": B, "spike_fn": SingleSpike, "spike_threshold": torch.full((NEURONS,), 0.5)}
        if options:
            layer = sinabs.layers.LIFSqueeze(tau_mem=torch.full((NEURONS,), TAU), **options, **common)
        else:
            layer = sinabs.layers.IAFSqueeze(**common)
        module = torch.nn.Sequential(_weights(torch.nn.Linear(INPUTS, NEURONS), -0.2, 0.4), layer)
        flat = x.transpose(0, 1).reshape(-1, INPUTS)
        y = module(flat).reshape(B, T, NEURONS).transpose(0, 1)
        layer.reset_states()
        return sinabs.nir.to_nir(module, flat), y

    return build


NETWORKS: dict[str, tuple[str, Callable[[Any], tuple[Any, Any]]]] = {
    "norse LIFBox": ("norse.torch", _norse("LIFBoxCell", _box)),
    "norse IAF": ("norse.torch", _norse("IAFCell", _iaf)),
    "snntorch zero": ("snntorch.export_nir", _snntorch("zero", False)),
    "snntorch zero, delayed": ("snntorch.export_nir", _snntorch("zero", True)),
    "snntorch subtract": ("snntorch.export_nir", _snntorch("subtract", False)),
    "snntorch subtract, delayed": ("snntorch.export_nir", _snntorch("subtract", True)),
    "sinabs IAF": ("sinabs.nir", _sinabs()),
    "sinabs LIF": ("sinabs.nir", _sinabs(norm_input=True)),
    "sinabs LIF, plain input": ("sinabs.nir", _sinabs(norm_input=False)),
}
"""Name → the module that must be there, and what builds the graph and runs the network."""


def main() -> None:
    """Exports one network."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    needed, build = NETWORKS[name]
    try:
        import_module(needed)
    except Exception as error:  # a peer that is installed by halves fails in many ways
        print(f"{needed} cannot be imported: {' '.join(str(error).split())}")
        sys.exit(3)
    import nir
    import numpy as np
    import torch

    torch.manual_seed(0)
    x = torch.rand(T, B, INPUTS)
    with torch.no_grad():
        graph, y = build(x)
    nir.write(folder / "graph.nir", graph)
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "y.npy", y.detach().numpy())


if __name__ == "__main__":
    main()
