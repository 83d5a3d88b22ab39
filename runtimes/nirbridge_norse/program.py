"""Runs a plan block by block of steps: a node takes all steps of a block at once, a cycle one step at a time."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nirbridge.errors import InputError
from nirbridge.ir import label
from nirbridge.runtime import Array, LoweringTable, Plan, PlannedNode, Program, membrane_of
from nirbridge_norse.dataflow import make_segments
from nirbridge_norse.setting import Setting, exact_arithmetic

BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**27}
"""Size that the largest activation of a block may reach.  On a CPU larger ones leave the cache, and the allocator gives
their pages back to the system and faults them in again at every block."""


class NorseProgram(Program):
    """One stage per node; the states live in the stages.

    Args:
        plan: the plan.
        setting: device, dtype and dt.
        lowering: node type → stage, in the arithmetic of the precision.
    """

    records_membranes = True

    def __init__(self, plan: Plan, setting: Setting, lowering: LoweringTable[Any]) -> None:
        super().__init__(plan)
        self.setting = setting
        with exact_arithmetic():
            self._stages = {p.name: lowering[type(p.node)](p, setting) for p in plan.nodes}
        self._segments = make_segments(plan, self._stages)
        self._largest = max(prod(p.output_shape) * float(p.rate) for p in plan.nodes)
        self._late: dict[str, Tensor] = {}

    def _reset(self) -> None:
        for stage in self._stages.values():
            stage.reset()
        self._late = {}

    def _close(self) -> None:
        self._reset()

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        steps, batch = next(iter(data.values())).shape[:2]
        neurons = {name: node for name in record if name not in self.plan.names and (node := membrane_of(name))}
        names = tuple(dict.fromkeys((*self.plan.outputs, *(name for name in record if name not in neurons))))
        for name, stage in self._stages.items():
            stage.membranes = [] if name in neurons.values() else None
        size = self._block_steps(batch)
        with exact_arithmetic():
            blocks = [
                self._block({name: array[t : t + size] for name, array in data.items()}, names)
                for t in range(0, steps, size)
            ]
            results = {name: _joined([block[name] for block in blocks]).cpu().numpy() for name in names}
            for name, node in neurons.items():
                results[name] = torch.stack(self._stages[node].membranes or []).cpu().numpy()
        return _separate(results, data)

    def _block_steps(self, batch: int) -> int:
        """Input steps of a block: whole windows, as many as fit."""
        step_bytes = self._largest * batch * self.setting.dtype.itemsize
        fitting = int(BLOCK_BYTES[self.setting.device.type] / step_bytes)
        return max(1, fitting // self.plan.block) * self.plan.block

    def _block(self, data: dict[str, Array], names: tuple[str, ...]) -> dict[str, Tensor]:
        values = {name: self._to_tensor(name, array) for name, array in data.items()}
        some = next(iter(values.values()))
        kept = frozenset(names)
        for segment in self._segments:
            if segment.loop:
                self._loop(segment.nodes, values, some)
            elif segment.name not in data:
                first, *others = segment.sources
                incoming = values[first]
                for name in others:
                    incoming = incoming + values[name]
                values[segment.name] = segment.run(incoming, segment.may_overwrite(kept))
            for name in segment.done:
                if name not in kept:
                    del values[name]
        return {name: values[name] for name in names}

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

    def _to_tensor(self, name: str, array: Array) -> Tensor:
        dtype = self._data_dtype()
        cast = np.ascontiguousarray(array, dtype=dtype) if array.dtype == dtype else self._cast(name, array)
        # torch warns about memory that it may not write into.
        return torch.from_numpy(cast if cast.flags.writeable else cast.copy()).to(self.setting.device)

    def _data_dtype(self) -> np.dtype[Any]:
        return self.setting.numpy_dtype

    def _cast(self, name: str, array: Array) -> Array:
        try:
            with np.errstate(over="raise"):
                return np.ascontiguousarray(array, dtype=self._data_dtype())
        except FloatingPointError:
            found = f"holds values beyond the range of {self.setting.numpy_dtype}"
            where = f"input for {label(name, self.plan[name].node)}"
            raise InputError(where, found, "Compile with dtype='float64'") from None


def _joined(blocks: list[Tensor]) -> Tensor:
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


def _separate(results: dict[str, Array], data: dict[str, Array]) -> dict[str, Array]:
    """The results, copied where two of them, or one and the caller's data, are views of the same memory."""
    taken = list(data.values())
    for name, array in results.items():
        if any(np.may_share_memory(array, other) for other in taken):
            results[name] = array.copy()
        taken.append(results[name])
    return results
