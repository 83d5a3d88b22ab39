"""Who decides about samples, and a graph on a runtime that does."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nirbridge.costing import Meter
from nirbridge.costing.activity import Activity
from nirbridge.costing.readout import final_scores, running_scores, windows_of
from nirbridge.errors import GraphWarning, InputError, NirbridgeError, UnsupportedError, placing
from nirbridge.evaluating.samples import Batch
from nirbridge.ir import FlatGraph, spec_of
from nirbridge.runtime import Array, Plan, Program, compile, sends_spikes
from nirbridge.runtime.fingerprint import fingerprint
from nirbridge.runtime.host import Loss


@dataclass
class Decided:
    """What one judge says of a batch.

    Attributes:
        scores: [B, classes] after the last step.
        decisions: [T, B] after each output step; of a sample that is shorter the last one stays.  None where there
            are no steps.
        spikes: [B], how many spikes its neurons sent; None where they were not recorded.
        activity: sums for the energy, by input steps.
        losses: what the host lost of the data, by node.
        remarks: warnings of the runtime.
        seconds: that the run took.
    """

    scores: Array
    decisions: Array | None = None
    spikes: Array | None = None
    activity: dict[int, Activity] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def clear(self) -> Array:
        """[B], whether the scores of a sample say a class: none is NaN, and the best is finite."""
        return _clear(self.scores)


class Judge(Protocol):
    """One judge; it travels to other processes and makes there what it needs."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    @property
    def identity(self) -> list[Any]:
        """What tells it from another judge, as plain data."""
        ...

    def decide(self, batch: Batch) -> Decided:
        """Scores of every sample."""
        ...

    def close(self) -> None:
        """Frees what deciding holds."""
        ...


