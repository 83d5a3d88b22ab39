"""graph, data → energy report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np

from nirbridge.costing.activity import Activity, Measured, measure
from nirbridge.costing.costs import SYNAPTIC, require_bits
from nirbridge.costing.latency import window_steps
from nirbridge.costing.layers import Layer, layers_of, uncounted
from nirbridge.costing.memory_model import memory_rows
from nirbridge.costing.products import multiplications
from nirbridge.costing.rate_models import rate_rows
from nirbridge.costing.report import EnergyReport, LayerEnergy
from nirbridge.costing.roles import PRODUCT, SYNAPSES, synapses_of
from nirbridge.costing.signals import units_of
from nirbridge.costing.width import width_of
from nirbridge.errors import InputError
from nirbridge.ir import EventInput, Graph, Quantize, frames_of_inference, is_input
from nirbridge.reports import counted
from nirbridge.runtime import Data, Plan, PlannedNode, compile, make_plan, require_option

Rows = Callable[[tuple[Layer, ...], Measured], tuple[list[LayerEnergy], dict[str, str]]]

_MODELS: dict[str, Rows] = {"m-lif": rate_rows, "one-spike": rate_rows, "memory": memory_rows}
MODELS = tuple(_MODELS)
INPUT_KINDS = ("analog", "events")


def energy(
    graph: Graph,
    x: Data,
    runtime: str = "reference",
    model: str = "m-lif",
    *,
    bits: int | None = None,
    input_kind: str | None = None,
    inferences: int | None = None,
    observe: Callable[[Any], None] | None = None,
    **options: Any,
) -> EnergyReport:
    """Estimates the energy of a network from the activity that ``x`` causes, and that of the ANN with its synapses.

    - "m-lif": a synaptic operation is 0.9 pJ, a MAC of a layer with analog input and of the ANN is 4.6 pJ.
    - "one-spike": the same, ANN / SNN = Σ MAC 4.6 / Σ MAC r 0.9; a phase-coded input is events.
      With 8 bits, 0.03 and 0.23 pJ for either.
    - "memory": accesses of weights, potentials, biases and queues as well, with every membrane read and written at
      every step; see :func:`nirbridge.costing.memory_model.memory_rows`.

    The ANN evaluates each layer once an inference; where conversion made two of a layer, one for each sign, the ANN has
    one.  A layer whose input is analog is evaluated densely, at each step at which its input is new.  Every node is a
    layer of the report, or one of its neurons, or in ``not_counted``.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it.
        x: [T, B, *shape], or a dictionary by input name.
        runtime: the runtime that records the activity.
        model: "m-lif", "one-spike" or "memory".
        bits: 32 or 8; by default 8 for a graph of 8-bit integers, as ``nirbridge.quantize`` makes, else 32.
        input_kind: "analog" or "events" for all inputs; by default an EventInput brings events and an Input analog
            values.  Data of levels, as encoded frames, are events.
        inferences: inferences in the T steps; by default the windows of the graph's phase code, or one a frame where
            conversion by "qcfs" made the graph for one, else 1.
        observe: gets the output [T, B, *shape] of every part of the samples as soon as it has run, in their order.
        options: as for :func:`nirbridge.compile`: ``dt``, ``precision``, ``integrator``, ``reset``, ...

    Returns:
        Means of one inference of one sample.

    Raises:
        InputError: the data or an option do not fit.
        GraphError: the graph is not valid.
        UnsupportedError: the runtime does not run the graph, or no model has a rule for a node.
        RuntimeUnavailableError: the runtime is missing.

    Source: Abillama et al., IEEE Access 2025, equations 13 to 17; Hwang and Kung, 2024, equation 6;
    Castagnetti, Pegatoquet and Miramond, 2025, with Lemaire et al., ICONIP 2022.
    """
    require_option("model", model, MODELS)
    if bits is not None:
        require_bits(bits)
    if input_kind is not None:
        require_option("input_kind", input_kind, INPUT_KINDS)
    with compile(graph, runtime, **options) as program:
        plan = program.plan
        layers = _layers(plan)
        own = width_of(plan)
        width = own if bits is None else bits
        frames = frames_of_inference(graph)
        if inferences is None and frames is not None:
            inferences = _inferences_of(x, frames)
        units = units_of(plan, input_kind)
        activity = measure(program, layers, units, x, inferences, observe)
    rows, skipped = _MODELS[model](layers, Measured(activity, units, width))
    return EnergyReport(
        model=model,
        bits=width,
        runtime=runtime,
        samples=activity.samples,
        inferences=activity.inferences,
        steps=activity.steps // activity.inferences,
        layers=tuple(rows),
        not_counted=_in_order(plan, {**uncounted(plan), **skipped}),
        assumptions=(
            *_width_line(width, own, bits),
            *_frames_line(plan, frames, activity),
            *_assumptions(plan, layers, rows, input_kind),
        ),
    )


def _inferences_of(x: Data, frames: int) -> int | None:
    """Inferences in data for a graph that takes ``frames`` steps for one; None where they do not divide."""
    array = next(iter(x.values())) if isinstance(x, Mapping) else x
    steps = len(array) if np.ndim(array) else 0
    return None if steps % frames else max(1, steps // frames)


def _width_line(width: int, own: int, given: int | None) -> tuple[str, ...]:
    """What a reader must know about the width, where it is not the usual one or not the graph's own."""
    if given is not None and width != own:
        held = "holds integers of 8 bits" if own == 8 else "is no graph of 8-bit integers"
        return (f"priced at {width} bits as asked, although it {held}",)
    return ("priced at 8 bits, the width of its integer weights; --bits 32 prices floating point",) if own == 8 else ()


