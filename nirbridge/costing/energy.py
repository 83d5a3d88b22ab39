"""graph, data → energy report."""

from __future__ import annotations

from typing import Any

import nir

from nirbridge.costing.costs import BITS, SYNAPTIC
from nirbridge.costing.layers import layers_of
from nirbridge.costing.meter import Meter
from nirbridge.costing.report import EnergyReport
from nirbridge.costing.roles import PRODUCT, SYNAPSES
from nirbridge.costing.rows import dense_macs
from nirbridge.ir import Graph
from nirbridge.runtime import Data, compile, make_plan, require_option


def energy(
    graph: Graph,
    x: Data,
    runtime: str = "reference",
    model: str = "m-lif",
    *,
    bits: int | None = None,
    input_kind: str | None = None,
    inferences: int | None = None,
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
        input_kind: "analog" or "events" for all inputs; by default an EventInput brings events, unless it makes
            time surfaces, and an Input analog values.  Data of levels, as encoded frames, are events.
        inferences: inferences in the T steps; by default the windows of the graph's phase code, or one a frame where
            conversion by "qcfs" made the graph for one, else 1.
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
    with compile(graph, runtime, **options) as program:
        meter = Meter(graph, program.plan, model, bits, input_kind)
        inferences = meter.inferences_of(x) if inferences is None else inferences
        total, *others = [
            meter.tally({**recording.records, **part}, inferences)
            for part, recording in program.run_in_parts(x, meter.samples_at_once, meter.records)
        ]
    for found in others:
        total.add(found)
    return meter.report(total, runtime)


def count_macs(graph: nir.NIRGraph) -> dict[str, int]:
    """Multiply-accumulates of one dense evaluation of each layer of synapses or product, by name; nothing is run.

    A convolution has C_in C_out k² H_o W_o / groups, a linear layer N_in N_out, an Aggregate one for each edge of its
    graph and each feature, a Product of I factors I - 1 for each value.  A copy with the other sign, which conversion
    made, has 0.

    Raises:
        GraphError: the graph is not valid.
        UnsupportedError: no model has a rule for a node.
    """
    layers = layers_of(make_plan(graph))
    return {layer.name: dense_macs(layer) for layer in layers if layer.role in (SYNAPSES, PRODUCT)}


def ann_energy(graph: nir.NIRGraph, bits: int = 32) -> float:
    """Energy of one inference of the ANN in pJ by models "m-lif" and "one-spike": E_MAC Σ MAC; nothing is run.

    Raises:
        GraphError: the graph is not valid.
        UnsupportedError: no model has a rule for a node.
        InputError: bits are neither 32 nor 8.
    """
    require_option("bits", bits, BITS)
    return SYNAPTIC[bits].mac * sum(count_macs(graph).values())
