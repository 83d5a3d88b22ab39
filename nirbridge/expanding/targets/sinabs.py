"""sinabs: LIFSqueeze layers over all steps at once, alpha = exp(-1/tau), input added whole; no cycles.

Its layers spike several times a step and subtract; the code gives each the spikes and the reset of the file's neurons,
as its ``spike_fn`` and ``reset_fn`` arguments allow.  IF is not written, since it is clipped at -v_threshold.  It pins
nir 1.0.4, which knows no v_reset.
"""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import inspect, nir, torch
from sinabs.nir import from_nir


{spikes}
    def apply(self, v, spike_threshold, surrogate_grad_fn):
        return self.sent(v)

    def __call__(self, spikes, state, spike_threshold):
        return {{**state, "v_mem": self.after(state["v_mem"])}}
{membrane}

neurons = {{
{neurons}
}}
# Its neurons state one number a channel, as its importer wants; nir 1.0.4, which it pins, checks nothing anyway.
options = {{"type_check": False}} if "type_check" in inspect.signature(nir.read).parameters else {{}}
graph = nir.read({path!r}, **options)


def run(x):  # x [T, B, ...]
    module = from_nir(graph, batch_size=x.shape[1])
{order_within}    for name, spikes in neurons.items():
        layer = module.get_submodule(name)
        layer.spike_fn = layer.reset_fn = spikes
        layer.min_v_mem = None
    with torch.no_grad():
        y, _ = module(x{flat}.transpose(0, 1).flatten(0, 1))
    return y.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)
"""

TARGET = Target(
    name="sinabs",
    version="sinabs 3.1.3",
    source="sinabs/nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Conv2d, nir.Flatten, nir.LIF)),
    cycles=False,
    levels_by_code=True,
    writes_v_reset=False,
    code=_CODE,
    ran=True,
)
