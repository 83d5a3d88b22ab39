"""Every primitive that a graph may hold, by the name it has on disk.

To add a primitive: write its dataclass, list it here, give it a row in ``shapes.py``, and let each runtime lower it.
"""

from __future__ import annotations

import nir

from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import Extension
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.quantize import Quantize

EXTENSIONS: tuple[type[Extension], ...] = (
    MultiLevelLIF,
    PhaseIF,
    PhaseEncode,
    PhaseDecode,
    TemporalMix,
    MaxPool2d,
    Aggregate,
    Place,
    Product,
    Quantize,
    EventInput,
)
CORE: tuple[type[nir.NIRNode], ...] = (
    nir.Input,
    nir.Output,
    nir.Affine,
    nir.Linear,
    nir.Scale,
    nir.Conv1d,
    nir.Conv2d,
    nir.SumPool2d,
    nir.AvgPool2d,
    nir.Flatten,
    nir.Delay,
    nir.Threshold,
    nir.I,
    nir.IF,
    nir.LI,
    nir.LIF,
    nir.CubaLI,
    nir.CubaLIF,
    nir.NIRGraph,
)
PRIMITIVES: dict[str, type[nir.NIRNode]] = {cls.__name__: cls for cls in (*CORE, *EXTENSIONS)}
INPUTS: tuple[type[nir.NIRNode], ...] = (nir.Input, EventInput)
"""The types through which data enter a graph."""
