"""How many steps each node makes for one step of graph input, and which of them belong together."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import lcm
from typing import Any

import nir

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix, label, once
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d

_WINDOWS: dict[type[nir.NIRNode], Callable[[Any], int]] = {
    PhaseIF: lambda node: node.phases,
    PhaseDecode: lambda node: node.phases,
    FirstSpikePool2d: lambda node: node.phases,
    TemporalMix: lambda node: node.weight.shape[1],
}
_RATIOS: dict[type[nir.NIRNode], Callable[[Any], Fraction]] = {
    PhaseEncode: lambda node: Fraction(node.phases),
    TemporalMix: lambda node: Fraction(*node.weight.shape),
}


def window_of(node: nir.NIRNode) -> int:
    """Input steps of the node that belong together."""
    rule = _WINDOWS.get(type(node))
    return int(rule(node)) if rule else 1


@once
def infer_rates(flat: FlatGraph) -> tuple[dict[str, Fraction], list[Problem]]:
    """Output steps of every node per step of graph input, and where they do not fit."""
    order = flat.topology
    rates: dict[str, Fraction] = {}
    problems: list[Problem] = []
    for name in order.order:
        node = flat.nodes[name]
        found = {rates[source] for source in flat.forward_sources(name)}
        if len(found) > 1:
            text = " and ".join(str(rate) for rate in sorted(found))
            problems.append(
                Problem(label(name, node), f"its inputs come at {text} steps per input step", "Bring them to one rate")
            )
        windowed = window_of(node) > 1 or type(node) in _RATIOS
        if windowed and name in order.loop:
            problems.append(
                Problem(label(name, node), "works on whole windows but stands in a cycle", "Break the cycle")
            )
        ratio = _RATIOS.get(type(node))
        rates[name] = (min(found) if found else Fraction(1)) * (ratio(node) if ratio else 1)
    return rates, problems


def block_of(flat: FlatGraph, rates: dict[str, Fraction]) -> int:
    """Steps of graph input that a run must be a multiple of, so that every node gets whole windows."""
    block = 1
    for name, node in flat.nodes.items():
        ratio = _RATIOS.get(type(node))
        entering = rates[name] / (ratio(node) if ratio else 1)
        needed = Fraction(window_of(node)) / entering
        block = lcm(block, needed.numerator)
    return block
