"""Counts what runs of a graph cause, and prices it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nirbridge.costing.activity import Activity, Measured, recorded, tallied
from nirbridge.costing.costs import BITS
from nirbridge.costing.latency import window_steps
from nirbridge.costing.layers import Layer, layers_of, uncounted
from nirbridge.costing.memory_model import memory_rows
from nirbridge.costing.rate_models import rate_rows
from nirbridge.costing.report import EnergyReport, LayerEnergy
from nirbridge.costing.roles import MIXING, SYNAPSES, role_of
from nirbridge.costing.signals import units_of
from nirbridge.errors import InputError
from nirbridge.ir import Graph, Quantize, frames_of_inference, is_input
from nirbridge.passes.find_integers import stores_integers
from nirbridge.primitives.event_input import brings_events
from nirbridge.primitives.sparse import entries
from nirbridge.reports import counted
from nirbridge.runtime import Array, Data, Plan, require_option
from nirbridge.runtime.precision import meant_in_integers

Rows = Callable[[tuple[Layer, ...], Measured], tuple[list[LayerEnergy], dict[str, str]]]

_MODELS: dict[str, Rows] = {"m-lif": rate_rows, "one-spike": rate_rows, "memory": memory_rows}
MODELS = tuple(_MODELS)
"""Names of the energy models."""
INPUT_KINDS = ("analog", "events")
"""What an input may bring: analog values, evaluated densely, or events."""


class Meter:
    """What runs of a graph cost: record ``records``, :meth:`tally` each run, :meth:`report` their sum.

    Args:
        graph: the graph.
        plan: of the program that runs it.
        model: as of :func:`nirbridge.energy`.
        bits: likewise.
        input_kind: likewise.

    Attributes:
        records: names of the nodes that a run must record.
        samples_at_once: samples that run together at most; the records of all senders are held for so many.

    Raises:
        InputError: an option is unknown, or the graph has no layer of synapses.
        UnsupportedError: the models have no rule for a node.
    """

    samples_at_once = 32

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        model: str = "m-lif",
        bits: int | None = None,
        input_kind: str | None = None,
    ) -> None:
        require_energy_options(model, bits, input_kind)
        self._plan, self._model, self._bits, self._input_kind = plan, model, bits, input_kind
        self._layers = _layers(plan)
        self._units = units_of(plan, input_kind)
        self._frames = frames_of_inference(graph)
        self.records = recorded(plan, self._layers)

    def inferences_of(self, x: Data) -> int | None:
        """Inferences in data, where the graph says how many steps it takes for one and they divide."""
        if self._frames is None:
            return None
        array = next(iter(x.values())) if isinstance(x, Mapping) else x
        steps = len(array) if np.ndim(array) else 0
        return None if steps % self._frames else max(1, steps // self._frames)

    def tally(self, records: Mapping[str, Array], inferences: int | None = None) -> Activity:
        """The sums over one run: what it recorded, and its data by input name, all [T, B, *shape].

        Raises:
            InputError: the data do not divide into ``inferences``.
        """
        return tallied(self._plan, self._layers, self._units, records, inferences)

    def report(self, total: Activity, runtime: str) -> EnergyReport:
        """The energy of one inference, of sums over runs on ``runtime``."""
        own = width_of(self._plan)
        width = own if self._bits is None else self._bits
        activity = total.means()
        rows, skipped = _MODELS[self._model](self._layers, Measured(activity, self._units, width))
        reasons = {**uncounted(self._plan), **skipped}
        return EnergyReport(
            model=self._model,
            bits=width,
            runtime=runtime,
            samples=activity.samples,
            inferences=activity.inferences,
            steps=activity.steps // activity.inferences,
            layers=tuple(rows),
            not_counted={name: reasons[name] for name in self._plan.names if name in reasons},
            assumptions=(
                *_width_line(width, own, self._bits),
                *_frames_line(self._plan, self._frames, activity),
                *_assumptions(self._plan, self._layers, rows, self._input_kind),
            ),
        )


def require_energy_options(model: str = "m-lif", bits: int | None = None, input_kind: str | None = None) -> None:
    """Refuses options of :class:`Meter` that are unknown, whatever the graph.

    Raises:
        InputError: so.
    """
    require_option("model", model, MODELS)
    if bits is not None:
        require_option("bits", bits, BITS)
    if input_kind is not None:
        require_option("input_kind", input_kind, INPUT_KINDS)


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


def _assumptions(
    plan: Plan, layers: tuple[Layer, ...], rows: list[LayerEnergy], input_kind: str | None
) -> tuple[str, ...]:
    """What a reader must know to judge the figures."""
    lines = []
    for name in plan.inputs:
        kind = input_kind or ("events" if brings_events(plan[name].node) else "analog")
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


_LEAST, _MOST = -128, 127
"""Signed integers of 8 bits."""


def width_of(plan: Plan) -> int:
    """8 where all weights are integers of 8 bits and the graph is meant in integers, as a quantised one; else 32."""
    weights = [entries(planned.node.weight) for planned in plan.nodes if role_of(planned) in (SYNAPSES, MIXING)]
    in_integers = meant_in_integers(plan) or stores_integers(planned.node for planned in plan.nodes)
    return 8 if in_integers and all(map(_fits, weights)) else 32


def _fits(weight: Any) -> bool:
    return bool(((weight == np.rint(weight)) & (weight >= _LEAST) & (weight <= _MOST)).all())
