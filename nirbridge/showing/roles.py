"""The families of primitives, which pictures colour and totals count."""

from __future__ import annotations

from typing import NamedTuple

import nir

from nirbridge.ir import find_spec


class Role(NamedTuple):
    """A family: what a legend calls it, and the colours of its boxes."""

    words: str
    fill: str
    stroke: str


ROLES = {
    "boundary": Role("input, output", "#eceff1", "#546e7a"),
    "weights": Role("weights", "#e3f2fd", "#1565c0"),
    "binary": Role("binary neuron", "#fff3e0", "#ef6c00"),
    "multilevel": Role("multi-level neuron", "#fce4ec", "#c2185b"),
    "phase": Role("phase code", "#f3e5f5", "#7b1fa2"),
    "analog": Role("analog state", "#fffde7", "#a68a00"),
    "reshape": Role("pooling, flatten, scale", "#f1f8e9", "#558b2f"),
    "product": Role("products", "#efebe9", "#5d4037"),
    "time": Role("mixing over time", "#e0f2f1", "#00796b"),
    "unknown": Role("unknown type", "#ffffff", "#d50000"),
}
NEURON_ROLES = ("binary", "multilevel", "phase", "analog")


def role_of(node: nir.NIRNode) -> str:
    """The family of exactly this type; "unknown" for what is no primitive."""
    spec = find_spec(type(node))
    return "unknown" if spec is None else spec.shown.role
