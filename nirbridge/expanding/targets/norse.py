"""Norse: LIFBox and IAF cells; R and v_reset of the file are not read, and dt is an argument of the import."""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import nir, norse.torch, torch

module = norse.torch.from_nir(nir.read({path!r}, type_check=False), dt=1.0)
{order}

def run(x):  # x [T, B, ...]; the file is made for dt = 1 and a reset to 0
{steps}"""

TARGET = Target(
    name="norse",
    version="Norse 1.1.0",
    source="norse/torch/utils/import_nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Conv2d, nir.Flatten, nir.IF, nir.LIF)),
    gain="one",
    takes_if=True,
    code=_CODE,
    ran=True,
)
