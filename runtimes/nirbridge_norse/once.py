"""Windows in which each neuron sends one spike at most: its step in a byte is the message of all steps.

Convolutions that read it add each weight once (:mod:`nirbridge_norse.fused.gathering`), whichever the step is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nirbridge.ir import spec_of
from nirbridge.machine_code import numba_is_there
from nirbridge.runtime import Plan, PlannedNode
from nirbridge.runtime.integer_bounds import SINGLE, grown
from nirbridge_norse.convolution import geometry_of, moves_only
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.fused.window_passes import WindowPass, fires_once
from nirbridge_norse.memory import Sent, memory_of, memory_to_fill
from nirbridge_norse.placing import placed
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage

LEAST_STEPS = 8
"""Of a window, from which on a spike's own weights are fewer products than all products of bytes at each step."""


@dataclass(frozen=True)
class Once:
    """The spikes of windows.

    Attributes:
        step: [V, B, *features] bytes: of the spike in its window; ``steps`` where there is none.
        steps: of a window.
    """

    step: Tensor
    steps: int

    @classmethod
    def of(cls, frames: Tensor, steps: int) -> Once:
        """What [V·T, B, *features] says, of one spike at most."""
        spikes = frames.unflatten(0, (-1, steps)) != 0
        return cls(torch.where(spikes.any(1), spikes.byte().argmax(1), steps).byte(), steps)

    @property
    def extent(self) -> tuple[int, int]:
        """T and B of all windows."""
        return self.step.shape[0] * self.steps, self.step.shape[1]

    def frames(self) -> Tensor:
        """[V·T, B, *features] bytes, 1 for a spike."""
        return torch.stack([self.step == t for t in range(self.steps)], 1).flatten(0, 1).byte()


class Gather(Stage):
    """A convolution of such spikes.

    Args:
        planned: its node.
        steps: of a window.
        dtype: of the sums.
    """

    waits = True

    def __init__(self, planned: PlannedNode, steps: int, dtype: torch.dtype) -> None:
        node, geometry = planned.node, geometry_of(planned.node)
        self.dtype, kind = dtype, str(dtype).removeprefix("torch.")
        weight = np.moveaxis(np.asarray(node.weight, dtype=kind), (2, 3), (0, 1))
        self.single = weight.shape[3] == 1 and geometry.groups > 1
        weight = weight[..., 0] if self.single else weight.swapaxes(2, 3)
        self.weight, self.steps = np.ascontiguousarray(weight), steps
        self.largest = grown(node, 1)
        self.bias = np.broadcast_to(np.asarray(node.bias, dtype=kind), len(node.weight)).copy()
        self.enters, self.leaves = Order(planned.input_shape, True), Order(planned.output_shape, True)
        left, _, top, _ = geometry.uneven or (geometry.padding[1], 0, geometry.padding[0], 0)
        ways = zip(geometry.stride, (top, left), geometry.dilation, strict=True)
        self.down, self.along = ((stride, before, apart) for stride, before, apart in ways)
        self._sent = Sent()

    def run(self, x: Once, scratch: bool) -> Tensor:
        """[T, B, *out] of all windows."""
        (total, batch), steps = x.extent, self.steps
        y = self._sent.new((total, batch, *self.leaves.features), self.dtype, self.leaves)
        out = memory_to_fill(y, self.leaves).reshape(total, -1)
        for w, window in enumerate(memory_of(x.step, self.enters)[0]):
            self._gather(window, out[w * steps : (w + 1) * steps], 0, self.leaves.features[1])
        return y

    def function(self, x: Tensor, first: int, last: int | None) -> Tensor:
        """[T, N, O, rows, Q] of some rows of the output, from the steps [N, C, H, W] of one window."""
        channels, height, columns = self.leaves.features
        last = height if last is None else last
        y = torch.empty((self.steps, len(x), last - first, columns, channels), dtype=self.dtype)
        self._gather(self.enters.seen(self.enters.dense(x)), y.numpy().reshape(self.steps, -1), first, last)
        return y.movedim(-1, 2)

    def decide(self, x: Tensor, firing: WindowPass, factor: Tensor | None, out: np.ndarray) -> bool:
        """The steps of the spikes of what reads the sums of one window [N, C, H, W], times ``factor``.

        A sum that is decided on where it was formed is never written.  False where that cannot be.
        """
        whole = firing.whole(self.leaves, factor, self.largest) if self.single else None
        if whole is not None:
            y = np.empty((self.steps, 0), str(self.dtype).removeprefix("torch."))
            self._gather(self.enters.seen(self.enters.dense(x)), y, 0, self.leaves.features[1], (out, whole))
        return whole is not None

    def _gather(self, x: np.ndarray, y: np.ndarray, first: int, last: int, decision: Any = None) -> None:
        from nirbridge_norse.fused import gathering  # and so numba, with the first run

        rows = gathering.Rows(first, last, self.leaves.features[2], self.down, self.along)
        if self.single:
            gathering.each(x, y, self.weight, self.bias, rows, *(decision or gathering.SUMS))
        else:
            gathering.across(x, y, self.weight, self.bias, rows)

    def again(self) -> Stage:
        """The same, whose memory is its own."""
        found = object.__new__(Gather)
        found.__dict__.update(self.__dict__, _sent=Sent())
        return found


