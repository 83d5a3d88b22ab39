"""Runs a plan block by block of steps: a node takes all steps of a block at once, a cycle one step at a time."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nirbridge.ir import label
from nirbridge.runtime import Array, LoweringTable, Plan, PlannedNode, Program, membrane_of
from nirbridge.runtime.integer_bounds import SINGLE
from nirbridge_norse.dataflow import make_segments, maker_in_place
from nirbridge_norse.ranges import DATA_LIMIT, NarrowError, lost_values, require_bits, require_exact_sums, require_range
from nirbridge_norse.recorded import RecordedStep, can_record
from nirbridge_norse.results import Results
from nirbridge_norse.setting import Setting, exact_arithmetic

BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**27}
"""Size that the largest activation of a block may reach.  On a CPU larger ones leave the cache, and the allocator gives
their pages back to the system and faults them in again at every block."""
LARGEST_BLOCK = 2**24
"""The same where the weights are large.  Every block reads all of them again, so it grows until the values that its
nodes send are twice as many as the weights."""


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
        self.setting = setting
        self.lives_in_forks = setting.device.type == "cpu"
        with exact_arithmetic():
            self._stages = {p.name: _lowered(p, setting, lowering) for p in plan.nodes}
        self._in_range = np.inf
        if careful:
            require_range(plan, DATA_LIMIT)
            require_bits(plan)
            require_exact_sums(plan)
            self._in_range = DATA_LIMIT
        self._segments = make_segments(plan, self._stages)
        self._makers = {name: maker_in_place(plan, name, self._stages) for name in plan.names}
        # A block would keep nothing in the cache: values lie in the data or in the results, and states are read again.
        made = {self._makers[name] for name in plan.outputs}
        self._only_results = all(
            len(p.sources) == 1 and p.loop is None and (p.name in made or self._stages[p.name].view)
            for p in plan.nodes
            if p.sources
        )
        sent = [prod(p.output_shape) * float(p.rate) for p in plan.nodes]
        self._largest = max(sent)
        weights = sum(np.size(getattr(p.node, "weight", ())) for p in plan.nodes)
        wanted = 2 * weights * setting.dtype.itemsize * self._largest / sum(sent)
        self._block_bytes = max(BLOCK_BYTES[setting.device.type], min(LARGEST_BLOCK, wanted))
        self._late: dict[str, Tensor] = {}
        step = RecordedStep(partial(self._whole, plan.outputs), self._stages.values())
        self._recorded_step = step if can_record(plan, setting) else None

    def _reset(self) -> None:
        if self._recorded_step is not None:
            self._recorded_step.forget()
        for stage in self._stages.values():
            stage.reset()
        self._late = {}

    def _close(self) -> None:
        self._reset()

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        steps, batch = next(iter(data.values())).shape[:2]
        neurons = {name: node for name in record if name not in self.lowered.names and (node := membrane_of(name))}
        names = tuple(dict.fromkeys((*self.lowered.outputs, *(name for name in record if name not in neurons))))
        for name, stage in self._stages.items():
            stage.membranes = [] if name in neurons.values() else None
        size = self._block_steps(batch)
        if self._only_results and not neurons and all(self._as_they_are(array) for array in data.values()):
            size = steps
        with exact_arithmetic():
            if self._recorded_step is not None and steps == 1 and not neurons and names == tuple(self.lowered.outputs):
                whole = self._recorded_step({name: self._to_tensor(name, array) for name, array in data.items()})
            else:
                results = Results(steps)
                for t in range(0, steps, size):
                    results.enter(t, min(t + size, steps))
                    part = {name: self._to_tensor(name, array[t : t + size]) for name, array in data.items()}
                    self._block(part, names, results)
                whole = results.whole
            arrays = {name: whole[name].cpu().numpy() for name in names}
            for name, node in neurons.items():
                arrays[name] = torch.stack(self._stages[node].membranes or []).cpu().numpy()
        return _separate(arrays, data)

    def _block_steps(self, batch: int) -> int:
        """Input steps of a block: whole windows, as many as fit."""
        step_bytes = self._largest * batch * self.setting.dtype.itemsize
        fitting = int(self._block_bytes / step_bytes)
        return max(1, fitting // self.lowered.block) * self.lowered.block

    def _whole(self, names: tuple[str, ...], values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of one step alone."""
        results = Results(1)
        self._block(dict(values), names, results)
        return results.whole

    def _block(self, values: dict[str, Tensor], names: tuple[str, ...], results: Results) -> None:
        some = next(iter(values.values()))
        kept = frozenset(names)
        makers = {maker: name for name in names if (maker := self._makers[name]) is not None}
        for segment in self._segments:
            if segment.loop:
                self._loop(segment.nodes, values, some)
            elif segment.name not in values:
                first, *others = segment.sources
                incoming = values[first]
                for name in others:
                    incoming = incoming + values[name]
                overwrite = segment.may_overwrite(kept)
                if segment.name in makers:
                    # What works in place does so where the result belongs.
                    incoming = results.place(makers[segment.name], incoming).copy_(incoming)
                    overwrite = True
                values[segment.name] = segment.run(incoming, overwrite)
            for name in segment.done:
                if name not in kept:
                    del values[name]
        for name in names:
            results.put(name, values[name])

    def _loop(self, segment: tuple[PlannedNode, ...], values: dict[str, Tensor], some: Tensor) -> None:
        """A cycle, one step of all its nodes at a time; a closing edge brings the step before.

        ``some`` input tells the batch, and the steps where no data reach the cycle.
        """
        inside = {planned.name for planned in segment}
        outside = (len(values[s.name]) for p in segment for s in p.sources if s.name not in inside)
        steps = next(outside, len(some))
        history: dict[str, list[Tensor]] = {planned.name: [] for planned in segment}
        for t in range(steps):
            for planned in segment:
                terms = [
                    self._late.get(source.name)
                    if source.delayed
                    else history[source.name][t]
                    if source.name in inside
                    else values[source.name][t]
                    for source in planned.sources
                ]
                incoming = self._sum(planned, [term for term in terms if term is not None], some)
                history[planned.name].append(self._stages[planned.name].run(incoming[None], scratch=False)[0])
            self._late.update({name: history[name][t] for name in inside})
        values.update({name: torch.stack(frames) for name, frames in history.items()})

    def _sum(self, planned: PlannedNode, terms: list[Tensor], some: Tensor) -> Tensor:
        if not terms:
            return some.new_zeros((some.shape[1], *planned.input_shape))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def _as_they_are(self, array: Array) -> bool:
        """Whether torch takes the data without a copy."""
        return array.flags.carray and array.dtype == self._data_dtype()

    def _to_tensor(self, name: str, array: Array) -> Tensor:
        with np.errstate(over="ignore", under="ignore"):
            cast = np.ascontiguousarray(array, dtype=self._data_dtype())
        # torch warns about memory that it may not write into.
        tensor = torch.from_numpy(cast if cast.flags.writeable else cast.copy())
        if self.setting.dtype is torch.float32 and not (array.dtype.kind in "bui" and array.dtype.itemsize < 3):
            self._require_same(name, array, tensor)
        return tensor.to(self.setting.device)

    def _require_same(self, name: str, given: Array, cast: Tensor) -> None:
        """Refuses data that single precision changes, or with which a product or a sum can leave its range."""
        # No number is above the root of the sum of squares.
        if given.dtype == np.float32 and self._squares.get(name, np.inf) <= self._in_range * self._in_range:
            return
        low, high = torch.aminmax(cast)
        magnitude = max(-float(low), float(high))
        where = f"input for {label(name, self.lowered[name].node)}"
        if magnitude == np.inf:
            raise NarrowError(where, "holds values beyond the range of float32")
        if magnitude > self._in_range:
            require_range(self.lowered, magnitude)
            self._in_range = magnitude
        if magnitude >= SINGLE and given.dtype != np.float32:
            lost = lost_values(given, cast.numpy())
            whole = lost[np.abs(lost) >= SINGLE]
            if whole.size:
                raise NarrowError(where, f"holds {whole.flat[0]:.9g}, which float32 rounds")

    def _data_dtype(self) -> np.dtype[Any]:
        return self.setting.numpy_dtype


def _lowered(planned: PlannedNode, setting: Setting, lowering: LoweringTable[Any]) -> Any:
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