class GraphJudge:
    """A graph on a runtime.

    Args:
        name: how reports call it.
        graph: the graph, of one output with one score for each class.
        runtime: what runs it.
        options: of :func:`nirbridge.compile`.
        energy: options of :class:`nirbridge.costing.Meter`; None counts neither spikes nor energy.

    Attributes:
        unpriced: why ``meter`` is None, where energy is asked for.
    """

    def __init__(
        self,
        name: str,
        graph: FlatGraph,
        runtime: str,
        options: Mapping[str, Any],
        energy: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.graph, self.runtime = name, graph, runtime
        self.options, self.energy = dict(options), energy
        self.unpriced: NirbridgeError | None = None
        self._program: Program | None = None
        self._meter: Meter | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_program": None, "_meter": None}

    @property
    def identity(self) -> list[Any]:
        """See ``Judge``."""
        return [self.name, self.runtime, fingerprint(self.program().plan), self.options, self.energy]

    def program(self, warn: bool = False) -> Program:
        """The program, compiled when first asked for; ``warn``: as ``compile`` does, which one process is to do."""
        if self._program is None:
            with warnings.catch_warnings():
                if not warn:
                    warnings.simplefilter("ignore", GraphWarning)
                with self.named():
                    self._program = compile(self.graph, self.runtime, **self.options)
        return self._program

    def close(self) -> None:
        """See ``Judge``."""
        if self._program is not None:
            self._program.close()
            self._program = None

    @property
    def meter(self) -> Meter | None:
        """What counts energy; None where nothing is counted, or no model of energy has a rule for the graph."""
        if self._meter is None and self.energy is not None and self.unpriced is None:
            try:
                self._meter = Meter(self.graph, self.program().plan, **self.energy)
            except (InputError, UnsupportedError) as error:
                self.unpriced = error
        return self._meter

    def neurons(self) -> tuple[str, ...]:
        """The neurons that send spikes, which are counted."""
        if self.energy is None:
            return ()
        plan = self.program().plan
        return tuple(p.name for p in plan.nodes if spec_of(p.node).has_membrane and sends_spikes(plan, p.name))

    def decide(self, batch: Batch) -> Decided:
        """See ``Judge``."""
        program, meter, neurons = self.program(), self.meter, self.neurons()
        record = list(dict.fromkeys([*(meter.records if meter else ()), *neurons]))
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with self.named():
                recording = program.run(batch.x, record=record)
        seconds = time.perf_counter() - started
        output = np.asarray(recording.output, dtype=np.float64)
        found = Decided(
            scores=np.empty((len(batch), output.shape[-1])),
            decisions=np.empty(output.shape[:2], dtype=np.int64),
            spikes=np.zeros(len(batch), dtype=np.int64) if neurons else None,
            losses=dict(program.losses),
            remarks=tuple(dict.fromkeys(str(one.message) for one in said if not _is_loss(one, program))),
            seconds=seconds,
        )
        for steps in np.unique(batch.steps):
            places = np.flatnonzero(batch.steps == steps)
            self._read(found, program.plan, output, places, int(steps))
            places = places[_clear(found.scores[places])]
            if not len(places):
                continue
            records = {**recording.records, **batch.x}
            own = {name: _own(records[name], program.plan, name, places, int(steps)) for name in records}
            if found.spikes is not None:
                found.spikes[places] = sum(_spikes(own[name]) for name in neurons)
            if meter is not None:
                found.activity[int(steps)] = meter.tally(own, meter.inferences_of(own[program.plan.inputs[0]]))
        return found

    def refused(self, batch: Batch) -> dict[int, str]:
        """Why it does not take samples, by their number in the part; what zeros share is no matter of a sample."""
        if self._refusal({name: np.zeros_like(array[:, :1]) for name, array in batch.x.items()}):
            return {}
        each = ((place, self._refusal(batch.only([row]).x)) for row, place in enumerate(batch.places.tolist()))
        return {place: text for place, text in each if text}

    def _refusal(self, x: Mapping[str, Array]) -> str:
        try:
            with self.named():
                self.program().run(x)
        except InputError as error:
            return str(error.problems[0])
        return ""

    def named(self) -> AbstractContextManager[None]:
        """Says whose problems they are, where the graph is not the one that is evaluated."""
        return nullcontext() if self.name == self.runtime else placing(lambda where: f"{self.name}, {where}")

    def _read(self, found: Decided, plan: Plan, output: Array, places: Array, steps: int) -> None:
        """Scores and decisions of the samples that have so many steps."""
        own = _own(output, plan, plan.outputs[0], places, steps)
        windows = windows_of(plan, steps)
        found.scores[places] = final_scores(own, windows)
        assert found.decisions is not None, "graphs decide after every step"
        found.decisions[: len(own), places] = running_scores(own, windows).argmax(axis=-1)
        found.decisions[len(own) - 1 :, places] = found.scores[places].argmax(axis=-1)


def require_scores(plan: Plan) -> int:
    """How many classes a graph tells apart.

    Raises:
        InputError: it has several outputs, or one that is no score for each class.
    """
    if len(plan.outputs) != 1:
        raise InputError("graph", f"has {len(plan.outputs)} outputs, a decision needs one", "Leave one")
    shape = plan[plan.outputs[0]].output_shape
    if len(shape) != 1:
        found = f"its output has shape {tuple(shape)}, a decision needs one score for each class, as (10,)"
        raise InputError("graph", found, "End the network with a layer of one value for each class")
    return int(shape[0])


def _clear(scores: Array) -> Array:
    return np.isfinite(scores.max(axis=1))


def _own(array: Array, plan: Plan, name: str, places: Array, steps: int) -> Array:
    """The samples ``places`` of what a node sent, up to the end of their own steps."""
    last = int(steps * plan[name].rate)
    return array[:last] if len(places) == array.shape[1] else array[:last, places]


def _spikes(array: Array) -> Array:
    return np.count_nonzero(np.asarray(array).reshape(*array.shape[:2], -1) != 0, axis=(0, 2))


def _is_loss(said: warnings.WarningMessage, program: Program) -> bool:
    """Whether a warning is of what the host lost, which is counted in ``losses``."""
    return any(str(said.message).startswith(str(program.plan[name])) for name in program.losses)
