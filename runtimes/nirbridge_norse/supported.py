"""The node types that the lowering table holds, known without torch; a test keeps the two equal."""

from __future__ import annotations

import nir

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    TemporalMix,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d

SUPPORTED: frozenset[type[nir.NIRNode]] = frozenset(
    {
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
        Aggregate,
        EventInput,
        FirstSpikePool2d,
        MaxPool2d,
        MultiLevelLIF,
        PhaseDecode,
        PhaseEncode,
        PhaseIF,
        TemporalMix,
    }
)
