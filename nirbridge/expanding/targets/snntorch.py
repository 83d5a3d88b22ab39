"""snnTorch: every spiking node is a Leaky at dt 1e-4 that is set to 0, with one threshold a node.

Its IF becomes a Leaky of beta 0.9, so none is written.  It wants R = tau/dt, and has neither v_leak nor v_reset.
"""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.expanding.target import Target

_DT = float(np.float32(1e-4))
"""Its dt as its importer divides it by the file's numbers, in single precision."""
_CODE = """\
import nir, torch
from snntorch import utils
from snntorch.import_nir import import_from_nir

module = import_from_nir(nir.read({path!r}, type_check=False))


def run(x):  # x [T, B, ...]; its importer fixes dt = 1e-4, Euler, reset to 0, all of which the file is made for
    utils.reset(module)
{steps}"""

TARGET = Target(
    name="snntorch",
    version="snnTorch 1.0.0",
    source="snntorch/import_nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Conv2d, nir.Flatten, nir.LIF)),
    dt=_DT,
    even=True,
    code=_CODE,
    ran=True,
)