class MoveOnce(Stage):
    """A convolution that only moves such spikes; where it adds places there is none."""

    def __init__(self, sides: list[int]) -> None:
        self.sides = sides

    def run(self, x: Once, scratch: bool) -> Once:
        """All windows."""
        moved = placed(x.step.flatten(0, 1), self.sides, fill=x.steps)
        return Once(moved.unflatten(0, x.step.shape[:2]), x.steps)


class Found(NamedTuple):
    """What of a plan sends such spikes, and the stages of what reads them."""

    senders: frozenset[str]
    readers: Mapping[str, Stage]


def find_once(plan: Plan, setting: Setting, integers: bool) -> Found:
    """A window sends them where all that it reaches, through what only moves them, are convolutions on the CPU.

    Sums of integers are in single precision.
    """
    if setting.device.type != "cpu" or not numba_is_there():
        return Found(frozenset(), {})
    dtype = torch.float32 if integers else setting.dtype
    takes: set[str] = set()
    for planned in reversed(plan.nodes):
        if planned.loop is None and len(planned.sources) == 1 and spec_of(planned.node).operation == "convolution":
            moves = moves_only(planned) is not None and planned.node.weight.ndim == 4
            if _is_taken(plan, planned, takes) if moves else _gathers(planned, integers):
                takes.add(planned.name)
    steps: dict[str, int] = {}
    readers: dict[str, Stage] = {}
    for planned in plan.nodes:
        if planned.loop is None and _is_taken(plan, planned, takes) and fires_once(planned):
            if planned.window >= LEAST_STEPS:
                steps[planned.name] = planned.window
        elif planned.name in takes and (window := steps.get(planned.sources[0].name)):
            sides = moves_only(planned)
            readers[planned.name] = Gather(planned, window, dtype) if sides is None else MoveOnce(sides)
            if sides is not None:
                steps[planned.name] = window
    return Found(frozenset(steps) - frozenset(readers), readers)


def _is_taken(plan: Plan, planned: PlannedNode, takes: set[str]) -> bool:
    """Whether it has readers, which all take such spikes."""
    read = plan.readers[planned.name]
    return bool(read) and all(reader.name in takes for reader in read)


def _gathers(planned: PlannedNode, integers: bool) -> bool:
    """Convolutions of all channels, or of each alone; of integers, whose sums single precision holds."""
    weight, groups = planned.node.weight, int(planned.node.groups)
    alone = weight.shape[1] == 1 and len(weight) == groups
    return weight.ndim == 4 and (groups == 1 or alone) and not (integers and grown(planned.node, 1) >= SINGLE)
