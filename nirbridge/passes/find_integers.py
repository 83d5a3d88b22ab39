"""Whether a graph states integers: its synapses and thresholds are stored with a whole-number dtype."""

from __future__ import annotations

from collections.abc import Iterable

import nir
import numpy as np

from nirbridge.ir import Aggregate, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, SparseMatrix, TemporalMix

_SYNAPSES: dict[type[nir.NIRNode], tuple[str, ...]] = {
    nir.Affine: ("weight", "bias"),
    nir.Linear: ("weight",),
    nir.Conv1d: ("weight", "bias"),
    nir.Conv2d: ("weight", "bias"),
    nir.Scale: ("scale",),
    Aggregate: ("weight",),
    TemporalMix: ("weight",),
}
_NEURONS: dict[type[nir.NIRNode], tuple[str, ...]] = {
    nir.Threshold: ("threshold",),
    nir.IF: ("v_threshold", "v_reset"),
    nir.LIF: ("v_threshold", "v_reset"),
    nir.CubaLIF: ("v_threshold", "v_reset"),
    MultiLevelLIF: ("lane_threshold", "lane_weight", "lane_reset", "v_init", "v_reset"),
    PhaseEncode: ("scale",),
    PhaseIF: ("v_threshold", "v_init"),
    PhaseDecode: ("v_init",),
}


def stores_integers(nodes: Iterable[nir.NIRNode]) -> bool:
    """Whether all synapses and thresholds have a whole-number dtype, and there is a synapse.

    The dtype is what says so, not the values.  It does not say that the graph was quantised, and no runtime asks: the
    command line and reports do.  An AvgPool2d speaks against it, since it sends fractions, which integers would cut.
    """
    found = list(nodes)
    if any(type(node) is nir.AvgPool2d for node in found):
        return False
    fields = [
        getattr(node, field)
        for node in found
        for field in (*_SYNAPSES.get(type(node), ()), *_NEURONS.get(type(node), ()))
    ]
    return any(type(node) in _SYNAPSES for node in found) and all(_is_whole_dtype(field) for field in fields)


def _is_whole_dtype(value: object) -> bool:
    array = value.value if isinstance(value, SparseMatrix) else np.asarray(value)
    return array.dtype.kind in "iu"
