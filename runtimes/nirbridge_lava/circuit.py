"""A plan, or one cycle of it, as steps that one process takes: the "fused" mapping.

Constants travel beside the values, as between processes, and sums are taken in the same order: so both mappings round
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nirbridge.runtime import Plan, PlannedNode
from nirbridge_lava.cell import Cell

Array = NDArray[Any]
Cells = Mapping[str, "Cell | None"]


class Tap(NamedTuple):
    """The values of a node: the sum of what some stages give, and a constant."""

    senders: tuple[str, ...]
    offset: Array | None


class Stage(NamedTuple):
    """One node's step.

    Attributes:
        name: under which its value is kept.
        cell: its work; None for a mere sum.
        senders: stages whose values add up to its input.
        late: nodes whose value of the step before is added.
        offset: a constant that is added, or None.
    """

    name: str
    cell: Cell | None
    senders: tuple[str, ...]
    late: tuple[str, ...] = ()
    offset: Array | None = None


class Loop(NamedTuple):
    """The nodes of one cycle, in execution order: they run step by step, all of them in each."""

    stages: tuple[Stage, ...]
    biases: dict[str, Array | None]
    """Of every node that an edge leaves late: constant that belongs to its value."""
    silent: dict[str, int]
    """What :func:`entrance` of nodes that only late edges lead to brings: zeros, as many as given."""
    clock: str
    """Whose steps the cycle takes: what enters it, or in a cycle that no data reach an input."""


@dataclass(frozen=True)
class Circuit:
    """A whole plan.

    Attributes:
        parts: in execution order.
        taps: where the values of each node come from.
    """

    parts: tuple[Stage | Loop, ...]
    taps: dict[str, Tap]


@dataclass
class Memory:
    """What some samples of a batch carry from step to step."""

    states: dict[str, Any] = field(default_factory=dict)
    late: dict[str, Array] = field(default_factory=dict)


Values = dict[str, Array]
Membranes = dict[str, list[Array]]
Action = Callable[[Values, Memory, Membranes], None]
"""Adds the values of a stage, or of the nodes of a cycle, and moves their states."""


def make_circuit(plan: Plan, cells: Cells) -> Circuit:
    """The circuit of a plan whose nodes have been lowered; inputs are left to the caller."""
    parts: list[Stage | Loop] = []
    taps = {name: Tap((name,), None) for name in plan.inputs}
    for segment in plan.segments():
        if segment[0].loop is not None:
            inside = {planned.name for planned in segment}
            for planned in segment:
                outside = [taps[source.name] for source in planned.sources if source.name not in inside]
                if outside:
                    tap = joined(outside)
                    parts.append(Stage(entrance(planned.name), None, tap.senders, (), tap.offset))
            parts.append(make_loop(segment, cells, plan.inputs[0]))
            taps.update({name: Tap((name,), _bias(cells[name])) for name in inside})
        elif segment[0].name not in plan.inputs:
            (planned,) = segment
            tap = joined([taps[source.name] for source in planned.sources])
            cell = cells[planned.name]
            if cell is not None:
                parts.append(Stage(planned.name, cell, tap.senders, (), tap.offset))
                tap = Tap((planned.name,), cell.bias)
            taps[planned.name] = tap
    return Circuit(tuple(parts), taps)


def make_loop(segment: Sequence[PlannedNode], cells: Cells, clock: str) -> Loop:
    """One cycle; what enters a node from outside stands under :func:`entrance`.

    ``clock`` names an input whose steps it takes where nothing enters.
    """
    inside = {planned.name for planned in segment}
    stages: list[Stage] = []
    late: set[str] = set()
    silent: dict[str, int] = {}
    for planned in segment:
        forward = [source.name for source in planned.sources if source.name in inside and not source.delayed]
        behind = tuple(source.name for source in planned.sources if source.delayed)
        enters = any(source.name not in inside for source in planned.sources)
        tap = joined([Tap((name,), _bias(cells[name])) for name in forward])
        if not enters and not tap.senders:
            silent[entrance(planned.name)] = prod(planned.input_shape)
        first = (entrance(planned.name),) if enters or not tap.senders else ()
        senders = (*first, *tap.senders)
        clock = first[0] if enters else clock
        stages.append(Stage(planned.name, cells[planned.name], senders, behind, tap.offset))
        late |= set(behind)
    return Loop(tuple(stages), {name: _bias(cells[name]) for name in sorted(late)}, silent, clock)


def entrance(name: str) -> str:
    """The name of what comes to a node of a cycle from outside; no node has it, names hold no line break."""
    return f"{name}\nin"


def joined(taps: Sequence[Tap]) -> Tap:
    """The sum of taps."""
    offsets = [tap.offset for tap in taps if tap.offset is not None]
    senders = tuple(name for tap in taps for name in tap.senders)
    return Tap(senders, np.sum(offsets, axis=0) if offsets else None)


def _bias(cell: Cell | None) -> Array | None:
    return None if cell is None else cell.bias


class Executor:
    """Takes a circuit through blocks of steps.

    Args:
        parts: stages and loops, in order.
        beat: called after every stage, to show that things move.
        watched: names of nodes whose membranes are kept.
    """

    def __init__(
        self,
        parts: Sequence[Stage | Loop],
        beat: Callable[[], None],
        watched: Collection[str] = (),
    ) -> None:
        self.watched = frozenset(watched)
        self.cells = {s.name: s.cell for part in parts for s in _stages(part) if s.cell is not None}
        self.actions = [_turning(part, beat) if isinstance(part, Loop) else _acting(part, beat) for part in parts]

    def fresh(self, samples: int) -> Memory:
        """The states before the first step."""
        return Memory({name: cell.fresh(samples) for name, cell in self.cells.items()})

    def advance(self, values: dict[str, Array], memory: Memory) -> dict[str, Array]:
        """Adds to ``values``, which hold the inputs as (T, samples, n), those of every stage.

        Returns:
            (T, samples, n) of the membranes of the nodes that are watched.
        """
        membranes: dict[str, list[Array]] = {name: [] for name in self.watched}
        for act in self.actions:
            act(values, memory, membranes)
        return {name: np.stack(steps) for name, steps in membranes.items()}


def _stages(part: Stage | Loop) -> tuple[Stage, ...]:
    return part.stages if isinstance(part, Loop) else (part,)


def _acting(stage: Stage, beat: Callable[[], None]) -> Action:
    """A stage as a function; all that does not change from step to step is looked up here."""
    # A node that only late edges lead to has a silent sender; before the first step late values are 0.
    name, cell, (first, *others), late, offset = stage

    def gather(values: Values, memory: Memory) -> Array:
        x = values[first]
        for sender in others:
            x = x + values[sender]
        for sender in late:
            if sender in memory.late:
                x = x + memory.late[sender]
        return x if offset is None else x + offset

    def add(values: Values, memory: Memory, membranes: Membranes) -> None:
        values[name] = gather(values, memory)

    if cell is None:
        return add
    behave = cell.behave
    assert behave is not None

    def act(values: Values, memory: Memory, membranes: Membranes) -> None:
        states = memory.states
        values[name], states[name] = behave(cell, gather(values, memory), states[name], membranes.get(name))
        beat()

    return act


def _turning(loop: Loop, beat: Callable[[], None]) -> Action:
    """A cycle as a function."""
    actions = [_acting(stage, beat) for stage in loop.stages]
    inside = [stage.name for stage in loop.stages]
    entering = sorted({sender for stage in loop.stages for sender in stage.senders}.difference(inside, loop.silent))

    def turn(values: Values, memory: Memory, membranes: Membranes) -> None:
        history: dict[str, list[Array]] = {name: [] for name in inside}
        steps, samples = values[loop.clock].shape[:2]
        # of the narrowest type, so that a sum takes the type of what is added
        nothing = {name: np.zeros((1, samples, size), np.int8) for name, size in loop.silent.items()}
        for t in range(steps):
            now = {**nothing, **{name: values[name][t : t + 1] for name in entering}}
            for act in actions:
                act(now, memory, membranes)
            for name, bias in loop.biases.items():
                memory.late[name] = now[name] if bias is None else now[name] + bias
            for name, steps in history.items():
                steps.append(now[name])
        values.update({name: np.concatenate(steps) for name, steps in history.items()})

    return turn


def tapped(tap: Tap, values: Values) -> Array:
    """The values of a node."""
    first, *others = tap.senders
    x = values[first]
    for name in others:
        x = x + values[name]
    return x if tap.offset is None else x + tap.offset
