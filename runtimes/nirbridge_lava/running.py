"""What a process does with its stages: a node's own process has one, that of the "fused" mapping has all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nirbridge_lava.cell import Array, Behaviour, Cell
from nirbridge_lava.shared import GIVE_STATES, RUN, Block, SharedMemory
from nirbridge_lava.stages import Cycle, Stage

Values = dict[str, Array]
"""What stages send in a portion, by name; each (T, samples, n)."""
States = dict[str, Any]
Action = Callable[[Values, States], None]
"""Adds the values of a stage and moves its state."""


class Runner:
    """Takes stages through portions.

    Args:
        stages: senders before receivers.
        memory: of the network.
        dtype: of all values.

    Attributes:
        index: place of the portion in the block.
        samples: in a portion.
    """

    def __init__(self, stages: Sequence[Stage], memory: SharedMemory, dtype: type) -> None:
        self.stages, self.memory, self.dtype = stages, memory, dtype
        self.index, self.samples = 0, 1
        self._epoch = -1
        self._states: list[States] = []
        self._part = 0
        self._actions = [_action(stage, self) for stage in stages]

    def enter(self, block: Block, index: int) -> bool:
        """Goes to a portion of a block, from fresh states behind a reset; False where it has no data for it there."""
        if not 0 <= index < block.portions:
            return False
        self.index, self._part = index, (block.first + index) % block.parts
        if block.epoch != self._epoch:
            self._epoch, self.samples = block.epoch, block.samples
            self._states = [{s.name: s.cell.fresh(self.samples) for s in self.stages} for _ in range(block.parts)]
        if block.task != RUN:
            self._hand_over(block)
        return block.task == RUN

    def _hand_over(self, block: Block) -> None:
        """Copies the states of some samples of the portion to shared memory, or from there."""
        states, samples = self._states[self._part], slice(block.begin, block.end)
        for stage in self.stages:
            for held in stage.holds:
                own = states[stage.name]
                rows = (own if held.inside is None else own[held.inside])[held.rows, samples]
                shared = self.memory.states.slots(held.name, block.end - block.begin)[self.index]
                if block.task == GIVE_STATES:
                    shared[:] = rows
                else:
                    rows[:] = shared
        self.memory.move()

    def advance(self, values: Values) -> None:
        """Adds to ``values``, which hold what is received, those of every stage."""
        states = self._states[self._part]
        for act in self._actions:
            act(values, states)

    def fetch(self, area: str) -> Array:
        """The portion's frames in shared memory, (steps, samples, values)."""
        return self.memory.slots(area, self.samples)[self.index].astype(self.dtype)

    def keep(self, area: str, values: Array) -> None:
        """Writes the portion's frames to shared memory."""
        self.memory.slots(area, self.samples)[self.index] = values


def _action(stage: Stage, runner: Runner) -> Action:
    """A stage as a function; all that does not change from step to step is looked up here."""
    name, cell, constant, reads, keeps = stage.name, stage.cell, stage.constant, stage.reads, stage.keeps
    first, *others = stage.senders or ("",)
    behave = cell.behave or _turning(cell.parameters, runner)
    if stage.membranes:
        behave = _watched(stage, behave, runner)
    progress = runner.memory.move

    def act(values: Values, states: States) -> None:
        if reads is None:
            x = values[first]
            for sender in others:
                x = x + values[sender]
            if constant is not None:
                x = x + constant
        else:
            x = runner.fetch(reads)
        values[name], states[name] = behave(cell, x, states[name])
        if keeps is not None:
            runner.keep(keeps, values[name])
        progress()

    return act


def _watched(stage: Stage, behave: Behaviour, runner: Runner) -> Behaviour:
    """The same, window by window, so that the membranes can be read off the state behind each."""

    def watch(cell: Cell, x: Array, state: Any) -> tuple[Array, Any]:
        sent: list[Array] = []
        seen: dict[str, list[Array]] = {area: [] for area in stage.membranes}
        for t in range(0, len(x), cell.window):
            y, state = behave(cell, x[t : t + cell.window], state)
            sent.append(y)
            for area, membrane in stage.membranes.items():
                seen[area].extend(membrane(state))
        for area, steps in seen.items():
            runner.keep(area, np.stack(steps))
        return np.concatenate(sent), state

    return watch


def _turning(cycle: Cycle, runner: Runner) -> Behaviour:
    """All stages of a cycle at each step; its state holds theirs, and what is late."""
    actions = [_action(stage, runner) for stage in cycle.stages]

    def turn(cell: Cell, x: Array, state: States) -> tuple[Array, States]:
        sent = []
        for t in range(len(x)):
            frame = x[t : t + 1]
            values = {name: frame[..., where] for name, where in cycle.entrances.items()}
            values.update((name, state[name]) for name in cycle.late)
            for act in actions:
                act(values, state)
            for name, (sender, bias) in cycle.late.items():
                state[name] = values[sender] if bias is None else values[sender] + bias
            sent.append(np.concatenate([values[name] for name in cycle.leaving], axis=-1))
        return (sent[0] if len(sent) == 1 else np.concatenate(sent)), state

    return turn
