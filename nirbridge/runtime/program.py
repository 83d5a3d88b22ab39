"""A compiled graph: what every runtime gives back."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseIF, label
from nirbridge.runtime.plan import Plan

Array = NDArray[Any]
Data = Array | Mapping[str, Array]
MEMBRANE = ":v"
WITH_MEMBRANE = (MultiLevelLIF, PhaseIF, PhaseDecode, nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF)
"""Neurons whose membrane can be recorded."""


@dataclass(frozen=True)
class Recording:
    """What a run gives back.

    Attributes:
        output: [T, B, *shape] of the graph's output; a dictionary by name where the graph has several.
        records: [T, B, *shape] of what each recorded node sent, by name; of its membrane under its name with ":v".
    """

    output: Any
    records: dict[str, Array] = field(default_factory=dict)


class Program(ABC):
    """A graph that is ready to run; a context manager that frees what the runtime holds.

    Data are [T, B, *shape] arrays of values.  :meth:`run` starts from fresh states; :meth:`advance` and :meth:`step`
    carry them over.  A runtime implements ``_advance``, ``_reset`` and, where it holds something, ``_close``.

    Membranes: a runtime that can give them sets ``records_membranes = True``.  ``_advance`` then also gets names such
    as ``"act1:v"`` (:func:`membrane_of` gives ``"act1"``) and returns under each the membrane [T, B, *shape] after
    every step, after the reset; of a PhaseIF the decoded sum of the phases so far, V(t) Q_in^-(t+f-1).  In precision
    "fixed" ``plan.input_limit`` is set: inputs have been checked to be integers up to it, outputs and records are
    arrays of whole numbers.
    """

    records_membranes = False

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._closed = False
        self._batch: int | None = None

    def run(self, x: Data, record: Sequence[str] = ()) -> Recording:
        """Runs ``x`` from fresh states.

        Args:
            x: [T, B, *shape] of real numbers; a dictionary by input name where the graph has several inputs.
            record: names of nodes whose output is kept; with ":v" behind the name of a neuron its membrane.

        Returns:
            The output and the records, aligned with the input: no runtime adds steps.

        Raises:
            InputError: shape, dtype or values do not fit, or a recorded node does not exist.
        """
        data = self._validated(x)
        names = self._recorded(record)
        self.reset()
        return self._continue(data, names)

    def advance(self, x: Data, record: Sequence[str] = ()) -> Recording:
        """Like :meth:`run`, from the states that the last call left.

        A first call, or one after :meth:`reset`, starts from fresh states.  The batch size may only change then.
        """
        data = self._validated(x)
        return self._continue(data, self._recorded(record))

    def step(self, frame: Data) -> Any:
        """One step: frame [B, *shape] → [B, *out]; the state carries over.

        Raises:
            UnsupportedError: the graph works on windows of several steps.
        """
        if not self.plan.stepwise:
            found = f"works on windows of {self.plan.block} input steps, so one step has no output of its own"
            raise UnsupportedError("graph", found, "Use run or advance with whole windows")
        frames = (
            {k: np.asarray(v)[None] for k, v in frame.items()}
            if isinstance(frame, Mapping)
            else np.asarray(frame)[None]
        )
        output = self.advance(frames).output
        return {k: v[0] for k, v in output.items()} if isinstance(output, dict) else output[0]

    def reset(self) -> None:
        """Puts every state back to its start."""
        self._require_open()
        self._batch = None
        self._reset()

    def close(self) -> None:
        """Frees what the runtime holds; the program cannot run afterwards.  Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        """Runs validated [T, B, *shape] data by input name; returns outputs and records by node name."""

    @abstractmethod
    def _reset(self) -> None:
        """Puts every state back to its start."""

    def _close(self) -> None:  # noqa: B027  a runtime that holds nothing has nothing to free
        """Frees what the runtime holds."""

    def _continue(self, data: dict[str, Array], names: tuple[str, ...]) -> Recording:
        batch = next(iter(data.values())).shape[1]
        if self._batch not in (None, batch):
            found = f"batch of {batch}, but the states are those of a batch of {self._batch}"
            raise InputError("input", found, "Keep the batch size, or call reset first")
        self._batch = batch
        return self._recording(self._advance(data, names), names)

    def _require_open(self) -> None:
        if self._closed:
            raise UnsupportedError("program", "it is closed", "Compile the graph again")

    def _recording(self, values: dict[str, Array], names: tuple[str, ...]) -> Recording:
        outputs = {name: values[name] for name in self.plan.outputs}
        for name, array in outputs.items():
            if not np.isfinite(array).all():
                found = f"{label(name, self.plan[name].node)}: holds infinity or NaN: sums left the range of numbers."
                warnings.warn(f"{found} Scale the input or the weights down.", GraphWarning, stacklevel=3)
        output = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return Recording(output, {name: values[name] for name in names})

    def _recorded(self, record: Sequence[str]) -> tuple[str, ...]:
        names = (record,) if isinstance(record, str) else tuple(dict.fromkeys(record))
        for name in names:
            if name not in self.plan.names:
                self._require_membrane(name)
        return names

    def _require_membrane(self, name: str) -> None:
        """Refuses what is neither a node nor the membrane of a neuron."""
        where, node = f"record '{name}'", membrane_of(name)
        if node is None or node not in self.plan.names:
            raise InputError(where, "no node has this name", f"Nodes: {', '.join(self.plan.names)}")
        if type(self.plan[node].node) not in WITH_MEMBRANE:
            raise InputError(where, f"{self.plan[node]} has no membrane", f"Record '{node}', or a neuron's membrane")
        if not self.records_membranes:
            raise UnsupportedError(where, "this runtime does not give membranes", "Use --runtime reference or norse")

    def _validated(self, x: Data) -> dict[str, Array]:
        self._require_open()
        given = dict(x) if isinstance(x, Mapping) else dict.fromkeys(self.plan.inputs[:1], x)
        if set(given) != set(self.plan.inputs):
            found = f"data for {sorted(given)}, but the inputs are {sorted(self.plan.inputs)}"
            raise InputError("input", found, "Give one array for each input, by its name")
        data = {name: self._validated_array(name, np.asarray(array)) for name, array in given.items()}
        sizes = {array.shape[:2] for array in data.values()}
        if len(sizes) != 1:
            raise InputError("input", f"inputs disagree about time and batch: {sorted(sizes)}", "Give equal T and B")
        return data

    def _validated_array(self, name: str, array: Array) -> Array:
        planned = self.plan[name]
        where = f"input for {label(name, planned.node)}"
        shape = planned.output_shape
        if array.dtype.kind not in "fiub":
            raise InputError(where, f"dtype {array.dtype}, expected real numbers", "Convert it to float32")
        if array.ndim != len(shape) + 2 or array.shape[2:] != shape:
            wanted = ", ".join(("T", "B", *map(str, shape)))
            next_step = "Add or move the time and batch axes"
            if len(shape) > 1 and array.shape[-len(shape) + 1 :] == shape[1:] and array.ndim <= len(shape) + 1:
                next_step += f", or state {shape[1:]} in the Input: its first axis is probably the batch"
            raise InputError(where, f"shape {array.shape}, expected [{wanted}]", next_step)
        if 0 in array.shape[:2]:
            raise InputError(where, f"shape {array.shape} holds no step or no sample", "Give at least one of each")
        if array.shape[0] % self.plan.block:
            found = f"{array.shape[0]} steps are no multiple of the {self.plan.block} steps of a window"
            raise InputError(where, found, "Give whole windows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(where, "holds NaN or infinity", "Clean the data first")
        if self.plan.input_limit is not None:
            _require_integers(where, array, self.plan.input_limit)
        return array


def membrane_of(name: str) -> str | None:
    """The node whose membrane a record such as ``"act1:v"`` asks for; None for another name."""
    return name.removesuffix(MEMBRANE) if name.endswith(MEMBRANE) else None


def _require_integers(where: str, array: Array, limit: int) -> None:
    broken = array[array != np.rint(array)] if array.dtype.kind == "f" else array[:0]
    if broken.size:
        found = f"holds {broken.flat[0]:g}, and precision 'fixed' takes integers"
        raise InputError(where, found, "Divide it by the input scale and round it, or compile with precision='float'")
    if array.dtype.kind != "b" and max(int(array.max()), -int(array.min())) > limit:
        found = f"holds magnitudes above {limit}, up to which this graph's sums stay exact in precision 'fixed'"
        raise InputError(where, found, "Give smaller integers")


def require_option(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuses the value of a compile option that is not among ``allowed``."""
    if value not in allowed:
        listed = ", ".join(map(repr, allowed))
        raise InputError(f"option '{name}'", f"{value!r} is not among {listed}", "Choose one of them")
