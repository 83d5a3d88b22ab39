"""Layers that an ANN has once, where the spiking network has them twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nirbridge.ir import original
from nirbridge.runtime import PlannedNode


def copies(synapses: Iterable[PlannedNode]) -> dict[str, str]:
    """The layers whose weights stand in another one, with either sign, and the name of that one.

    It is the layer that they were copied from or, where that is gone, the first copy.  Conversion notes it in the
    nodes, see :func:`nirbridge.ir.original`.  A layer of another type or shape is no copy, whatever its note says.
    """
    alike: dict[tuple[Any, ...], list[str]] = {}
    for planned in synapses:
        key = original(planned.name, planned.node), type(planned.node), planned.input_shape, planned.output_shape
        alike.setdefault(key, []).append(planned.name)
    found: dict[str, str] = {}
    for (root, *_), names in alike.items():
        kept = root if root in names else names[0]
        found.update(dict.fromkeys((name for name in names if name != kept), kept))
    return found
