"""What a run records: the events that enter every layer and leave every neuron, for one inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod

import numpy as np

from nirbridge.costing.layers import Layer
from nirbridge.costing.readout import phase_windows
from nirbridge.costing.roles import PRODUCT, SYNAPSES
from nirbridge.costing.signals import Unit
from nirbridge.errors import InputError
from nirbridge.runtime import Array, Plan, PlannedNode, Source
from nirbridge.runtime.recording import arriving

_ENTERED = (SYNAPSES, PRODUCT)


@dataclass(frozen=True)
class Traffic:
    """Values on their way, as sums over all inferences until :meth:`scaled` makes means of them.

    Attributes:
        events: values other than 0; several senders that add up send one value.
        levels: sum of the levels of these events, a multi-level event counting its level.
        evaluations: steps at which the values differ from the step before; the first of an inference always counts.
    """

    events: float = 0.0
    levels: float = 0.0
    evaluations: float = 0.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.events + other.events, self.levels + other.levels, self.evaluations + other.evaluations)

    def scaled(self, factor: float) -> Traffic:
        """All three times ``factor``."""
        return Traffic(self.events * factor, self.levels * factor, self.evaluations * factor)


@dataclass
class Activity:
    """Sums over all inferences of some samples until :meth:`means` makes means of one of them.

    Attributes:
        samples: B of the data.
        steps: T of the data, in steps of the graph's input.
        inferences: inferences in each sample.
        entering: what enters each layer of synapses and each product, by name.
        leaving: what each neuron and each product sends, by name.
        direct: what reaches each neuron without synapses, by name.
    """

    samples: int
    steps: int
    inferences: int
    entering: dict[str, Traffic] = field(default_factory=dict)
    leaving: dict[str, Traffic] = field(default_factory=dict)
    direct: dict[str, Traffic] = field(default_factory=dict)

    def add(self, other: Activity) -> None:
        """Adds the sums over other samples of as many steps."""
        assert (self.steps, self.inferences) == (other.steps, other.inferences), "other inferences cost differently"
        self.samples += other.samples
        for mine, theirs in zip(self._tables(), other._tables(), strict=True):
            for name, traffic in theirs.items():
                mine[name] = mine.get(name, Traffic()) + traffic

    def means(self) -> Activity:
        """Those of one inference."""
        share = 1 / (self.samples * self.inferences)
        tables = ({name: traffic.scaled(share) for name, traffic in table.items()} for table in self._tables())
        return Activity(self.samples, self.steps, self.inferences, *tables)

    def steps_of(self, planned: PlannedNode) -> float:
        """Output steps of a node in one inference."""
        return float(self.steps * planned.rate / self.inferences)

    def _tables(self) -> tuple[dict[str, Traffic], ...]:
        return self.entering, self.leaving, self.direct


@dataclass(frozen=True)
class Measured:
    """A network's activity together with what its values mean.

    Attributes:
        activity: the recorded means.
        units: value of level 1 of each sender, ``None`` for analog senders.
        bits: width of the numbers.
    """

    activity: Activity
    units: Mapping[str, Unit | None]
    bits: int

    def is_analog(self, layer: Layer) -> bool:
        """Whether any of the layer's senders sends analog values, so that it is evaluated densely."""
        return any(self.units[source.name] is None for source in layer.planned.sources)


def tallied(
    plan: Plan,
    layers: tuple[Layer, ...],
    units: Mapping[str, Unit | None],
    records: Mapping[str, Array],
    inferences: int | None,
) -> Activity:
    """The sums over the samples of one run.

    Args:
        plan: of the graph.
        layers: its layers.
        units: value of level 1 of each sender.
        records: [T, B, *shape] of the inputs and of the nodes of :func:`recorded`, by name.
        inferences: in the T steps; None for the windows of the phase code, else 1.

    Raises:
        InputError: the steps do not divide into ``inferences``.
    """
    steps, samples = np.shape(records[plan.inputs[0]])[:2]
    found = Activity(samples, steps, _inferences(plan, steps, inferences))

    @cache
    def traffic(*sources: Source) -> Traffic:
        """What a neuron sends is mostly what enters the next layer as well."""
        return _traffic(sources, units, records, found.inferences)

    for layer in layers:
        if layer.role in _ENTERED:
            found.entering[layer.name] = traffic(*layer.planned.sources)
        if layer.role == PRODUCT:
            found.leaving[layer.name] = traffic(Source(layer.name))
        for neuron in layer.neurons:
            name = neuron.planned.name
            found.leaving[name] = traffic(Source(name))
            # Each sender's events for themselves: without synapses nothing merges them on the way.
            found.direct[name] = sum((traffic(s).scaled(ways) for s, ways in neuron.direct.items()), Traffic())
    return found


def recorded(plan: Plan, layers: tuple[Layer, ...]) -> list[str]:
    """The nodes that a run must record, besides the inputs."""
    names = [source.name for layer in layers if layer.role in _ENTERED for source in layer.planned.sources]
    names += [layer.name for layer in layers if layer.role == PRODUCT]
    for layer in layers:
        for neuron in layer.neurons:
            names += [neuron.planned.name, *(source.name for source in neuron.direct)]
    return [name for name in dict.fromkeys(names) if name not in plan.inputs]


def _inferences(plan: Plan, steps: int, given: int | None) -> int:
    """Inferences in ``steps`` steps: as given, else the windows of the phase code, else 1.

    Raises:
        InputError: it is no positive number, the steps do not divide into it, or phase codes disagree.
    """
    where = "option 'inferences'"
    if given is None:
        windows = phase_windows(plan, steps)
        if len(windows) > 1:
            found = f"the phase-coded nodes make {' and '.join(map(str, sorted(windows)))} windows of these data"
            raise InputError(where, found, "Say how many inferences each sample holds")
        return windows.pop() if windows else 1
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
        raise InputError(where, f"{given!r} is not a whole number from 1 on", "Give the images in each sample")
    if steps % given:
        raise InputError(where, f"{steps} steps do not divide into {given} inferences", "Give whole inferences")
    return int(given)


def _traffic(
    sources: tuple[Source, ...], units: Mapping[str, Unit | None], records: Mapping[str, Array], inferences: int
) -> Traffic:
    """The sum of what ``sources`` send.  Analog values have no level; each counts as one."""
    merged, levels, analog = None, 0.0, False
    for source in sources:
        values = arriving(records, source)
        merged = values if merged is None else merged.astype(np.float64) + values
        unit = units[source.name]
        analog = analog or unit is None
        levels += 0.0 if unit is None else _levels(values, unit)
    if merged is None:
        return Traffic()
    events = float(np.count_nonzero(merged != 0))  # of truth values; of numbers it takes three times as long
    return Traffic(events, events if analog else levels, _evaluations(merged, inferences))


def _levels(values: Array, unit: Unit) -> float:
    """The sum of all values in units of level 1."""
    total = np.abs(values).sum(axis=(0, 1), dtype=np.float64)
    return float((total / np.where(unit, unit, 1)).sum())


def _evaluations(values: Array, inferences: int) -> float:
    """Summed over samples and inferences: 1, and 1 more for each step whose values are new."""
    steps, batch = values.shape[:2]
    flat = values.reshape(inferences, steps // inferences, batch, prod(values.shape[2:]))
    return float(inferences * batch + (flat[:, 1:] != flat[:, :-1]).any(axis=-1).sum())
