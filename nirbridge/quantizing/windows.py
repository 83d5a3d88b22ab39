"""Nodes that work on windows: phase codes, whose spikes are plain ones, and mixing over time.

Thresholds and biases of a phase code are integers of the unit of what enters.  Where that unit is too coarse for them,
what enters is made finer by a power of two; the bits behind the point of the state come on top of that.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2
from typing import Any

import nir
import numpy as np

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.primitives.phase_tables import TOP_BITS
from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing.neurons import neuron_layer, relative
from nirbridge.quantizing.refusals import TooFineError, excess_by_place
from nirbridge.quantizing.report import LayerReport
from nirbridge.quantizing.scales import is_whole, largest_weight, rounded
from nirbridge.quantizing.synapses import Place, Quantised, rounded_layer

FINE_PHASE = 2**10
"""Units that the thresholds of a phase code, or the scale of its encoder, have at least, unless fewer are exact."""
DECODED_BITS = 8
"""Most bits by which a readout is finer than what enters: with them 2^15 units may enter before its sum clips."""

_TOP_DECODED = 22
"""Bits of the largest bias of a readout: one of its state's 23 stays free for sums above it."""


def encode(node: PhaseEncode, place: Place) -> Quantised:
    """scale/s; a spike is 1."""
    shift, (scale,) = _integers(place, node.scale)
    return Quantised(replace(node, scale=scale), np.ones(()), _layer(place, node, shift, scale, node.scale), shift)


def fire(node: PhaseIF, place: Place) -> Quantised:
    """θ/s and v_init/s; a spike is 1."""
    shift, (theta, start) = _integers(place, node.v_threshold, node.v_init)
    new = replace(node, v_threshold=theta, v_init=start)
    return Quantised(new, np.ones(()), _layer(place, node, shift, theta, node.v_threshold), shift)


def decode(node: PhaseDecode, place: Place) -> Quantised:
    """v_init/s; the sum has the unit of what enters, finer by the bits that its last phase loses."""
    shift = min(DECODED_BITS, ceil(log2(node.base) * node.phases))
    fine = collapsed(place.scale / 2.0**shift)
    start = rounded(node.v_init, fine)
    if (bits := excess_by_place([start], 2**_TOP_DECODED)).any():
        raise TooFineError(place.name, bits, "its biases leave a 24-bit state")
    new = replace(node, v_init=start.astype(np.int32))
    return Quantised(new, fine, neuron_layer(place, node, fine, shift=shift), shift)


def mix(node: TemporalMix, place: Place) -> Quantised:
    """Weights that are multiples of one of them keep it as their unit: 1/T becomes 1, whatever T is."""
    weight = np.asarray(node.weight, dtype=np.float64)
    unit = np.asarray(np.abs(weight[weight != 0]).min(initial=np.inf))
    if is_whole(weight / unit) and np.abs(weight).max() <= (largest_weight(place.grid.bits) + 0.5) * unit:
        integers = rounded(weight, unit).astype(np.int8)
        layer = LayerReport(place.name, type(node).__name__, float(unit), weight_bits=place.grid.bits)
    else:
        integers, unit, layer = rounded_layer(node, place, weight)
    return Quantised(TemporalMix(integers), collapsed(place.scale * unit), layer)


def _integers(place: Place, first: Any, *others: Any) -> tuple[int, list[Array]]:
    """(bits by which what enters must be finer, the fields as integers of that unit).

    Raises:
        TooFineError: even without such bits they would not fit the state.
    """
    real = [np.asarray(field, dtype=np.float64) / place.scale for field in (first, *others)]
    top = max(float(np.abs(values).max()) for values in real)
    if top > 2**TOP_BITS:
        bits = excess_by_place(real, 2**TOP_BITS)
        raise TooFineError(place.name, bits, f"its thresholds or biases would take {top:.3g} units of a 24-bit state")
    shift = 0
    least = float(np.abs(real[0])[real[0] != 0].min(initial=np.inf))
    if not all(map(is_whole, real)) and least < FINE_PHASE:
        shift = min(ceil(log2(FINE_PHASE / least)), int(TOP_BITS - log2(top)))
    return shift, [rounded(values, np.asarray(2.0**-shift)).astype(np.int32) for values in real]


def _layer(place: Place, node: nir.NIRNode, shift: int, found: Array, wanted: Any) -> LayerReport:
    unit = place.scale / 2.0**shift
    return neuron_layer(place, node, unit, shift=shift, threshold_error=relative(found * unit, wanted))
