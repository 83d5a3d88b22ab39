"""What does not fit a chip: one small rule for each limit."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np

from nirbridge.chips.layers import Layer, place_of
from nirbridge.chips.limits import Chip, Limit
from nirbridge.chips.mapping import Load, broken_limits
from nirbridge.chips.messages import Bits
from nirbridge.errors import Problem
from nirbridge.ir import MultiLevelLIF, find_spec, spec_of
from nirbridge.primitives.delay import delay_steps
from nirbridge.runtime import Plan, PlannedNode, fixed_problems

_QUANTIZE = "Run 'nirbridge quantize' first"
_UNITS = {
    "neurons_per_core": "neurons",
    "synapse_bits_per_core": "bits of synapse memory",
    "in_axons_per_core": "sources of messages",
}


def chip_problems(plan: Plan, layers: tuple[Layer, ...], chip: Chip, bits: Bits) -> list[Problem]:
    """Whatever keeps the graph off the chip before its cores are counted.

    What precision "fixed" refuses, node types that no rule places, what nodes say that the chip cannot, and the
    numbers of messages, weights, delays, biases and states against its bits.  ``bits`` are those of messages.
    """
    problems = [problem for rule in NODE_RULES for problem in rule(plan, chip)]
    problems += messages_fit_their_bits(plan, chip, bits)
    return problems + [problem for layer in layers for rule in LAYER_RULES for problem in rule(layer, plan, chip)]


def graph_runs_in_integers(plan: Plan, chip: Chip) -> list[Problem]:
    """The chip computes as precision "fixed" does, so it runs what that precision runs."""
    return fixed_problems(plan)


def chip_has_a_place(plan: Plan, chip: Chip) -> list[Problem]:
    """Every node is a population, a synapse or wiring of the chip, or outside of it."""
    problems = []
    for planned in plan.nodes:
        if not place_of(planned.node):
            spec = find_spec(type(planned.node))
            without = f"no rule places a {type(planned.node).__name__} on {chip.name}; Use other nodes"
            reason = without if spec is None else spec.chip.refused or without
            found, _, step = reason.partition("; ")
            problems.append(Problem(str(planned), found, step, rule="chip_has_a_place"))
    return problems


def messages_fit_their_bits(plan: Plan, chip: Chip, bits: Bits) -> list[Problem]:
    """What a message carries has at most ``message_bits`` bits; 1 bit is a binary spike."""
    limit = chip.message_bits
    step = "Use fewer levels" if limit.value > 1 else "Run 'nirbridge expand' for binary neurons, or take loihi2"
    heard = {s.name for reader in plan.nodes if place_of(reader.node) != "host" for s in reader.sources}
    problems = []
    for planned in plan.nodes:
        place, needed = place_of(planned.node), bits.get(planned.name)
        # Before an output no message carries a membrane: the host reads it.
        membrane = place == "population" and spec_of(planned.node).sends.kind == "membrane"
        sends = place == "population" and (not membrane or planned.name in heard)
        brings = place == "host" and planned.name in heard
        if (sends or brings) and (needed or 0) > limit.value:
            found = (
                f"its messages {'can take' if spec_of(planned.node).sends.kind == 'analog' else 'take'} {needed} bits"
            )
            hint = "Give it data of 0 and 1, as coding 'binary' makes them, or take loihi2" if brings else step
            problems.append(_problem(planned, found, limit, hint, "messages_fit_their_bits"))
        elif brings and needed is None and limit.value == 1:
            found = f"nothing says that it brings 0 and 1 alone, and a message of {chip.name} carries no more"
            source = f"{found} (source {limit.source})"
            problems.append(Problem(str(planned), source, "Give it no other data", "inputs_are_spikes", "warning"))
    return problems


def states_fit_their_bits(plan: Plan, chip: Chip) -> list[Problem]:
    """Thresholds lie within the state."""
    limit = chip.state_bits
    problems = []
    for planned in plan.nodes:
        fields = [getattr(planned.node, name, 0) for name in ("lane_threshold", "v_threshold", "threshold")]
        bits = 1 + int(max(np.abs(np.asarray(field, dtype=np.float64)).max(initial=0) for field in fields)).bit_length()
        if bits > limit.value:
            found = f"its thresholds take {bits} bits of state"
            problems.append(_problem(planned, found, limit, _QUANTIZE, "states_fit_their_bits"))
    return problems


def biases_fit_their_bits(plan: Plan, chip: Chip) -> list[Problem]:
    """A bias is a signed mantissa times a power of two."""
    limit, most = chip.bias_bits, chip.bias_exponent.value
    problems = []
    for planned in plan.nodes:
        bias = np.rint(np.asarray(getattr(planned.node, "bias", 0), dtype=np.float64)).ravel()
        for value in np.unique(bias).astype(object):
            mantissa = int(value)
            zeros = min((mantissa & -mantissa).bit_length() - 1, most) if mantissa else 0
            bits = 1 + max(mantissa >> zeros, -(mantissa >> zeros) - 1).bit_length()
            if bits > limit.value:
                found = f"its bias of {mantissa} takes {bits} bits"
                step = "Use smaller biases and thresholds"
                problems.append(_problem(planned, found, limit, step, "biases_fit_their_bits"))
                break
    return problems


def delays_fit(plan: Plan, chip: Chip) -> list[Problem]:
    """No node delays longer than a message can wait."""
    return [
        _too_late(planned, f"delays by up to {steps} steps of {plan.dt:g} s", chip)
        for planned in plan.nodes
        if spec_of(planned.node).operation == "delay"
        and (steps := int(delay_steps(planned.node.delay, plan.dt).max(initial=0))) > chip.delay_steps.value
    ]


def products_run_on_the_chip(plan: Plan, chip: Chip) -> list[Problem]:
    """Only a program multiplies what several synapses bring: the fixed neuron adds it."""
    if chip.programmable_neurons:
        return []
    found = f"multiplies messages, which the fixed neuron of {chip.name} only adds (source [D18])"
    return [
        Problem(str(planned), found, "Take loihi2", rule="products_run_on_the_chip")
        for planned in plan.nodes
        if spec_of(planned.node).cost.role == "product"
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
        if (reason := spec_of(planned.node).chip.fixed(planned.node))
    ]


def weights_fit_their_bits(layer: Layer, plan: Plan, chip: Chip) -> list[Problem]:
    """A signed weight has at most ``weight_bits`` bits, and a power of two that its layer shares."""
    limit = chip.weight_bits
    problems = []
    for path in layer.paths:
        gain = 1 if chip.programmable_neurons else _gain(layer.planned.node)
        weights = path.weights.scaled(gain)
        bits = weights.bits(chip)
        if bits is not None and bits > limit.value:
            merged = weights.merged > 1 or np.any(np.asarray(gain) != 1)
            found = f"its weights, all between {path.source!r} and it merged, can take {bits} bits"
            where = layer.planned if merged or not path.last else plan[path.last]
            found = found if merged else f"its weights take {bits} bits"
            step = "Put a neuron between the synapses" if merged else _QUANTIZE
            problems.append(_problem(where, found, limit, step, "weights_fit_their_bits"))
    return problems


def paths_are_not_too_late(layer: Layer, plan: Plan, chip: Chip) -> list[Problem]:
    """Delays in a row add up."""
    limit = chip.delay_steps.value
    return [
        _too_late(layer.planned, f"hears {path.source!r} up to {path.delay} steps of {plan.dt:g} s late", chip)
        for path in layer.paths
        if path.delay > limit >= path.wait
    ]


def delays_stay_apart(layer: Layer, plan: Plan, chip: Chip) -> list[Problem]:
    """Neurons between two synapses that merge delay alike: one synapse has one delay."""
    step = "Put a neuron between the synapses, or give all one delay"
    return [
        Problem(str(layer.planned), f"hears {path.source!r} over synapses of several delays", step, "delays_stay_apart")
        for path in layer.paths
        if path.split
    ]


def layers_fit_cores(layer: Layer, load: Load, chip: Chip) -> list[Problem]:
    """Even spread over as many cores as it has neurons, a core holds what a layer needs of it."""
    problems = []
    for name, value in broken_limits(load, chip).items():
        found = f"a core needs {value} {_UNITS[name]} however it is spread"
        step = "Use a smaller layer, or a convolution instead of a dense one"
        problems.append(_problem(layer.planned, found, getattr(chip, name), step, f"fits_{name}"))
    return problems


def out_axons_fit(layer: Layer, load: Load, target_cores: int, chip: Chip) -> list[Problem]:
    """Every neuron needs an output axon for each core that it sends to."""
    limit = chip.out_axons_per_core
    if limit is None or load.neurons * target_cores <= limit.value:
        return []
    found = f"{load.neurons} neurons a core send to {target_cores} cores each"
    step = "Spread the layer, or make the next one smaller"
    return [_problem(layer.planned, found, limit, step, "fits_out_axons_per_core")]


def chip_has_enough_cores(cores: int, chip: Chip) -> list[Problem]:
    """All layers fit one chip."""
    if cores <= chip.cores.value:
        return []
    found = f"takes {cores} cores, a {chip.name} has {chip.cores.value} (source {chip.cores.source})"
    return [Problem("graph", found, "Use several chips or a smaller network", rule="chip_has_enough_cores")]


NODE_RULES: tuple[Callable[[Plan, Chip], list[Problem]], ...] = (
    graph_runs_in_integers,
    chip_has_a_place,
    states_fit_their_bits,
    biases_fit_their_bits,
    delays_fit,
    neurons_run_on_the_chip,
    products_run_on_the_chip,
)
LAYER_RULES: tuple[Callable[[Layer, Plan, Chip], list[Problem]], ...] = (
    weights_fit_their_bits,
    paths_are_not_too_late,
    delays_stay_apart,
)


def _gain(node: nir.NIRNode) -> object:
    """The factor on what enters a neuron."""
    if type(node) is MultiLevelLIF:
        return node.gain
    return node.r if type(node) in (nir.I, nir.IF) else 1


def _too_late(planned: PlannedNode, found: str, chip: Chip) -> Problem:
    return _problem(planned, found, chip.delay_steps, "Use shorter delays, or a larger --dt", "delays_fit")


def _problem(planned: PlannedNode, found: str, limit: Limit, step: str, rule: str) -> Problem:
    return Problem(str(planned), f"{found}, the limit is {limit.value} (source {limit.source})", step, rule=rule)
