"""A compiled graph: its checks of range, the size of its blocks, and the samples that run side by side."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch

from nirbridge.ir import label, spec_of
from nirbridge.runtime import Array, LoweringTable, Plan, PlannedNode, Program, membrane_of
from nirbridge.runtime.integer_bounds import SINGLE
from nirbridge.runtime.spikes import sender
from nirbridge.runtime.states import LINE
from nirbridge_norse.dataflow import byte_senders
from nirbridge_norse.memory import keep_pages
from nirbridge_norse.once import find_once
from nirbridge_norse.ranges import DATA_LIMIT, NarrowError, lost_values, require_bits, require_exact_sums, require_range
from nirbridge_norse.schedule import Schedule
from nirbridge_norse.setting import Setting, arithmetic_for, exact_arithmetic, on_threads
from nirbridge_norse.stages import Neuron

BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**27}
"""Size that the largest activation of a block may reach.  On a CPU larger ones leave the cache, and the allocator gives
their pages back to the system and faults them in again at every block."""
LARGEST_BLOCK = 2**24
"""The same where the weights are large.  Every block reads all of them again, so it grows until the values that its
nodes send are twice as many as the weights."""


WORTH_THREADS = 2**17
"""Values that all nodes send in a step, from which on samples are divided among threads."""


class NorseProgram(Program):
    """One stage per node; the states live in the stages.

    Args:
        plan: the plan.
        setting: device, dtype and dt.
        lowering: node type → stage, in the arithmetic of the precision.
        careful: of single precision, refuse what may leave its range, and not only what does.

    Raises:
        NarrowError: single precision does not do for the plan.
    """

    records_membranes = True

    def __init__(self, plan: Plan, setting: Setting, lowering: LoweringTable[Any], careful: bool = False) -> None:
        super().__init__(plan)
        keep_pages()
        self.setting = setting
        self.lives_in_forks = setting.device.type == "cpu"
        with exact_arithmetic():
            stages = self._lowered(lowering)
        # Levels come out of the node's table, whatever the membrane.
        self._finite |= {out for out in self.plan.outputs if spec_of(sender(self.plan, out).node).operation == "lanes"}
        self._in_range = np.inf
        if careful:
            require_range(plan, DATA_LIMIT)
            require_bits(plan)
            require_exact_sums(plan)
            self._in_range = DATA_LIMIT
        self._schedules = [Schedule(plan, stages, setting)]
        self._parts: tuple[slice, ...] = ()
        self._library = any(stage.library for stage in stages.values())
        # A block would keep nothing in the cache: values lie in the data or in the results, and states are read again.
        made = [p for p in plan.nodes if p.sources and not stages[p.name].view]
        self._one_neuron = len(made) == 1 and made[0].loop is None and isinstance(stages[made[0].name], Neuron)
        sent = [prod(p.output_shape) * float(p.rate) for p in plan.nodes]
        self._largest, self._sent = max(sent), sum(sent)
        weights = sum(np.size(getattr(p.node, "weight", ())) for p in plan.nodes)
        wanted = 2 * weights * setting.dtype.itemsize * self._largest / sum(sent)
        self._block_bytes = max(BLOCK_BYTES[setting.device.type], min(LARGEST_BLOCK, wanted))

    def _lowered(self, lowering: LoweringTable[Any]) -> dict[str, Any]:
        once, readers = find_once(self.lowered, self.setting, integers=False)
        stages = {p.name: readers.get(p.name) or lowered_node(p, self.setting, lowering) for p in self.lowered.nodes}
        for name in once:
            stages[name].once = True
        for name in byte_senders(self.lowered, stages):
            stages[name].send(torch.uint8)
        return stages

    def _reset(self) -> None:
        for schedule in self._schedules:
            schedule.reset()
        self._parts = ()

    def _close(self) -> None:
        self._schedules.clear()
        self._parts = ()

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        steps, batch = next(iter(data.values())).shape[:2]
        neurons = [node for name in record if name not in self.lowered.names and (node := membrane_of(name))]
        names = tuple(dict.fromkeys((*self.lowered.outputs, *(name for name in record if name in self.lowered.names))))
        if self.setting.numpy_dtype == np.float32:
            for name, array in data.items():
                self._require_same(name, array)
        dtype = self._data_dtype()
        whole = self._one_neuron and not neurons and all(array.dtype == dtype for array in data.values())
        if not self._parts:
            self._divide(batch)

        def run(part: int) -> dict[str, Array]:
            share = self._parts[part]
            given = data if len(self._parts) == 1 else {name: array[:, share] for name, array in data.items()}
            size = steps if whole else self._block_steps(share.stop - share.start)
            with arithmetic_for(self._library):
                return self._schedules[part].run(given, dtype, size, names, neurons)

        if len(self._parts) == 1:
            return _separate(run(0), data)
        found = on_threads(run, len(self._parts))
        return {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}

    def _divide(self, batch: int) -> None:
        self._parts = self._divided(batch)
        self._schedules += [self._schedules[0].again() for _ in self._parts[len(self._schedules) :]]

    def _state(self) -> dict[str, Array]:
        parts = [schedule.states() for schedule in self._schedules[: len(self._parts)]]
        return {name: np.concatenate([part[name] for part in parts], axis=_samples(name)) for name in parts[0]}

    def _restore(self, arrays: dict[str, Array], batch: int) -> None:
        held = {name: self._held(name, array) for name, array in arrays.items()}
        self._reset()
        self._choose_numbers(held)
        self._divide(batch)
        for schedule, share in zip(self._schedules, self._parts, strict=False):
            cut = {name: array[:, share] if _samples(name) else array[share] for name, array in held.items()}
            schedule.restore(cut, self._data_dtype())

    def _choose_numbers(self, states: dict[str, Array]) -> None:
        """Those of a program in floating point are always the same."""

    def _held(self, name: str, array: Array) -> Array:
        """A state in the program's own numbers.

        Raises:
            NarrowError: they do not hold it.
        """
        with np.errstate(over="ignore", under="ignore"):
            cast = array.astype(self.setting.numpy_dtype)
        if (lost := lost_values(array, cast)).size:
            raise NarrowError(f"state '{name}'", f"holds {lost.flat[0]:.9g}, which {cast.dtype} does not")
        return cast

    def _divided(self, batch: int) -> tuple[slice, ...]:
        """The samples of each thread: as many parts as torch has threads, if that is worth it.

        Samples share nothing but parameters.  Several threads for one operation pay less: they wait for each other
        after every one, and spin.
        """
        threads = torch.get_num_threads() if self.setting.device.type == "cpu" else 1
        count = min(threads, batch) if self._sent * batch >= WORTH_THREADS else 1
        ends = [batch * part // count for part in range(count + 1)]
        return tuple(slice(first, last) for first, last in pairwise(ends))

    def _block_steps(self, batch: int) -> int:
        """Input steps of a block: whole windows, as many as fit."""
        step_bytes = self._largest * batch * self.setting.dtype.itemsize
        fitting = int(self._block_bytes / step_bytes)
        return max(1, fitting // self.lowered.block) * self.lowered.block

    def _require_same(self, name: str, given: Array) -> None:
        """Refuses data that single precision changes, or with which a product or a sum can leave its range."""
        # No number is above the root of the sum of squares.
        if given.dtype == np.float32 and self._squares.get(name, np.inf) <= self._in_range * self._in_range:
            return
        if given.dtype.kind in "bui" and given.dtype.itemsize < 3:
            return
        magnitude = max(-float(given.min()), float(given.max()))
        where = f"input for {label(name, self.lowered[name].node)}"
        if magnitude > float(np.finfo(np.float32).max):
            raise NarrowError(where, "holds values beyond the range of float32")
        if magnitude > self._in_range:
            require_range(self.lowered, magnitude)
            self._in_range = magnitude
        if magnitude >= SINGLE and given.dtype != np.float32:
            lost = lost_values(given, given.astype(np.float32))
            whole = lost[np.abs(lost) >= SINGLE]
            if whole.size:
                raise NarrowError(where, f"holds {whole.flat[0]:.9g}, which float32 rounds")

    def _data_dtype(self) -> np.dtype[Any]:
        return self.setting.numpy_dtype


def _samples(name: str) -> int:
    """Which axis of a state the samples stand on; that of a delay has its steps before them."""
    return 1 if name.endswith(f":{LINE}") else 0


def lowered_node(planned: PlannedNode, setting: Setting, lowering: LoweringTable[Any]) -> Any:
    """The stage of a node; a parameter that single precision does not hold is told with the node's name."""
    try:
        return lowering[type(planned.node)](planned, setting)
    except NarrowError as error:
        (problem,) = error.problems
        raise NarrowError(str(planned), problem.found) from None


def _separate(results: dict[str, Array], data: dict[str, Array]) -> dict[str, Array]:
    """The results, copied where two of them, or one and the caller's data, are views of the same memory."""
    taken = list(data.values())
    for name, array in results.items():
        if any(np.may_share_memory(array, other) for other in taken):
            results[name] = array.copy()
        taken.append(results[name])
    return results
