"""Graph → graph of integers, with a report."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.checking import find_problems
from nirbridge.checking.suspicions import magnitudes_leave_room
from nirbridge.errors import GraphError, GraphWarning, InputError, UnsupportedError, brief
from nirbridge.ir import (
    FlatGraph,
    Graph,
    MultiLevelLIF,
    PhaseIF,
    Quantize,
    build_graph,
    flatten,
    infer_shapes,
    label,
)
from nirbridge.passes.widen_parameters import widen_parameters
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.spec import Array
from nirbridge.quantizing.calibrating import StateRange, input_scale, state_ranges
from nirbridge.quantizing.ends import with_quantize_nodes, with_units
from nirbridge.quantizing.hessians import hessians
from nirbridge.quantizing.refusals import RefusedError, TooFineError, excess_by_place
from nirbridge.quantizing.report import QuantizeReport
from nirbridge.quantizing.walk import Walk, walk_until_it_fits
from nirbridge.runtime import Data, Plan, make_plan, require_option, require_seconds
from nirbridge.runtime.data import validated
from nirbridge.runtime.integer_bounds import bound_problems, integer_input_limit

MOST_BITS = 8
FORMS = ("data", "integers")
"""What a quantised graph may take."""
PER = ("layer", "channel")
"""What has a weight scale of its own."""
ROUNDINGS = ("nearest", "gptq")
"""How weights become whole."""
_HEADROOM = 2**22
_ATTEMPTS = 16
_GIVE_DATA = "Give calibration data [T, B, *shape] (--data)"


def quantize(
    graph: Graph,
    data: Data | None = None,
    *,
    weight_bits: int = MOST_BITS,
    per: str = "layer",
    rounding: str = "nearest",
    input: str = "data",
    dt: float | None = None,
) -> nir.NIRGraph:
    """The graph in integers, for precision "fixed"; see :func:`quantize_with_report`.

    A :class:`~nirbridge.errors.GraphWarning` says so where rounding loses more of a layer than its bits say.
    """
    integers, report = quantize_with_report(
        graph, data, weight_bits=weight_bits, per=per, rounding=rounding, input=input, dt=dt
    )
    for text in report.warnings:
        warnings.warn(text, GraphWarning, stacklevel=2)
    return integers


def quantize_with_report(
    graph: Graph,
    data: Data | None = None,
    *,
    weight_bits: int = MOST_BITS,
    per: str = "layer",
    rounding: str = "nearest",
    input: str = "data",
    dt: float | None = None,
) -> tuple[nir.NIRGraph, QuantizeReport]:
    r"""The graph in integers, for precision "fixed", and what became of each layer.

    Every edge carries integers n that stand for scale·n.  A synapse gets the power of two 2^-e at which its weights,
    times the scale of what enters, have the least squared error in ``weight_bits`` bits; biases have the scale 2^-e
    too.  Gains of neurons go into the scale of their state; thresholds, resets and initial membranes become integers
    of it.  Decays become multiples of 1/4096.  Lane weights become multiples of their common unit, which goes into the
    weights behind; so do the 1/k² of an AvgPool2d, which becomes a SumPool2d, and the 1/T of a TemporalMix.  Spikes of
    a phase code stay ones.  Edges that add up are brought to one scale by Scale nodes that hold powers of two.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it; it is not changed.  Nested graphs come back flat,
            nodes named ``outer.inner``.
        data: calibration data [T, B, *shape], or a dictionary by input name.  With them inputs that are no integers
            get a step, states that would leave 24 bits get coarser weights, and the report says what states took.
            Without them inputs count as integers, step 1.
        weight_bits: 1 to 8, with sign; 1 bit is a sign at the scale of the mean magnitude.
        per: "layer", or "channel": each output channel of a matrix, convolution or Scale has a step of its own, any
            real number, which goes into the threshold and biases of its neuron.  Layers that add up have steps that
            are powers of two of each other.  Where one unit is needed behind a layer, it has one, and
            ``report.notes`` says why.
        rounding: "nearest", or "gptq": weights are rounded so that what a layer computes on ``data`` changes least.
        input: what the new graph takes.  "data": what ``graph`` takes; a ``Quantize`` node behind each input makes
            integers of it, within the largest with which every sum stays exact, and says that the graph runs in
            precision "fixed"; a Scale before each output, which the host does too, gives what ``graph`` gives, but
            for the rounding.  "integers": round(x / step), which :meth:`QuantizeReport.to_integers` gives; there is
            no such node, outputs are integers of ``report.output_scale``, and precision "fixed" has to be asked for.
        dt: seconds per step, for neurons with time constants, as for :func:`nirbridge.compile`.

    Returns:
        An ordinary graph, whose weights and thresholds are stored as integers, and the report.

    Raises:
        InputError: an option is out of range or unknown, the data do not fit, "gptq" has none, or integers shall enter
            a graph that rounds its data itself.
        GraphError: the graph is not valid.
        UnsupportedError: nodes that have no integer form; every node is named with its reason.

    Source: Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro 38(1), 2018, for
    the widths of weights, states and decays; Frantar et al., "GPTQ", ICLR 2023.
    """
    _require_bits(weight_bits)
    for name, given_option, known in (("input", input, FORMS), ("per", per, PER), ("rounding", rounding, ROUNDINGS)):
        require_option(name, given_option, known)
    require_seconds("dt", dt)
    if rounding == "gptq" and data is None:
        raise InputError("option 'rounding'", "'gptq' rounds by what layers get, and there are no data", _GIVE_DATA)
    flat = flatten(graph)
    problems = find_problems(flat, dt)
    if problems:
        raise GraphError.from_problems(problems)
    plan = make_plan(flat, dt)
    given = None if data is None else _by_name(plan, data)
    if input == "integers":
        _require_no_rounding(flat)
    steps = {name: _input_step(flat, name, None if given is None else given[name]) for name in plan.inputs}
    wide = widen_parameters(flat)
    if beyond := magnitudes_leave_room(wide):
        raise UnsupportedError.from_problems(beyond)  # no scale would leave bits for the others
    start = Walk(
        wide,
        infer_shapes(flat)[0],
        int(weight_bits),
        plan.dt,
        steps,
        per_channel=per == "channel",
        one_unit=input == "integers",
        hessians=hessians(flat, given, plan.dt) if rounding == "gptq" and given is not None else {},
    )
    try:
        walk, states = _fitting(start, given)
    except RefusedError as error:
        raise UnsupportedError.from_problems([error.problem]) from error
    limit = _input_limit(walk)
    report = _report(walk, states, plan, limit)
    return _checked(walk, limit if input == "data" else None, graph.metadata), report


def _input_step(flat: FlatGraph, name: str, x: Array | None) -> float:
    """The one step to which the graph itself rounds all that an input brings, else the one that its data need."""
    readers = [flat.nodes[target] for target in flat.targets(name)]
    own = {float(step) for node in readers if type(node) is Quantize for step in np.ravel(node.step)}
    if len(own) == 1 and all(type(node) is Quantize for node in readers):
        return own.pop()
    return 1.0 if x is None else input_scale(x)


def _require_no_rounding(flat: FlatGraph) -> None:
    """Refuses a graph that rounds its data itself where integers are to enter: it would round these again.

    Raises:
        InputError: it is so.
    """
    for name, node in flat.nodes.items():
        if type(node) is Quantize:
            found = f"is 'integers', and {label(name, node)} makes integers of the data itself"
            raise InputError("option 'input'", found, "Leave it out, or take that node out of the graph")


def _fitting(start: Walk, data: dict[str, Array] | None) -> tuple[Walk, dict[str, StateRange] | None]:
    """A walk whose states stay within 24 bits on the data, and what they reach.

    Raises:
        RefusedError: a node cannot be made to fit.
        UnsupportedError: nodes that have no integer form.
    """
    walk, name = start, ""
    for _ in range(_ATTEMPTS):
        walk = walk_until_it_fits(walk)
        if walk.problems:
            raise UnsupportedError.from_problems(walk.problems)
        if data is None:
            return walk, None
        states = state_ranges(_checked(walk, STATE_LIMIT), data, walk.dt)
        # Coarser weights would not help a PhaseIF: the bits of its state follow from its thresholds.
        others = [item for item in states.items() if type(walk.flat.nodes[item[0]]) is not PhaseIF]
        name, widest = max(others, key=lambda item: item[1].largest, default=("", StateRange(np.zeros(()))))
        if widest.largest <= STATE_LIMIT:
            return walk, states
        leaving = np.where(widest.places > STATE_LIMIT, widest.places, 0)
        excess = TooFineError(name, excess_by_place([leaving], _HEADROOM), "its state leaves 24 bits on the data")
        walk = replace(walk.coarsened(excess), hessians=start.hessians)
    raise RefusedError(name, walk.flat.nodes[name], "its state leaves 24 bits on the data, however coarse the weights")


def _input_limit(walk: Walk) -> int:
    """The largest magnitude of input with which every sum of the graph stays exact.

    Raises:
        UnsupportedError: there is none, so that precision "fixed" could not run the graph.
    """
    plan = make_plan(_checked(walk, None), walk.dt)
    limit = integer_input_limit(plan)
    if limit is None:
        raise UnsupportedError.from_problems(bound_problems(plan))
    return limit


def _checked(walk: Walk, limit: int | None, metadata: Mapping[str, Any] | None = None) -> nir.NIRGraph:
    """The graph of integers; with ``limit`` it takes data, through Quantize nodes of that range, and gives them."""
    graph = walk.graph()
    if limit is not None:
        units = {name: walk.done[name].scale for name in graph.nodes if type(graph.nodes[name]) is nir.Output}
        graph = with_units(with_quantize_nodes(graph, walk.input_scale, limit), units)
    return build_graph(graph.nodes, graph.edges, metadata)


def _report(walk: Walk, states: dict[str, StateRange] | None, plan: Plan, limit: int) -> QuantizeReport:
    layers = walk.layers()
    for layer in layers:
        layer.coarser = int(np.max(walk.coarser.get(layer.node, 0)))
        if states is not None and layer.node in states:
            node = walk.done[layer.node].node
            top = np.abs(node.lane_threshold).max() if type(node) is MultiLevelLIF else 0
            layer.state_bits = 1 + int(max(states[layer.node].largest, top)).bit_length()
            layer.states_saturated = states[layer.node].saturated
    outputs = {name: np.asarray(walk.done[name].scale) for name in plan.outputs}
    notes = [
        f"{label(name, walk.flat.nodes[name])}: one step for all channels, since {walk.per_layer[name]}"
        for name in walk.flat.topology.order
        if name in walk.per_layer
    ]
    per = "channel" if walk.per_channel else "layer"
    report = QuantizeReport(
        walk.weight_bits, walk.dt, layers, dict(walk.input_scale), outputs, states is not None, limit, per, notes
    )
    report.notes += report.warnings
    return report


def _require_bits(weight_bits: Any) -> None:
    whole = isinstance(weight_bits, (int, np.integer)) and not isinstance(weight_bits, bool)
    if not whole or not 1 <= weight_bits <= MOST_BITS:
        found = f"{brief(weight_bits)} is not among 1..{MOST_BITS}"
        raise InputError("option 'weight_bits'", found, "Give for instance weight_bits=8")


def _by_name(plan: Plan, data: Data) -> dict[str, Array]:
    """The calibration data by input name.

    Raises:
        InputError: they do not fit the graph.
    """
    if not isinstance(data, Mapping) and not np.ndim(data):
        found = f"{data!r} is no array [T, B, *shape]"
        raise InputError("argument 'data'", found, "Give calibration data, and the bits by name: weight_bits=8")
    return {name: array.astype(np.float64) for name, array in validated(plan, data)[0].items()}
