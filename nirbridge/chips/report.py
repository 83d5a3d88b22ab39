"""A graph on a chip: cores, what fills them, and what does not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from nirbridge.checking import find_problems
from nirbridge.chips.activity import measured_activity, used_synapses
from nirbridge.chips.costs import Population, StepCost, cost_of_step
from nirbridge.chips.layers import Layer, layers_of
from nirbridge.chips.limits import CHIPS, KIBIBYTE, SOURCES, Chip, Limit
from nirbridge.chips.mapping import Load, fewest_cores
from nirbridge.chips.messages import Bits, dearest, message_bits, message_costs
from nirbridge.chips.rules import (
    chip_has_enough_cores,
    chip_problems,
    layers_fit_cores,
    out_axons_fit,
)
from nirbridge.errors import GraphError, InputError, Problem
from nirbridge.ir import Graph, flatten
from nirbridge.reports import count_text, counted, shape_text, table
from nirbridge.runtime import Data, fixed_problems, make_plan, require_seconds
from nirbridge.runtime.host import hosted_nodes, hosted_units, without_units
from nirbridge.runtime.precision import FIXED

_HEADERS = ("layer", "shape", "neurons", "fan-in", "weight bits", "a message costs", "message bits", "cores")
_MORE = ("per core: neurons", "synapse KiB", "in-axons", "cores because of")


@dataclass(frozen=True)
class LayerOnChip:
    """One row of the table.

    Attributes:
        layer: name of its neuron, or of the synapse of a readout.
        type: its primitive.
        shape: of the population.
        neurons: in all.
        fan_in: synapses of one neuron at most.
        weight_bits: of its synapses, None where their weights are no integers.
        message_cost: of a message at its synapses, the dearest of its sources: "add" where messages are 0 or 1, "shift"
            where they are powers of two as those of one-hot lanes are, else "multiply".
        message_bits: of what it sends, None where these are no integers.
        cores: that it takes.
        neurons_per_core: on the fullest core.
        synapse_bits_per_core: on the fullest core.
        in_axons_per_core: on the fullest core.
        decided_by: the limits that one core fewer would break.
    """

    layer: str
    type: str
    shape: tuple[int, ...]
    neurons: int
    fan_in: int
    weight_bits: int | None
    message_cost: str
    message_bits: int | None
    cores: int
    neurons_per_core: int
    synapse_bits_per_core: int
    in_axons_per_core: int
    decided_by: tuple[str, ...]


@dataclass(frozen=True)
class ChipReport:
    """A graph on one kind of chip.

    Attributes:
        chip: its name.
        layers: in execution order; a core holds neurons of one layer.
        problems: what does not fit, each with its rule and the source of the limit.
        dt: seconds per step.
        host: the nodes that the host computes, before data reach the chip.
        step: time and energy of a step, estimated; None where no public source has the figures, or the graph takes
            more than one chip.
    """

    chip: str
    layers: tuple[LayerOnChip, ...]
    problems: tuple[Problem, ...]
    dt: float
    host: tuple[str, ...] = ()
    step: StepCost | None = None

    @property
    def cores(self) -> int:
        """All that the layers take."""
        return sum(layer.cores for layer in self.layers)

    @property
    def estimates(self) -> tuple[str, ...]:
        """The limits whose source leaves room for interpretation."""
        return tuple(name for name, limit in _limits(CHIPS[self.chip]).items() if limit.estimate)

    @property
    def sources(self) -> dict[str, str]:
        """The public sources of the limits, by their mark."""
        cited = " ".join(limit.source for limit in _limits(CHIPS[self.chip]).values())
        return {mark: text for mark, text in SOURCES.items() if mark in cited}

    @property
    def fits(self) -> bool:
        """Whether nothing is wrong, on the conditions that warnings name."""
        return not any(problem.severity == "error" for problem in self.problems)

    def table(self) -> str:
        """One row for each layer, and the sum."""
        headers = (*_HEADERS, *_MORE)
        return table(headers, [_row(layer) for layer in self.layers], right=headers[2:-1])

    def summary(self) -> list[str]:
        """Cores used, and what is an estimate."""
        limits = CHIPS[self.chip]
        lines = [f"{self.chip}: {counted(self.cores, 'core')} of {limits.cores.value}; " + _verdict(self)]
        lines.append(f"judged as precision 'fixed' runs the graph, at {self.dt:g} s a step")
        lines += _step_lines(self)
        if self.host:
            lines.append(f"work of the host, which takes no core: {', '.join(self.host)}")
        if any(layer.weight_bits is None for layer in self.layers):
            bits = limits.weight_bits.value
            lines.append(f"cores are counted with {bits}-bit weights where weights are no integers yet (?)")
        names = ", ".join((*self.estimates, "words of synapse memory"))
        lines.append(f"estimates, because no public source is exact: {names}")
        return [*lines, *(f"{mark} {text}" for mark, text in self.sources.items())]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "chip": self.chip,
            "cores": self.cores,
            "cores_of_a_chip": CHIPS[self.chip].cores.value,
            "fits": self.fits,
            "dt": self.dt,
            "host": list(self.host),
            "step": None if self.step is None else asdict(self.step),
            "estimates": list(self.estimates),
            "sources": self.sources,
            "layers": [asdict(layer) for layer in self.layers],
            "problems": [problem.to_dict() for problem in self.problems],
        }


def check_chip(graph: Graph, chip: str, dt: float | None = None, x: Data | None = None) -> ChipReport:
    """Maps a graph to the cores of a chip.

    Each layer, a population with the synapses into it, gets the fewest cores on which neurons, synapse memory and
    input axons of every core stay within their limits.  Linear nodes between two populations count as one synapse.

    Args:
        graph: a graph that :func:`nirbridge.check` finds no error in, or what ``nirbridge.ir.flatten`` made of it.
        chip: "loihi1" or "loihi2".
        dt: seconds per step; by default the window of an EventInput, else 1e-3.
        x: data [T, B, *shape] to run on the reference, in integers as the chip does where the graph can be; time and
            energy of a step are those of its mean activity then, and messages have at least the bits that they take.

    Raises:
        InputError: the chip is unknown, dt is not positive, or the data do not fit the graph.
        GraphError: the graph is not valid.
    """
    if chip not in CHIPS:
        raise InputError("option 'chip'", f"{chip!r} is not among {', '.join(CHIPS)}", "Choose one of them")
    require_seconds("dt", dt)
    limits = CHIPS[chip]
    flat = flatten(graph)
    if found := find_problems(flat, dt):
        raise GraphError.from_problems(found)
    whole = make_plan(flat, dt)
    plan = without_units(whole)
    layers = layers_of(plan)
    placed = [(layer, *fewest_cores(layer, limits)) for layer in layers]
    bits, costs = message_bits(plan), message_costs(plan)
    activity = None
    if x is not None:
        activity, seen = measured_activity(flat, layers, x, dt, None if fixed_problems(plan) else FIXED)
        bits |= {name: n for name, n in seen.items() if n > (bits[name] or limits.message_bits.value)}
    problems = chip_problems(plan, layers, limits, bits)
    targets: Counter[str] = Counter()
    for layer, load, _ in placed:
        targets.update(dict.fromkeys({path.source for path in layer.paths}, load.cores))
    for layer, load, _ in placed:
        problems += layers_fit_cores(layer, load, limits)
        problems += out_axons_fit(layer, load, targets[layer.planned.name], limits)
    cores = sum(load.cores for _, load, _ in placed)
    problems += chip_has_enough_cores(cores, limits)
    rows = tuple(_on_chip(layer, load, decided, limits, bits, costs) for layer, load, decided in placed)
    host = tuple(str(planned) for planned in (*hosted_nodes(whole).values(), *hosted_units(whole).values()))
    used = [used_synapses(layer, activity) for layer in layers]
    costing = [Population(row.neurons, each, row.neurons_per_core) for row, each in zip(rows, used, strict=True)]
    step = cost_of_step(chip, costing, activity) if cores <= limits.cores.value else None
    return ChipReport(chip, rows, tuple(problems), plan.dt, host, step)


def _on_chip(
    layer: Layer, load: Load, decided: list[str], chip: Chip, bits: Bits, costs: dict[str, str]
) -> LayerOnChip:
    node = layer.planned.node
    return LayerOnChip(
        layer=layer.planned.name,
        type=type(node).__name__,
        shape=layer.planned.output_shape,
        neurons=layer.neurons,
        fan_in=sum(path.fan_in for path in layer.paths),
        weight_bits=layer.weights.bits(chip),
        message_cost=dearest({costs[path.source] for path in layer.paths}),
        message_bits=bits[layer.planned.name],
        cores=load.cores,
        neurons_per_core=load.neurons,
        synapse_bits_per_core=load.synapse_bits,
        in_axons_per_core=load.in_axons,
        decided_by=tuple(decided),
    )


def _row(layer: LayerOnChip) -> tuple[str, ...]:
    return (
        layer.layer,
        shape_text(layer.shape),
        count_text(layer.neurons),
        count_text(layer.fan_in),
        "?" if layer.weight_bits is None else str(layer.weight_bits),
        layer.message_cost,
        "?" if layer.message_bits is None else str(layer.message_bits),
        count_text(layer.cores),
        count_text(layer.neurons_per_core),
        f"{layer.synapse_bits_per_core / KIBIBYTE:.1f}",
        count_text(layer.in_axons_per_core),
        ", ".join(name.removesuffix("_per_core") for name in layer.decided_by),
    )


def _verdict(report: ChipReport) -> str:
    if not report.fits:
        return counted(sum(problem.severity == "error" for problem in report.problems), "problem")
    if not report.layers:
        return "nothing to place: no node of the graph is a neuron or a synapse before an output"
    return "fits on the conditions that the warnings name" if report.problems else "everything fits"


def _step_lines(report: ChipReport) -> list[str]:
    """What a step costs, or why nobody can say."""
    step = report.step
    if step is None:
        several = report.cores > CHIPS[report.chip].cores.value
        why = "the graph takes more than one chip" if several else f"no public source has them for {report.chip}"
        return [f"time and energy of a step cannot be said: {why}"] if report.layers else []
    times, energies = _range(step.time_ns, ("ns", "µs", "ms")), _range(step.energy_pj, ("pJ", "nJ", "µJ", "mJ"))
    which = "from silence to all inputs and neurons sending"
    if step.activity is not None:
        shares = step.activity.values()
        ends = " to ".join(f"{end(shares, default=0):.1%}" for end in (min, max))
        which = f"the mean one of the data, where {ends} of what a layer hears sends"
    return [
        f"a step, {which}: {times} and {energies}; a spike takes {step.synapse_pj:g} pJ a synapse or more",
        f"estimated from {step.source}; without {step.omitted}",
    ]


def _range(of: tuple[float, float], units: tuple[str, ...]) -> str:
    """Both ends in the unit that suits the larger; each unit is a thousand of the one before."""
    place = next((i for i in range(len(units) - 1) if of[1] < 1000 ** (i + 1)), len(units) - 1)
    return " to ".join(f"{value / 1000**place:.3g}" for value in of) + f" {units[place]}"


def _limits(chip: Chip) -> dict[str, Limit]:
    return {name: value for name, value in vars(chip).items() if isinstance(value, Limit)}
