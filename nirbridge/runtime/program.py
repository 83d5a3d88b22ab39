"""A compiled graph: what every runtime gives back."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from math import prod
from os import PathLike
from typing import Any

import numpy as np

from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.ir import label
from nirbridge.logs import logger
from nirbridge.reports import counted, seconds_text
from nirbridge.runtime.data import Array, Data, is_finite, require_integers, validated
from nirbridge.runtime.fingerprint import fingerprint
from nirbridge.runtime.host import Loss, coded_inputs, hosted_nodes, hosted_units, in_units, loss_text, quantized
from nirbridge.runtime.plan import Plan, PlannedNode
from nirbridge.runtime.recording import Recording, membrane_of, require_records
from nirbridge.runtime.spikes import sends_bits
from nirbridge.runtime.states import Header, State, packed, require_arrays, state_shapes, unpacked
from nirbridge.runtime.turn import Turn

LOGGER = logger("runtime")
_RECORDED = 2**28
"""Bytes of records that are held at a time where a run goes in parts."""


class Program(ABC):
    """A graph that is ready to run; a context manager that frees what the runtime holds.

    Data are [T, B, *shape] arrays of values.  :meth:`run` starts from fresh states; :meth:`advance` and :meth:`step`
    carry them over.  A runtime implements ``_advance``, ``_reset`` and, where it holds something, ``_close``; with
    ``_state`` and ``_restore`` also :meth:`state` and :meth:`restore`.

    ``plan`` is that of the graph.  ``lowered`` is what the runtime executes: the host has applied ``Quantize`` nodes
    behind the inputs by then, so each of them is an Input there, and multiplies what comes back by the Scale before an
    Output, which says what its integer 1 stands for.  ``losses`` counts what they rounded, and what they or a
    PhaseEncode of the data cut, in the last run, or in all calls of ``advance`` and ``step`` since, by name.

    A program holds one set of states, so it takes one call at a time: a second one, from another thread, a signal
    handler or a callback, is refused at once.  Several threads take turns, or have a :meth:`copy` each.

    Membranes: a runtime that can give them sets ``records_membranes = True``.  ``_advance`` then also gets names such
    as ``"act1:v"`` (:func:`membrane_of` gives ``"act1"``) and returns under each the membrane [T, B, *shape] after
    every step, after the reset; of a PhaseIF the decoded sum of the phases so far, V(t) Q_in^-(t+f-1), from which its
    spikes take nothing off.  In precision "fixed" ``lowered.input_limit`` is set: inputs have been checked to be
    integers up to it, outputs and records are arrays of whole numbers.
    """

    records_membranes = False
    holds_all = False
    """Whether a run holds what every node sends until it ends, so that its memory goes by all nodes."""
    lives_in_forks = True
    """Whether a forked child may run its copy of a program; not where processes or a device belong to the parent."""

    def __init__(self, plan: Plan) -> None:
        self.lowered = plan
        self.plan = plan.whole or plan
        self._hosted = hosted_nodes(self.plan) if plan.whole else {}
        self._units = hosted_units(self.plan) if plan.whole else {}
        # Outputs that are finite numbers whatever comes in, NaN as well.
        self._finite = frozenset(name for name in self.plan.outputs if sends_bits(self.plan, name))
        self._coded = coded_inputs(plan)
        self.losses = self._no_losses()
        # Of the data of the call that is under way, by input name: what the check for finite numbers knows of them.
        self._squares: dict[str, float] = {}
        self._turn = Turn()
        self._made_by: tuple[Callable[..., Program], tuple[Any, ...]] | None = None
        self._closed = False
        self._batch: int | None = None
        self._steps = 0
        self._torn = False
        self._warm = False

    @property
    def runtime(self) -> str:
        """The name of the runtime that executes it; empty where :func:`nirbridge.compile` did not make it."""
        return "" if self._made_by is None else str(self._made_by[1][0].name)

    def run(self, x: Data, record: Sequence[str] = ()) -> Recording:
        """Runs ``x`` from fresh states.

        Args:
            x: [T, B, *shape] of real numbers; a dictionary by input name where the graph has several inputs.
            record: names of nodes whose output is kept; with ":v" behind the name of a neuron its membrane.

        Returns:
            The output and the records, aligned with the input: no runtime adds steps.

        Raises:
            InputError: shape, dtype or values do not fit, or a recorded node does not exist.
            UnsupportedError: it is closed, or another call is under way.
        """
        with self._turn:
            data, names, entering = self._started(x, record)
            return self._continue(data, entering, names)

    def run_in_parts(
        self, x: Data, samples: int, record: Sequence[str] = ()
    ) -> Iterator[tuple[dict[str, Array], Recording]]:
        """As :meth:`run`, a few samples at a time, so that the records of a large network fit the memory.

        Args:
            x: as for :meth:`run`; all of it is checked, and what the host loses of it said, before anything runs.
            samples: that run together at most; fewer where their records, in double precision, are over 256 MiB.
            record: as for :meth:`run`.

        Yields:
            The data by input name and the recording of each part.

        Raises:
            InputError, UnsupportedError: as :meth:`run`.
        """
        with self._turn:
            data, names, entering = self._started(x, record)
            samples = min(samples, self._fitting(next(iter(data.values())).shape[0], names))
        for first in range(0, next(iter(data.values())).shape[1], samples):
            part, entered = (
                {name: array[:, first : first + samples] for name, array in arrays.items()}
                for arrays in (data, entering)
            )
            with self._turn:
                self._require_open()
                self._start_again()
                self._squares = {}
                recording = self._continue(part, entered, names)
            yield part, recording

    def advance(self, x: Data, record: Sequence[str] = ()) -> Recording:
        """Like :meth:`run`, from the states that the last call left.

        A first call, or one after :meth:`reset`, starts from fresh states.  The batch size may only change then.
        """
        with self._turn:
            data, names = self._validated(x), require_records(self.plan, record, self.records_membranes)
            self._require_following(data)
            return self._continue(data, self._on_host(data), names)

    def step(self, frame: Data) -> Any:
        """One step: frame [B, *shape] → [B, *out]; the state carries over.

        Raises:
            InputError: shape, dtype or values do not fit.
            UnsupportedError: the graph works on windows of several steps, or as for :meth:`run`.
        """
        if not self.plan.stepwise:
            found = f"works on windows of {self.plan.block} input steps, so one step has no output of its own"
            raise UnsupportedError("graph", found, "Use run or advance with whole windows")
        with self._turn:
            data = self._validated(frame, one_step=True)
            self._require_following(data)
            output = self._continue(data, self._on_host(data), ()).output
        return {k: v[0] for k, v in output.items()} if isinstance(output, dict) else output[0]

    def reset(self) -> None:
        """Puts every state back to its start."""
        with self._turn:
            self._require_open()
            self._start_again()

    def state(self) -> State:
        """All that the next step depends on, as numpy arrays by name: :mod:`nirbridge.runtime.states`.

        It shares nothing with the program.  :meth:`restore` takes it in this program or a :meth:`copy`, in another
        process, and on every runtime that runs the same graph in the same precision, to which a state means the same.

        Raises:
            UnsupportedError: the runtime gives no states, a call was broken off, it is closed, or another call is
                under way.
        """
        with self._turn:
            self._require_open()
            self._require_states()
            self._require_whole()
            header, shapes = self._header(), self._shapes_of_states(self._batch)
            arrays = self._state() if shapes else {}
            return packed(header, {name: arrays[name] for name in shapes})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from where :meth:`state` was taken: the next :meth:`advance` gives, bit for bit, what it gave then.

        On another runtime, or in another number format, as close as its own steps are.  What the host has counted in
        ``losses`` stays.

        Raises:
            InputError: the state is not of this graph and precision, or an array of it does not fit; nothing changes.
            UnsupportedError: the runtime gives no states, it is closed, or another call is under way.
        """
        with self._turn:
            self._require_open()
            self._require_states()
            found = unpacked(state, self._header())
            arrays = require_arrays(state, self._shapes_of_states(found.batch), self._integers)
            if not found.batch:
                self._start_again()
                return
            self._restore(arrays, found.batch)
            self._batch, self._steps, self._torn = found.batch, found.steps, False

    def copy(self) -> Program:
        """A program of its own with the same plan and options, from fresh states, in whatever thread or process.

        The runtime makes it anew, so nothing is shared but the plan's parameters; pickles do likewise.

        Raises:
            UnsupportedError: the program was not made by :func:`nirbridge.compile`.
        """
        make, arguments = self.__reduce__()
        return make(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Program], tuple[Any, ...]]:
        if self._made_by is None:
            raise UnsupportedError("program", "nirbridge.compile did not make it, so no copy can be made", "Use that")
        return self._made_by

    def plot(self, x: Data, record: Sequence[str] = (), path: str | PathLike[str] | None = None, **options: Any) -> Any:
        """Runs one sample of ``x`` from fresh states and draws it: :func:`nirbridge.plot` without the compiling.

        Args:
            x: as for :meth:`run`.
            record: nodes, and neurons with ":v" for their membranes; by default the spiking nodes.
            path: where the picture goes, a still or an animation by its suffix; None for nowhere.
            options: ``sample``, ``neurons`` and ``title``, as for :func:`nirbridge.plot`.

        Returns:
            A ``nirbridge.plotting.Picture``.

        Raises:
            InputError, UnsupportedError, FileError: as :func:`nirbridge.plot`.
        """
        # By its name, as in nirbridge/__init__.py: pictures are made of programs, and no program of pictures.
        return import_module("nirbridge.plotting").plot_program(self, x, record, path, **options)

    def close(self) -> None:
        """Frees what the runtime holds; the program cannot run afterwards.  Closing twice is fine."""
        with self._turn:
            self._end()

    def _end(self) -> None:
        """What :meth:`close` does, for a call that is under way."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @abstractmethod
    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        """Runs validated [T, B, *shape] data by input name; returns outputs and records by node name."""

    @abstractmethod
    def _reset(self) -> None:
        """Puts every state back to its start."""

    def _state(self) -> dict[str, Array]:
        """The arrays that ``state_shapes`` lists, which are copied then; it is asked behind the first step alone."""
        raise NotImplementedError

    def _restore(self, arrays: dict[str, Array], batch: int) -> None:
        """Puts these, which are of the right shapes and the runtime's own, in the place of all states.

        Raises:
            InputError: the numbers of the runtime do not hold them; then nothing has changed.
        """
        raise NotImplementedError

    def _close(self) -> None:  # noqa: B027  a runtime that holds nothing has nothing to free
        """Frees what the runtime holds."""

    def _started(self, x: Data, record: Sequence[str]) -> tuple[dict[str, Array], tuple[str, ...], dict[str, Array]]:
        """Fresh states; the data, the names of records, and the data as the runtime gets them."""
        data, names = self._validated(x), require_records(self.plan, record, self.records_membranes)
        self._start_again()
        self.losses = self._no_losses()
        return data, names, self._on_host(data)

    def _fitting(self, steps: int, names: Sequence[str]) -> int:
        """Samples whose records fit."""
        nodes = (self.plan[membrane_of(name) or name] for name in names)
        size = 8 * sum(int(steps * node.rate) * prod(node.output_shape) for node in nodes)
        return max(1, _RECORDED // max(size, 1))

    def _start_again(self) -> None:
        self._batch, self._steps, self._torn = None, 0, False
        self._reset()

    @property
    def _integers(self) -> bool:
        """Whether its precision is "fixed"."""
        return self.lowered.input_limit is not None

    def _shapes_of_states(self, batch: int | None) -> dict[str, tuple[int, ...]]:
        return state_shapes(self.lowered, batch, self._integers) if batch else {}

    def _made(self) -> tuple[str, str]:
        """The name of its runtime, and its precision."""
        if self._made_by is None:
            raise UnsupportedError(
                "program", "nirbridge.compile did not make it, so nobody knows its states", "Use that"
            )
        _, (runtime, _, precision, _) = self._made_by
        return runtime.name, precision

    def _log_first(self, steps: int, batch: int, seconds: float) -> None:
        """The first call starts what a runtime needs, such as compiled passes or processes, so it takes longest."""
        runtime = self.runtime or type(self).__name__
        size = f"{counted(steps, 'step')} of {counted(batch, 'sample')}"
        LOGGER.info("first call of '%s': %s, %s", runtime, size, seconds_text(seconds))

    def _header(self) -> Header:
        runtime, precision = self._made()
        return Header(fingerprint(self.plan), precision, runtime, self._batch or 0, self._steps)

    @property
    def gives_states(self) -> bool:
        """Whether the runtime implements ``_state`` and ``_restore``."""
        return Program._state is not type(self)._state and Program._restore is not type(self)._restore

    def _require_states(self) -> None:
        if not self.gives_states:
            found = "gives no states: its programs have no _state and _restore"
            raise UnsupportedError(f"runtime '{self._made()[0]}'", found, "Use another runtime")

    def _require_whole(self) -> None:
        """Refuses states that a broken call has left in the middle of its data."""
        if self._torn:
            raise UnsupportedError("program", "a call of it was broken off, so its states are torn", "Call reset first")

    def _require_following(self, data: dict[str, Array]) -> None:
        """Refuses data that the states cannot go on with, before the host counts what it loses of them."""
        batch = next(iter(data.values())).shape[1]
        if self._batch not in (None, batch):
            found = f"batch of {batch}, but the states are those of a batch of {self._batch}"
            raise InputError("input", found, "Keep the batch size, or call reset first")
        self._require_whole()

    def _continue(self, data: dict[str, Array], entering: dict[str, Array], names: tuple[str, ...]) -> Recording:
        batch = next(iter(data.values())).shape[1]
        before, self._batch, self._torn = self._batch, batch, True
        given = [name for name in names if name in data and name not in entering]
        known = tuple(name for name in names if name not in given and name not in self._units)
        began = time.perf_counter()
        try:
            values = self._advance(entering, known)
        except (InputError, UnsupportedError):  # refused before anything ran
            self._batch, self._torn = before, False
            raise
        self._torn = False
        steps = next(iter(data.values())).shape[0]
        self._steps += steps
        if not self._warm:
            self._warm = True
            self._log_first(steps, batch, time.perf_counter() - began)
        # An Input that only the host reads is nothing to the runtime: its record is the data themselves.
        values |= {name: np.array(data[name], dtype=np.float64) for name in given}
        return self._recording(in_units(self.plan, self._units, values) if self._units else values, names)

    def _on_host(self, data: dict[str, Array]) -> dict[str, Array]:
        """The data that the runtime gets; what is lost of them is said once until the next run.

        Warns:
            GraphWarning: values were rounded at a step of 1, or cut, which calibration data would have shown.

        Raises:
            InputError: precision "fixed" gets something else than integers, or too large ones.
        """
        entering = data
        if self._hosted:
            entering = {name: array for name, array in data.items() if name in self.lowered.inputs}
        for name, planned in self._hosted.items():
            entering[name], loss = quantized(planned.node, data[planned.sources[0].name])
            self._count(planned, loss, "Quantize the graph with such data (--data) for a step and a range that fit")
        for coded in self._coded:
            self._count(coded.planned, coded.lost(entering[coded.input]), "Convert with such data, or scale them")
        if self.lowered.input_limit is not None:
            for name, array in entering.items():
                require_integers(f"input for {self.plan[name]}", array, self.lowered.input_limit)
        return entering

    def _count(self, planned: PlannedNode, loss: Loss, step: str) -> None:
        said = loss_text(planned.node, self.losses[planned.name])
        self.losses[planned.name].add(loss)
        if not said and (found := loss_text(planned.node, loss)):
            warnings.warn(f"{planned}: {found}. {step}.", GraphWarning, stacklevel=4)

    def _no_losses(self) -> dict[str, Loss]:
        return {name: Loss() for name in (*self._hosted, *(coded.planned.name for coded in self._coded))}

    def loss_lines(self) -> list[str]:
        """What ``losses`` counts, a line for each node that lost something."""
        found = ((self.plan[name], loss) for name, loss in self.losses.items())
        return [f"{planned}: {text}." for planned, loss in found if (text := loss_text(planned.node, loss))]

    def _require_open(self) -> None:
        if self._closed:
            raise UnsupportedError("program", "it is closed", "Compile the graph again")
        if not self.lives_in_forks:
            self._turn.require_own_process()

    def _recording(self, values: dict[str, Array], names: tuple[str, ...]) -> Recording:
        outputs = {name: values[name] for name in self.plan.outputs}
        for name, array in outputs.items():
            if name not in self._finite and not is_finite(array):
                found = f"{label(name, self.plan[name].node)}: holds infinity or NaN: sums left the range of numbers."
                warnings.warn(f"{found} Scale the input or the weights down.", GraphWarning, stacklevel=3)
        output = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return Recording(output, {name: values[name] for name in names})

    def _validated(self, x: Data, one_step: bool = False) -> dict[str, Array]:
        """[T, B, *shape] by input name; ``one_step`` is given without T."""
        self._require_open()
        data, self._squares = validated(self.plan, x, one_step)
        return data
