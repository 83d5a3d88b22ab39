"""The families of primitives, which pictures colour and totals count."""

from __future__ import annotations

import nir

from nirbridge.ir import find_spec

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


def role_of(node: nir.NIRNode) -> str:
    """The family of exactly this type; "unknown" for what is no primitive."""
    spec = find_spec(type(node))
    return "unknown" if spec is None else spec.shown.role
