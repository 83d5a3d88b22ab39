"""What does not fit a chip: one small rule for each limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.checking.fixed_point import STATE_LIMIT
from nirbridge.chips.layers import POPULATIONS, Layer
from nirbridge.chips.limits import Chip
from nirbridge.chips.mapping import Load, broken_limits
from nirbridge.errors import Problem
from nirbridge.ir import (
    Aggregate,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Product,
    SparseMatrix,
    TemporalMix,
)
from nirbridge.passes.find_integers import stores_integers
from nirbridge.runtime import Plan, PlannedNode
from nirbridge.runtime.messages import BINARY

STATE_BITS = 1 + STATE_LIMIT.bit_length()
_QUANTIZE = "Run 'nirbridge quantize' first"
_WEIGHTED: dict[type[nir.NIRNode], str] = {
    nir.Affine: "weight",
    nir.Linear: "weight",
    nir.Conv1d: "weight",
    nir.Conv2d: "weight",
    Aggregate: "weight",
    TemporalMix: "weight",
}
_UNITS = {
    "neurons_per_core": "neurons",
    "synapse_bits_per_core": "bits of synapse memory",
    "in_axons_per_core": "sources of messages",
}


def weights_are_integers(plan: Plan, chip: Chip) -> list[Problem]:
    """Weights and thresholds are integers."""
    if stores_integers(planned.node for planned in plan.nodes):
        return []
    found = f"holds weights or thresholds that are no integers, and {chip.name} computes in integers"
    return [Problem("graph", found, _QUANTIZE, rule="weights_are_integers")]


def weights_fit_their_bits(plan: Plan, chip: Chip) -> list[Problem]:
    """A signed weight has at most ``weight_bits`` bits."""
    limit = chip.weight_bits
    return [
        _problem(
            planned, f"its weights take {bits} bits", limit.value, limit.source, _QUANTIZE, "weights_fit_their_bits"
        )
        for planned in plan.nodes
        if (bits := weight_bits_of(planned.node)) is not None and bits > limit.value
    ]


def messages_fit_their_bits(plan: Plan, chip: Chip) -> list[Problem]:
    """What a spike carries has at most ``message_bits`` bits; 1 bit is a binary spike."""
    limit = chip.message_bits
    step = "Run 'nirbridge expand' for binary neurons, or take loihi2"
    return [
        _problem(planned, f"its messages take {bits} bits", limit.value, limit.source, step, "messages_fit_their_bits")
        for planned in plan.nodes
        if type(planned.node) in POPULATIONS and (bits := message_bits_of(planned.node)) > limit.value
    ]


def states_fit_their_bits(plan: Plan, chip: Chip) -> list[Problem]:
    """Thresholds lie within the state."""
    limit = chip.state_bits
    problems = []
    for planned in plan.nodes:
        thresholds = getattr(planned.node, "lane_threshold", getattr(planned.node, "v_threshold", np.zeros(1)))
        bits = 1 + int(np.abs(np.asarray(thresholds, dtype=np.float64)).max()).bit_length()
        if bits > limit.value:
            found = f"its thresholds take {bits} bits of state"
            problems.append(_problem(planned, found, limit.value, limit.source, _QUANTIZE, "states_fit_their_bits"))
    return problems


def products_run_on_the_chip(plan: Plan, chip: Chip) -> list[Problem]:
    """Only a program multiplies what several synapses bring: the fixed neuron adds it."""
    if chip.programmable_neurons:
        return []
    found = f"multiplies messages, which the fixed neuron of {chip.name} only adds (source [D18])"
    return [
        Problem(str(planned), found, "Take loihi2", rule="products_run_on_the_chip")
        for planned in plan.nodes
        if type(planned.node) is Product
    ]


def neurons_run_on_the_chip(plan: Plan, chip: Chip) -> list[Problem]:
    """Without programmable neurons there is one threshold, a binary spike and a reset to 0."""
    if chip.programmable_neurons:
        return []
    return [
        Problem(
            str(planned),
            f"{reason}, which the fixed neuron of {chip.name} has not (source [D18])",
            "Run 'nirbridge expand' for binary neurons, or take loihi2",
            rule="neurons_run_on_the_chip",
        )
        for planned in plan.nodes
        if (reason := _beyond_the_fixed_neuron(planned.node))
    ]


def layers_fit_cores(layer: Layer, load: Load, chip: Chip) -> list[Problem]:
    """Even spread over as many cores as it has neurons, a core holds what a layer needs of it."""
    problems = []
    for name in broken_limits(load, chip):
        limit = getattr(chip, name)
        value = {"neurons_per_core": load.neurons, "synapse_bits_per_core": load.synapse_bits}.get(name, load.in_axons)
        found = f"a core needs {value} {_UNITS[name]} however it is spread"
        step = "Use a smaller layer, or a convolution instead of a dense one"
        problems.append(_problem(layer.planned, found, limit.value, limit.source, step, f"fits_{name}"))
    return problems


def out_axons_fit(layer: Layer, load: Load, target_cores: int, chip: Chip) -> list[Problem]:
    """Every neuron needs an output axon for each core that it sends to."""
    limit = chip.out_axons_per_core
    if limit is None or load.neurons * target_cores <= limit.value:
        return []
    found = f"{load.neurons} neurons a core send to {target_cores} cores each"
    step = "Spread the layer, or make the next one smaller"
    return [_problem(layer.planned, found, limit.value, limit.source, step, "fits_out_axons_per_core")]


def chip_has_enough_cores(cores: int, chip: Chip) -> list[Problem]:
    """All layers fit one chip."""
    if cores <= chip.cores.value:
        return []
    found = f"takes {cores} cores, a {chip.name} has {chip.cores.value} (source {chip.cores.source})"
    return [Problem("graph", found, "Use several chips or a smaller network", rule="chip_has_enough_cores")]


NODE_RULES: tuple[Callable[[Plan, Chip], list[Problem]], ...] = (
    weights_are_integers,
    weights_fit_their_bits,
    messages_fit_their_bits,
    states_fit_their_bits,
    neurons_run_on_the_chip,
    products_run_on_the_chip,
)


def weight_bits_of(node: nir.NIRNode) -> int | None:
    """Bits of its signed integer weights; None for a node without weights, or with real ones."""
    name = _WEIGHTED.get(type(node))
    if name is None:
        return None
    value: Any = getattr(node, name)
    weight = np.asarray(value.value if isinstance(value, SparseMatrix) else value, dtype=np.float64)
    if (weight != np.rint(weight)).any() or not weight.size:
        return None
    return 1 + int(max(weight.max(), -weight.min() - 1, 0)).bit_length()


def message_bits_of(node: nir.NIRNode) -> int:
    """Bits of what a population sends: 1 for a binary spike, else with the sign; sums and membranes fill a state."""
    if type(node) in BINARY:
        return 1
    if type(node) is not MultiLevelLIF:
        return STATE_BITS
    weights = np.asarray(node.lane_weight, dtype=np.float64)
    return 1 if node.lanes == 1 else 1 + int(np.ceil(np.abs(weights).max())).bit_length()


_WINDOWED: dict[type[nir.NIRNode], str] = {
    PhaseEncode: "sends the digits of a value",
    PhaseIF: "compares with a threshold that decays within a window",
    PhaseDecode: "weighs the steps of a window",
    TemporalMix: "keeps and mixes the steps of a window",
}


def _beyond_the_fixed_neuron(node: nir.NIRNode) -> str:
    if type(node) in _WINDOWED:
        return _WINDOWED[type(node)]
    if type(node) is MultiLevelLIF:
        if node.lanes > 1:
            return f"has {node.lanes} lanes"
        if node.reset != "value":
            return "resets by subtraction"
    if np.any(getattr(node, "v_reset", 0)):
        return "resets to another value than 0"
    return ""


def _problem(planned: PlannedNode, found: str, limit: int, source: str, step: str, rule: str) -> Problem:
    return Problem(str(planned), f"{found}, the limit is {limit} (source {source})", step, rule=rule)
