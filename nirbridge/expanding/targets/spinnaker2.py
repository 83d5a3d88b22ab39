"""SpiNNaker2 (py-spinnaker2, s2_nir.py, not on PyPI; read at its public source, never run by us).

Spikes alone travel between populations, one step later; weights become integers of 8 bits on the chip.  Convolutions
and pools are written as matrices: its own cut their weights to integers before any scaling that the file could say.
"""

from __future__ import annotations

import nir

from nirbridge.expanding.target import Target

_CODE = """\
import nir
from spinnaker2 import s2_nir

config = s2_nir.ConversionConfig(
    dt=1.0,
    conn_delay=0,
    scale_weights=True,
    integrator=s2_nir.IntegratorMethod.FORWARD,
    reset=s2_nir.ResetMethod.ZERO,
)
# Weights are rounded to 8 bits; the input is lists of spikes.
network, inputs, outputs = s2_nir.from_nir(nir.read({path!r}, type_check=False), config)
"""

TARGET = Target(
    name="spinnaker2",
    version="py-spinnaker2",
    source="spinnaker2/s2_nir.py",
    layers=frozenset((nir.Input, nir.Output, nir.Affine, nir.Linear, nir.IF, nir.LIF)),
    takes_if=True,
    cycles=False,
    analog=False,
    code=_CODE,
)
