"""The name of the neurons of a network, by which a sweep is grouped."""

from __future__ import annotations

from nirbridge.ir import TemporalMix, spec_of
from nirbridge.runtime import Plan

_MOST = 2
"""So many kinds of neurons are told apart in one name."""


def family_of(plan: Plan) -> str:
    """The neurons and their levels, as ``M-LIF S=4``, ``ML-IF N=4``, ``LM-HT L=2``, ``One-Spike Q=1.3`` or ``LIF``.

    Empty without spiking neurons, ``mixed neurons`` with more than two kinds.
    """
    mixing = any(type(planned.node) is TemporalMix for planned in plan.nodes)
    rules = ((planned.node, spec_of(planned.node).cost.family) for planned in plan.nodes)
    found = dict.fromkeys(rule(node, mixing) for node, rule in rules if rule is not None)
    return " and ".join(found) if len(found) <= _MOST else "mixed neurons"
