"""Rockpool: LIFNeuronTorch layers over all steps at once, alpha = exp(-dt/tau), input added whole; no cycles.

Its importer reads ``tau_mem`` from a LIF, which has none, so the code gives it one; it takes tau_mem/(1 + R) for dt, so
R is tau/dt - 1.  Layers spike several times a step and subtract; the code gives each the spikes and the reset of the
file's neurons by its own ``spike_generation_fn``.  Data are one row of numbers, so convolutions are matrices.  A
CubaLIF, which decays its input with the current, is not written.
"""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import nir, torch
from rockpool.nn.modules.torch.nir import from_nir


{spikes}
    def __call__(self, v, threshold, window, most):
        sent = self.sent(v)
        v.copy_(self.after(v))  # what the layer takes off then is its threshold, which is 0
        return sent
{membrane}

neurons = {{
{neurons}
}}
graph = nir.read({path!r}, type_check=False)
for node in graph.nodes.values():
    if isinstance(node, nir.LIF):
        node.tau_mem = node.tau


def run(x):  # x [T, B, ...]; gives [T, B, n], since data are one row of numbers here
    module = from_nir(graph)
{order_within}    for name, spikes in neurons.items():
        layer = module.get_submodule(name)
        layer.threshold, layer.spike_generation_fn = torch.zeros_like(layer.threshold), spikes
    with torch.no_grad():
        y, _ = module(x{flat}.transpose(0, 1))
    return y.transpose(0, 1)
"""

TARGET = Target(
    name="rockpool",
    version="Rockpool 3.1.0",
    source="rockpool/nn/modules/torch/nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.LIF)),
    gain="tau/dt - 1",
    cycles=False,
    levels_by_code=True,
    code=_CODE,
    ran=True,
)
