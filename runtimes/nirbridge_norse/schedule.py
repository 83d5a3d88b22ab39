"""Runs a plan block by block of steps for some samples: a node takes all steps of a block at once, a cycle one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nirbridge.runtime import MEMBRANE, Array, Plan, PlannedNode
from nirbridge.runtime.states import SENT, by_node, late_names
from nirbridge_norse.dataflow import Segment, make_segments
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.later import Later
from nirbridge_norse.memory import SMALL, Sent, is_small
from nirbridge_norse.once import Once
from nirbridge_norse.recorded import RecordedStep, can_record
from nirbridge_norse.results import Results
from nirbridge_norse.setting import DTYPES, Setting
from nirbridge_norse.stages import Stage, Written, wide


class Schedule:
    """The stages of a plan with the states of some samples.

    Args:
        plan: the plan.
        stages: one a node.
        setting: device and dtype.

    Attributes:
        wide: nodes that compute in double precision whatever enters.
    """

    def __init__(self, plan: Plan, stages: Mapping[str, Stage], setting: Setting) -> None:
        self.plan = plan
        self.stages = stages
        self._setting = setting
        self._segments: dict[frozenset[str], tuple[Segment, ...]] = {}
        self._inputs = {name: _Entrance(_order_for(plan, name, stages), setting.device) for name in plan.inputs}
        self._late: dict[str, Tensor] = {}
        self.wide: frozenset[str] = frozenset()
        step = RecordedStep(self._outputs, stages.values())
        self._recorded = step if can_record(plan, setting) else None

    def again(self) -> Schedule:
        """The same for other samples."""
        found = Schedule(self.plan, {name: stage.again() for name, stage in self.stages.items()}, self._setting)
        found.wide = self.wide
        return found

    def reset(self) -> None:
        """Puts every state back to its start."""
        for stage in self.stages.values():
            stage.reset()
        self._late = {}
        if self._recorded is not None:
            self._recorded.forget()

    def states(self) -> dict[str, Array]:
        """What stages carry, and what is late, by the names of :mod:`nirbridge.runtime.states`."""
        found = {f"{name}:{key}": value for name, stage in self.stages.items() for key, value in stage.states().items()}
        found |= {f"{name}:{SENT}": self._late[name] for name in late_names(self.plan)}
        return {name: value.cpu().numpy() for name, value in found.items()}

    def restore(self, arrays: Mapping[str, Array], dtype: np.dtype[Any]) -> None:
        """Goes on from what :meth:`states` gave; ``dtype`` is that of the values between the nodes."""
        self.reset()
        tensors = {name: torch.tensor(array, device=self._setting.device) for name, array in arrays.items()}
        self._late = {name: tensors.pop(f"{name}:{SENT}").to(_TORCH[dtype]) for name in late_names(self.plan)}
        for name, own in by_node(tensors).items():
            self.stages[name].restore(own)

    def run(
        self, data: dict[str, Array], dtype: np.dtype[Any], size: int, names: tuple[str, ...], neurons: Sequence[str]
    ) -> dict[str, Array]:
        """[T, B, *shape] by input name → the values of ``names``, and under its name and ":v" each neuron's membrane.

        Args:
            data: of all inputs.
            dtype: of the values between the nodes.
            size: steps of a block.
            names: of nodes.
            neurons: of nodes with a membrane.
        """
        kept = frozenset(names)
        if kept not in self._segments:
            self._segments[kept] = make_segments(self.plan, self.stages, kept)
        for name in neurons:
            self.stages[name].membranes = []
        try:
            results = self._results(data, dtype, size, kept, recordable=not neurons)
            found = {name: _numbers(results.whole[name], dtype) for name in names}
            for name in neurons:
                found[f"{name}{MEMBRANE}"] = torch.stack(self.stages[name].membranes or []).cpu().numpy()
        finally:
            for name in neurons:
                self.stages[name].membranes = None
        return found

    def _results(
        self, data: dict[str, Array], dtype: np.dtype[Any], size: int, kept: frozenset[str], recordable: bool
    ) -> Results:
        steps = len(next(iter(data.values())))
        results = Results(steps)
        recorded = self._recorded if steps == 1 and recordable and kept == frozenset(self.plan.outputs) else None
        for t in range(0, steps, size):
            results.enter(t, min(t + size, steps))
            values = {name: self._inputs[name](array[t : t + size], dtype) for name, array in data.items()}
            if recorded is not None:
                values = recorded(values)
            else:
                self._block(values, self._segments[kept])
            for name in kept:
                results.put(name, _frames(values[name]))
        return results

    def _outputs(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """What one block sends out of the graph."""
        values = dict(inputs)
        self._block(values, self._segments[frozenset(self.plan.outputs)])
        return {name: values[name] for name in self.plan.outputs}

    def widen(self) -> None:
        """What is late goes on in double precision."""
        self._late = {name: value.double() for name, value in self._late.items()}

    def _block(self, values: dict[str, Any], segments: tuple[Segment, ...]) -> None:
        some = next(iter(values.values()))
        for segment in segments:
            if segment.plain and not self.wide:  # the last case, without its questions: one frame a call feels them
                values[segment.name] = self.stages[segment.name].run(values[segment.sources[0]], segment.overwrites)
            elif segment.loop:
                self._loop(segment.nodes, values, some)
            elif segment.sources:
                values[segment.name] = self._value(segment, [values[name] for name in segment.sources])
            for name in segment.done:
                del values[name]

    def _value(self, segment: Segment, entering: list[Any]) -> Tensor | Later:
        stage = self.stages[segment.name]
        wide = segment.name in self.wide and not (segment.waits and stage.chooses)
        incoming, *others = entering
        for other in others:
            incoming = _sum(incoming.double() if wide else incoming, other)
        if segment.waits:
            function = stage.function  # type: ignore[attr-defined]
            return Later(partial(_doubled, function) if wide else function, incoming, stage)
        if wide and isinstance(incoming, Tensor):
            incoming = incoming.double()
        return stage.run(incoming, segment.overwrites)

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
                there = [term for term in terms if term is not None]
                incoming = there[0] if there else some.new_zeros((some.shape[1], *planned.input_shape))
                for term in there[1:]:
                    incoming = _sum(incoming, term)
                stage = self.stages[planned.name]
                sent = stage.run(incoming[None], scratch=False)[0]
                # Its own next call writes to the same place, or the caller to what it gave.
                history[planned.name].append(sent.clone() if is_small(sent) or stage.view else sent)
            self._late.update({name: history[name][t] for name in inside})
        values.update({name: torch.stack(frames) for name, frames in history.items()})


def _frames(value: Any) -> Tensor:
    """What goes out of the graph."""
    return value.frames() if isinstance(value, Once) else value


def _numbers(x: Tensor, dtype: np.dtype[Any]) -> Array:
    """A result in numpy; spikes that went on in bytes as everything else."""
    found: Array = x.cpu().numpy()
    return found.astype(dtype) if x.dtype is torch.uint8 else found


def _doubled(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x.double())


def _sum(first: Tensor, second: Tensor) -> Tensor:
    """What two edges bring; bytes would wrap around."""
    return wide(first) + wide(second)


class _Entrance:
    """Where data of an input become tensors; small ones always in the same memory."""

    def __init__(self, order: Order, device: torch.device) -> None:
        self._order, self._device = order, device
        self._sent = Sent()
        self._kept: tuple[Tensor, Array] | None = None

    def __call__(self, array: Array, dtype: np.dtype[Any]) -> Tensor:
        if array.size * dtype.itemsize <= SMALL:
            place = self._sent.new(array.shape, _TORCH[dtype], self._order)
            if self._kept is None or self._kept[0] is not place:
                self._kept = place, place.numpy()
            np.copyto(self._kept[1], array, casting="unsafe")
        else:
            cast = np.ascontiguousarray(array, dtype=dtype)
            # torch warns about memory that it may not write into, and takes no negative strides, of one number either.
            as_it_is = cast.flags.writeable and min(cast.strides) > 0
            place = torch.from_numpy(cast if as_it_is else cast.copy())
        return place if self._device.type == "cpu" else place.to(self._device)


_TORCH = {np.dtype(name): dtype for name, dtype in DTYPES.items()}


def _order_for(plan: Plan, name: str, stages: Mapping[str, Stage]) -> Order:
    """Data that a convolution reads lie as it wants them."""
    found = (stages[p.name] for p in plan.nodes if any(source.name == name for source in p.sources))
    readers = [getattr(stage, "narrow", stage) for stage in found]
    last = any(reader.enters.channels_last for reader in readers if isinstance(reader, Written))
    return Order(plan[name].output_shape, last)
