"""How many steps each node makes for one step of graph input, and which of them belong together."""

from __future__ import annotations

from fractions import Fraction
from math import lcm

import nir

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, find_spec, label, once
from nirbridge.primitives.spec import Window


def window_of(node: nir.NIRNode) -> int:
    """Input steps of the node that belong together."""
    window = _window(node)
    return 1 if window is None else window.steps(node)


def _window(node: nir.NIRNode) -> Window | None:
    spec = find_spec(type(node))  # what is no primitive is another rule's finding
    return None if spec is None else spec.window


def _ratio(node: nir.NIRNode) -> Fraction:
    """Output steps for one input step of the node."""
    window = _window(node)
    return Fraction(1) if window is None else window.ratio(node)


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
        if _window(node) is not None and name in order.loop:
            problems.append(
                Problem(label(name, node), "works on whole windows but stands in a cycle", "Break the cycle")
            )
        rates[name] = (min(found) if found else Fraction(1)) * _ratio(node)
    return rates, problems


def block_of(flat: FlatGraph, rates: dict[str, Fraction]) -> int:
    """Steps of graph input that a run must be a multiple of, so that every node gets whole windows."""
    block = 1
    for name, node in flat.nodes.items():
        entering = rates[name] / _ratio(node)
        needed = Fraction(window_of(node)) / entering
        block = lcm(block, needed.numerator)
    return block
