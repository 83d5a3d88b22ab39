"""spikingjelly: LIFNodes of one tau, R and threshold each, which fire at >= and are set to v_reset = v_leak.

tau has to be more than one step: of 1 + 2^-40 steps nothing is left in single precision.  R = tau/dt to the last digit
stands for an input that is added whole, so the file is in double precision.  An IF of its own has R = 1/dt, which is
no R of ours: LIFs are written.  The releases on PyPI have no importer; this is that of its main branch in August 2026.
"""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import nir, torch
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.nir_exchange import import_from_nir

module = import_from_nir(nir.read({path!r}, type_check=False), dt=1e-4)


def run(x):  # x [T, B, ...]; the file is made for dt = 1e-4
    functional.reset_net(module)
{steps}"""

TARGET = Target(
    name="spikingjelly",
    version="spikingjelly 2.0.0.dev (main branch at afb13226)",
    source="spikingjelly/activation_based/nir_exchange/from_nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Conv2d, nir.Flatten, nir.LIF)),
    dt=1e-4,
    closed=True,
    double=True,
    even=True,
    memoryless=1 + 2.0**-40,
    ran=True,
    code=_CODE,
)
