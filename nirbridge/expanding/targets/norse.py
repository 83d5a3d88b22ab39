"""Norse: LIFBox and IAF cells; R and v_reset of the file are not read, and dt is an argument of the import."""

from __future__ import annotations

import nir

from nirbridge.expanding.target import File, Target

_CODE = """\
import nir, norse.torch, torch

module = norse.torch.from_nir(nir.read({path!r}, type_check=False), dt=1.0)
{order}

def run(x):  # x [T, B, ...]; the file is made for dt = 1 and a reset to 0
    state, outputs = None, []
    with torch.no_grad():
        for frame in x{flat}:
            y, state = module(frame, state)
            outputs.append(y)
    return torch.stack(outputs)
"""
_ORDER = """\
# nirtorch runs a node before all branches that lead to it; the names of this file are in order.
module.execution_order.sort(key=lambda node: node.name)
"""


def _code(file: File) -> str:
    return _CODE.format(path=file.path, flat=file.flattened, order=_ORDER if file.joins else "")


TARGET = Target(
    name="norse",
    version="Norse 1.1.0",
    source="norse/torch/utils/import_nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Conv2d, nir.Flatten, nir.IF, nir.LIF)),
    gain="one",
    takes_if=True,
    code=_code,
    ran=True,
)
