"""The primitives, one file each: what a node type is, computes, sends and costs, in a :class:`Spec`.

To add one: write its file, and list it here; a package of its own registers it by the entry point
``nirbridge.primitives`` instead.
"""

from __future__ import annotations

from nirbridge.needed_nir import NEEDED  # noqa: F401  (first, before anything asks nir for what it may lack)

# isort: split
from nirbridge.primitives import (
    affine,
    aggregate,
    avg_pool2d,
    conv1d,
    conv2d,
    cuba_li,
    cuba_lif,
    delay,
    event_input,
    first_spike_pool2d,
    flatten,
    i,
    if_,
    input,
    li,
    lif,
    linear,
    max_pool2d,
    multi_level_lif,
    output,
    phase_decode,
    phase_encode,
    phase_if,
    place,
    product,
    quantize,
    scale,
    sum_pool2d,
    temporal_mix,
    threshold,
)
from nirbridge.primitives.aggregate import Aggregate
from nirbridge.primitives.delay import delay_steps
from nirbridge.primitives.event_input import EventInput
from nirbridge.primitives.fields import OPSET, TEXT_FIELDS, Extension, Neuron, Shape, is_real
from nirbridge.primitives.first_spike_pool2d import FirstSpikePool2d
from nirbridge.primitives.max_pool2d import MaxPool2d
from nirbridge.primitives.multi_level_lif import MultiLevelLIF
from nirbridge.primitives.operators import where
from nirbridge.primitives.own import neuron_spec
from nirbridge.primitives.phase_decode import PhaseDecode
from nirbridge.primitives.phase_encode import PhaseEncode
from nirbridge.primitives.phase_if import PhaseIF
from nirbridge.primitives.place import Place
from nirbridge.primitives.product import Product
from nirbridge.primitives.quantize import Quantize
from nirbridge.primitives.sparse import SparseMatrix
from nirbridge.primitives.spec import BINARY, MEMBRANE, Array, Fires, Sends, Spec
from nirbridge.primitives.temporal_mix import TemporalMix

BUILT_IN: tuple[Spec, ...] = (
    input.SPEC,
    output.SPEC,
    affine.SPEC,
    linear.SPEC,
    scale.SPEC,
    conv1d.SPEC,
    conv2d.SPEC,
    sum_pool2d.SPEC,
    avg_pool2d.SPEC,
    flatten.SPEC,
    delay.SPEC,
    threshold.SPEC,
    i.SPEC,
    if_.SPEC,
    li.SPEC,
    lif.SPEC,
    cuba_li.SPEC,
    cuba_lif.SPEC,
    multi_level_lif.SPEC,
    phase_if.SPEC,
    phase_encode.SPEC,
    phase_decode.SPEC,
    temporal_mix.SPEC,
    max_pool2d.SPEC,
    aggregate.SPEC,
    place.SPEC,
    product.SPEC,
    quantize.SPEC,
    event_input.SPEC,
    first_spike_pool2d.SPEC,
)
"""The Spec of every primitive that nirbridge brings, NIR's own included."""

__all__ = [
    "BINARY",
    "BUILT_IN",
    "MEMBRANE",
    "OPSET",
    "TEXT_FIELDS",
    "Aggregate",
    "Array",
    "EventInput",
    "Extension",
    "Fires",
    "FirstSpikePool2d",
    "MaxPool2d",
    "MultiLevelLIF",
    "Neuron",
    "PhaseDecode",
    "PhaseEncode",
    "PhaseIF",
    "Place",
    "Product",
    "Quantize",
    "Sends",
    "Shape",
    "SparseMatrix",
    "Spec",
    "TemporalMix",
    "delay_steps",
    "is_real",
    "neuron_spec",
    "where",
]