def _frames_line(plan: Plan, frames: int | None, activity: Activity) -> tuple[str, ...]:
    """How many steps an inference has in a graph that conversion made for so many frames."""
    if frames is None:
        return ()
    steps = activity.steps // activity.inferences
    line = f"converted for {counted(frames, 'frame')} an inference, T = {window_steps(plan, frames)}"
    if steps != frames:
        return (f"{line}; here an inference has {counted(steps, 'frame')}",)
    if activity.inferences > 1:
        return (f"{line}; {activity.inferences} inferences follow one another, and membranes carry over between them",)
    return (line,)


def count_macs(graph: nir.NIRGraph) -> dict[str, int]:
    """Multiply-accumulates of one dense evaluation of each layer of synapses or product, by name; nothing is run.

    A convolution has C_in C_out k² H_o W_o / groups, a linear layer N_in N_out, an Aggregate one for each edge of its
    graph and each feature, a Product of I factors I - 1 for each value.  A copy with the other sign, which conversion
    made, has 0.

    Raises:
        GraphError: the graph is not valid.
        UnsupportedError: no model has a rule for a node.
    """
    return {
        layer.name: 0 if layer.copy_of else _macs(layer.planned)
        for layer in layers_of(make_plan(graph))
        if layer.role in (SYNAPSES, PRODUCT)
    }


def _macs(planned: PlannedNode) -> int:
    synapses = synapses_of(planned)
    return multiplications(planned) if synapses is None else synapses.macs


def ann_energy(graph: nir.NIRGraph, bits: int = 32) -> float:
    """Energy of one inference of the ANN in pJ by models "m-lif" and "one-spike": E_MAC Σ MAC; nothing is run.

    Raises:
        GraphError: the graph is not valid.
        UnsupportedError: no model has a rule for a node.
        InputError: bits are neither 32 nor 8.
    """
    require_bits(bits)
    return SYNAPTIC[bits].mac * sum(count_macs(graph).values())


def _layers(plan: Plan) -> tuple[Layer, ...]:
    """The layers, of which at least one has synapses.

    Raises:
        InputError: there are no synapses to count.
    """
    layers = layers_of(plan)
    if not any(layer.role == SYNAPSES for layer in layers):
        found = "has no layer of synapses (Affine, Linear, Conv1d, Conv2d, Aggregate), so there is nothing to compare"
        raise InputError("graph", found, "Give a network with weights")
    return layers


def _in_order(plan: Plan, reasons: dict[str, str]) -> dict[str, str]:
    return {name: reasons[name] for name in plan.names if name in reasons}


def _assumptions(
    plan: Plan, layers: tuple[Layer, ...], rows: list[LayerEnergy], input_kind: str | None
) -> tuple[str, ...]:
    """What a reader must know to judge the figures."""
    lines = []
    for name in plan.inputs:
        kind = input_kind or ("events" if type(plan[name].node) is EventInput else "analog")
        reason = "as given" if input_kind else f"by its type {type(plan[name].node).__name__}"
        lines.append(f"input '{name}' counts as {kind} ({reason})")
    analog = [row.layer for row in rows if row.input == "analog" and not _behind_input(plan, row.layer)]
    if analog:
        lines.append(f"analog senders before {', '.join(analog)}: evaluated densely at every step that is new")
    if any(planned.loop is not None for planned in plan.nodes):
        lines.append("the ANN evaluates recurrent layers once too, as it does every layer")
    pairs = ", ".join(f"{layer.name} with {layer.copy_of}" for layer in layers if layer.copy_of)
    if pairs:
        lines.append(f"the ANN has once what conversion made two of, one for each sign: {pairs}")
    return tuple(lines)


def _behind_input(plan: Plan, name: str) -> bool:
    """Whether data reach the node as they are, or rounded by the host."""
    senders = (plan[source.name].node for source in plan[name].sources)
    return any(is_input(sender) or type(sender) is Quantize for sender in senders)
