"""What precision "fixed" cannot say: every primitive's own reasons, for every runtime.

See docs/fixed_point.md for the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping

import nir

from nirbridge.errors import Problem
from nirbridge.ir import find_spec, label
from nirbridge.primitives.integers import Reason, Reasons, whole_fields


def fixed_point_problems(nodes: Mapping[str, nir.NIRNode], dt: float) -> list[Problem]:
    """Every reason why a graph cannot run in precision "fixed", by node.

    Args:
        nodes: the nodes of a flat graph by name, time-dependent ones as they are for this ``dt``.
        dt: seconds per step.
    """
    return [
        Problem(label(name, node), reason.found, reason.next_step, rule="node_runs_in_fixed_point")
        for name, node in nodes.items()
        for reason in _reasons(node, dt)
    ]


def _reasons(node: nir.NIRNode, dt: float) -> Reasons:
    spec = find_spec(type(node))
    if spec is None or spec.integers is None:
        found = f"precision 'fixed' has no integer form of {type(node).__name__}"
        yield Reason(found, "Run it in precision 'float', or give its Spec an integer form")
    elif spec.integers.against is not None:
        yield from spec.integers.against(node, dt)
    else:
        yield from whole_fields(node, *spec.integers.fields, limit=spec.integers.limit)
