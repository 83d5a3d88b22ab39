"""nirtorch: layers of its default map; it has no neurons, so the code brings a LIF of its own.

Its default Affine leaves the bias of the file out (``module.weight.bias``): the code maps Affine too.
"""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import nir, nirtorch, torch


class LIF(torch.nn.Module):
    def __init__(self, node):
        super().__init__()
        values = {{"decay": 1 - 1 / node.tau, "gain": node.r / node.tau, "threshold": node.v_threshold}}
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value))

    def forward(self, x, state=None):
        v = self.gain * x if state is None else self.decay * state + self.gain * x
        fired = v > self.threshold
        return fired.to(x.dtype), torch.where(fired, 0.0, v)


def affine(node):
    layer = torch.nn.Linear(node.weight.shape[1], node.weight.shape[0])
    layer.weight.data, layer.bias.data = torch.as_tensor(node.weight), torch.as_tensor(node.bias)
    return layer


module = nirtorch.nir_to_torch(nir.read({path!r}, type_check=False), {{nir.LIF: LIF, nir.Affine: affine}})


def run(x):  # x [T, B, ...]; the file is made for dt = 1
{steps}"""

TARGET = Target(
    name="nirtorch",
    version="nirtorch 2.6",
    source="nirtorch/nir_interpreter.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Conv1d, nir.Conv2d, nir.Flatten, nir.LIF)),
    code=_CODE,
    ran=True,
)
