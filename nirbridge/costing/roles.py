"""What a node is to an energy model, by its exact type.  To add a primitive: one row in ``ROLES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.errors import UnsupportedError
from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import PlannedNode

BOUNDARY, SYNAPSES, SPIKING, ANALOG_STATE, MIXING, PRODUCT, TRANSPARENT = (
    "boundary",
    "synapses",
    "spiking neuron",
    "analog neuron",
    "mixing over time",
    "product",
    "transparent",
)
NEURONS = (SPIKING, ANALOG_STATE)

ROLES: dict[type[nir.NIRNode], str] = {
    nir.Input: BOUNDARY,
    EventInput: BOUNDARY,
    nir.Output: BOUNDARY,
    nir.Affine: SYNAPSES,
    nir.Linear: SYNAPSES,
    nir.Conv1d: SYNAPSES,
    nir.Conv2d: SYNAPSES,
    Aggregate: SYNAPSES,
    nir.Threshold: SPIKING,
    nir.IF: SPIKING,
    nir.LIF: SPIKING,
    nir.CubaLIF: SPIKING,
    MultiLevelLIF: SPIKING,
    PhaseIF: SPIKING,
    PhaseEncode: SPIKING,
    nir.I: ANALOG_STATE,
    nir.LI: ANALOG_STATE,
    nir.CubaLI: ANALOG_STATE,
    PhaseDecode: ANALOG_STATE,
    TemporalMix: MIXING,
    Product: PRODUCT,
    Place: TRANSPARENT,
    Quantize: TRANSPARENT,
    nir.Flatten: TRANSPARENT,
    nir.Delay: TRANSPARENT,
    nir.Scale: TRANSPARENT,
    nir.SumPool2d: TRANSPARENT,
    nir.AvgPool2d: TRANSPARENT,
    MaxPool2d: TRANSPARENT,
    FirstSpikePool2d: TRANSPARENT,
}

UNCOUNTED: dict[type[nir.NIRNode], str] = {
    nir.Input: "brings the data",
    EventInput: "brings the data; the sensor and its encoding are outside of the network",
    nir.Output: "hands the result over",
    nir.Flatten: "renames positions, moves no data",
    Place: "part of the address of an event",
    Quantize: "rounds the data on the host, before they reach a chip",
    nir.Delay: "keeps events in a queue of their own, which no model has a price for",
    nir.Scale: "one factor for each neuron, folded into the weights behind or before it",
    nir.SumPool2d: "part of the address of an event, as in the published models, which price no pooling",
    nir.AvgPool2d: "its factor 1/k² folds into the weights; the published models price no pooling",
    MaxPool2d: "comparisons without weights; the published models price no pooling",
    FirstSpikePool2d: "the first spike passes, the others are dropped; the published models price no pooling",
}
"""Why a node that is neither synapses, neuron nor mixing costs nothing, here and in the ANN alike."""


def role_of(planned: PlannedNode) -> str:
    """The role of exactly this type.

    Raises:
        UnsupportedError: no energy model has a rule for the type.
    """
    role = ROLES.get(type(planned.node))
    if role is None:
        found = f"no energy model has a rule for the type {type(planned.node).__name__}"
        raise UnsupportedError(str(planned), found, "Replace the node, or add its role to nirbridge/costing/roles.py")
    return role


@dataclass(frozen=True)
class Membrane:
    """What one neuron does at every step.

    Attributes:
        states: numbers that it reads and writes.
        multiplies: multiplications by a leak or a base; 0 where the factor is 1, or 2, which is a shift.
    """

    states: int
    multiplies: int


def _shifted(base: float) -> Membrane:
    return Membrane(1, int(base != 2.0))


MEMBRANES: dict[type[nir.NIRNode], Callable[[Any], Membrane]] = {
    nir.Threshold: lambda node: Membrane(0, 0),
    nir.I: lambda node: Membrane(1, 0),
    nir.IF: lambda node: Membrane(1, 0),
    nir.LI: lambda node: Membrane(1, 1),
    nir.LIF: lambda node: Membrane(1, 1),
    nir.CubaLI: lambda node: Membrane(2, 2),
    nir.CubaLIF: lambda node: Membrane(2, 2),
    MultiLevelLIF: lambda node: Membrane(1, int(bool((np.asarray(node.decay) != 1).any()))),
    PhaseIF: lambda node: _shifted(node.base_in),
    PhaseEncode: lambda node: _shifted(node.base),
    PhaseDecode: lambda node: _shifted(node.base),
}
