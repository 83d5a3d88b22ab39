"""The name of the neurons of a network, by which a sweep is grouped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.ir import MultiLevelLIF, PhaseIF, TemporalMix
from nirbridge.runtime import Plan

_MOST = 2
"""So many kinds of neurons are told apart in one name."""


def family_of(plan: Plan) -> str:
    """The neurons and their levels, as ``M-LIF S=4``, ``ML-IF N=4``, ``LM-HT L=2``, ``One-Spike Q=1.3`` or ``LIF``.

    Empty without spiking neurons, ``mixed neurons`` with more than two kinds.
    """
    mixing = any(type(planned.node) is TemporalMix for planned in plan.nodes)
    found = dict.fromkeys(
        _NAMES[type(planned.node)](planned.node, mixing) for planned in plan.nodes if type(planned.node) in _NAMES
    )
    return " and ".join(found) if len(found) <= _MOST else "mixed neurons"


def _multilevel(node: Any, mixing: bool) -> str:
    lanes = int(node.lanes)
    if not _is_uniform(node):
        return f"M-LIF S={lanes}"
    return f"LM-HT L={lanes}" if mixing else f"ML-IF N={lanes}"


def _is_uniform(node: Any) -> bool:
    """Whether levels are 1, 2, 3, .. times a step; 1 and 2 are those of 2^s too, where the boundary tells."""
    weights = np.asarray(node.lane_weight, dtype=np.float64).reshape(node.lanes, -1)[:, 0]
    if len(weights) <= 2:
        return bool(node.boundary == ">=")
    return bool(np.allclose(np.diff(weights), weights[0]))


def _phase(node: Any, mixing: bool) -> str:
    return f"One-Spike Q={float(node.base_out):.4g}"


def _plain(name: str) -> Callable[[Any, bool], str]:
    return lambda node, mixing: name


_NAMES: dict[type[nir.NIRNode], Callable[[Any, bool], str]] = {
    MultiLevelLIF: _multilevel,
    PhaseIF: _phase,
    nir.IF: _plain("IF"),
    nir.LIF: _plain("LIF"),
    nir.CubaLIF: _plain("CubaLIF"),
    nir.Threshold: _plain("Threshold"),
}
