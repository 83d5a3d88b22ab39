"""Whether a graph states integers: its synapses and thresholds are stored with a whole-number dtype."""

from __future__ import annotations

from collections.abc import Iterable

import nir

from nirbridge.ir import spec_of
from nirbridge.primitives.sparse import entries


def stores_integers(nodes: Iterable[nir.NIRNode]) -> bool:
    """Whether all synapses and thresholds have a whole-number dtype, and there is a synapse.

    The dtype is what says so, not the values.  It does not say that the graph was quantised, and no runtime asks: the
    command line and reports do.  An AvgPool2d speaks against it, since it sends fractions, which integers would cut.
    """
    found = list(nodes)
    if any(type(node) is nir.AvgPool2d or spec_of(node).integers is None for node in found):
        return False
    fields = [getattr(node, field) for node in found for field in _fields(node)]
    synapses = [node for node in found if not spec_of(node).is_neuron and _fields(node)]
    return bool(synapses) and all(entries(field).dtype.kind in "iu" for field in fields)


def stores_some_integers(nodes: Iterable[nir.NIRNode]) -> bool:
    """Whether a synapse or a threshold has a whole-number dtype."""
    return any(entries(getattr(node, field)).dtype.kind in "iu" for node in nodes for field in _fields(node))


def _fields(node: nir.NIRNode) -> tuple[str, ...]:
    integers = spec_of(node).integers
    return () if integers is None else integers.fields
