"""The families of primitives, which pictures colour and totals count.  To add a primitive: one row in ``_ROLES``."""

from __future__ import annotations

import nir

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
)

ROLES = {
    "boundary": "input, output",
    "weights": "weights",
    "binary": "binary neuron",
    "multilevel": "multi-level neuron",
    "phase": "phase code",
    "analog": "analog state",
    "reshape": "pooling, flatten, scale",
    "product": "products",
    "time": "mixing over time",
    "unknown": "unknown type",
}
"""Family → what a legend calls it."""
NEURON_ROLES = ("binary", "multilevel", "phase", "analog")

_ROLES: dict[type[nir.NIRNode], str] = {
    nir.Input: "boundary",
    EventInput: "boundary",
    Quantize: "boundary",
    nir.Output: "boundary",
    nir.Affine: "weights",
    nir.Linear: "weights",
    nir.Conv1d: "weights",
    nir.Conv2d: "weights",
    Aggregate: "weights",
    nir.IF: "binary",
    nir.LIF: "binary",
    nir.CubaLIF: "binary",
    nir.Threshold: "binary",
    MultiLevelLIF: "multilevel",
    PhaseIF: "phase",
    PhaseEncode: "phase",
    PhaseDecode: "phase",
    nir.I: "analog",
    nir.LI: "analog",
    nir.CubaLI: "analog",
    nir.SumPool2d: "reshape",
    nir.AvgPool2d: "reshape",
    MaxPool2d: "reshape",
    nir.Flatten: "reshape",
    nir.Scale: "reshape",
    Place: "product",
    Product: "product",
    nir.Delay: "time",
    TemporalMix: "time",
}


def role_of(node: nir.NIRNode) -> str:
    """The family of exactly this type; "unknown" for what is no primitive."""
    return _ROLES.get(type(node), "unknown")
