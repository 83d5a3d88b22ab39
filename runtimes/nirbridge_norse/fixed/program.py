"""A compiled graph in precision "fixed"."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nirbridge.ir import spec_of
from nirbridge.machine_code import numba_is_there
from nirbridge.runtime import Array, LoweringTable, Plan
from nirbridge.runtime.integer_bounds import SINGLE, message_bounds, single_precision
from nirbridge.runtime.states import LINE, SENT
from nirbridge_norse.fixed.bytes import find_bytes, wide_convolution
from nirbridge_norse.fixed.lowering import FIXED_LOWERING, byte_synapse
from nirbridge_norse.once import find_once
from nirbridge_norse.program import NorseProgram, lowered_node
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stateless
from nirbridge_norse.windowed import WindowedNeuron


class FixedProgram(NorseProgram):
    """Carries messages in bytes where all that reads them takes bytes, else in single or in double precision.

    Single where inputs are so small that no sum reaches 2^24; double at the nodes where one does whatever the inputs.

    Once an input was larger it stays with double until the next reset, because what is late, a value from the step
    before or in a delay line, may stem from that input.

    Args:
        plan: the plan, with its input limit.
        setting: of double precision.
    """

    def __init__(self, plan: Plan, setting: Setting) -> None:
        self._senders: frozenset[str] = frozenset()
        super().__init__(plan, setting, FIXED_LOWERING)
        for schedule in self._schedules:
            schedule.wide = self._wide
        self._narrow = True
        self._send(torch.uint8)

    def _lowered(self, lowering: LoweringTable[Any]) -> dict[str, Any]:
        compiled = self.setting.device.type == "cpu" and numba_is_there()
        self._narrow_limit, self._wide = single_precision(self.lowered)
        once, readers = find_once(self.lowered, self.setting, integers=True)
        self._senders, synapses = find_bytes(self.lowered) if compiled else (frozenset(), frozenset())
        stages = {
            p.name: readers.get(p.name)
            or (byte_synapse(p, self.setting) if p.name in synapses else lowered_node(p, self.setting, lowering))
            for p in self.lowered.nodes
        }
        for name in once:
            stages[name].once = True
        bounds = message_bounds(self.lowered) if self._wide else {}
        for name in self._wide if compiled else ():
            if spec_of(self.lowered[name].node).operation == "convolution" and stages[name].waits:
                stage = stages[name]
                chosen = wide_convolution(self.lowered[name], stage.narrow.function, stage.wide.function)
                stage.wide = Stateless(chosen)
                if sum(bounds[source.name] for source in self.lowered[name].sources) < SINGLE:
                    stage.narrow, stage.chooses = stage.wide, True
        return stages

    def _reset(self) -> None:
        super()._reset()
        self._narrow = True
        self._send(torch.uint8)

    def _send(self, dtype: torch.dtype | None) -> None:
        """Bytes, behind which sums are of single precision; or None for what sums need.

        Windows that send no bytes send single precision then, whatever enters them.
        """
        single = None if dtype is None else torch.float32
        for schedule in self._schedules:
            for name, stage in schedule.stages.items():
                if name in self._senders:
                    stage.send(dtype)
                elif isinstance(stage, WindowedNeuron) and spec_of(self.lowered[name].node).sends.spikes:
                    stage.send(single)

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        largest = max(max(float(array.max()), -float(array.min())) for array in data.values())
        self._narrow = self._narrow and largest <= self._narrow_limit
        if not self._narrow:
            self._send(None)
            for schedule in self._schedules:
                schedule.widen()
        return {name: array.astype(np.float64, copy=False) for name, array in super()._advance(data, record).items()}

    def _choose_numbers(self, states: dict[str, Array]) -> None:
        """Single precision again, unless what is late may stem from a larger input.

        A value that no larger input has made may be larger too; that costs time, and changes nothing.
        """
        late = [array for name, array in states.items() if name.endswith((f":{LINE}", f":{SENT}")) and array.size]
        self._narrow = all(np.abs(array).max() <= self._narrow_limit for array in late)

    def _data_dtype(self) -> np.dtype[np.float64] | np.dtype[np.float32]:
        return np.dtype(np.float32) if self._narrow else np.dtype(np.float64)
