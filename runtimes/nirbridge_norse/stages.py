"""The ways a node can live in time; each takes all steps at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.ir import delay_steps
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.states import LINE
from nirbridge_norse.fused.layout import Order, order_of
from nirbridge_norse.memory import SMALL, Bound, Sent, memory_of, memory_to_fill
from nirbridge_norse.neurons.fused_snn import Pass
from nirbridge_norse.setting import Setting

Array = NDArray[Any]


class Stage:
    """A lowered node.

    Attributes:
        view: whether its output may share memory with its input.
        library: whether torch forms sums of products for it.
        membranes: where a list, a neuron adds its membrane [B, *shape] after each step to it.
        steps: of the windows of which it takes the steps of spikes, and computes some rows in all steps; else 0.
        waits: whether it is ``function`` of frames alone, which a reader may call for a few of them (:class:`Later`).
        factor: where that function is nothing but a product with it.
        chooses: whether that function takes single precision where its own sums may leave it.
        pulls: whether it takes what waits.
        reads_bytes: whether it takes whole numbers in bytes.
        hands_bytes: whether it sends bytes on then.
    """

    view = False
    library = False
    membranes: list[Tensor] | None = None
    steps = 0
    waits = False
    factor: Tensor | None = None
    chooses = False
    pulls = False
    reads_bytes = False
    hands_bytes = False

    def run(self, x: Any, scratch: bool) -> Any:
        """[T, B, *in] → [T', B, *out] for the next T steps; with ``scratch`` ``x`` may be overwritten."""
        raise NotImplementedError

    def again(self) -> Stage:
        """The same node with a state and memory of its own, for other samples; parameters are shared."""
        return self

    def reset(self) -> None:
        """Puts the state back to its start, where there is one."""

    def states(self) -> dict[str, Tensor]:
        """What it carries, by the names of :mod:`nirbridge.runtime.states`; once it has run, or been given them."""
        return {}

    def restore(self, states: dict[str, Tensor]) -> None:
        """Goes on from these, which are its own from here on."""


def wide(x: Tensor) -> Tensor:
    """Whole numbers in bytes as floating point, in which they can be added; anything else as it is."""
    return x.float() if x.dtype is torch.uint8 else x


def view(planned: PlannedNode, setting: Setting) -> Stage:
    """What hands values on in the shape of the node."""
    return View(planned.output_shape)


class View(Stage):
    """The same numbers in another shape, and in the same memory unless channels lie last there."""

    view = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._sent = Sent()
        self._kept: Bound | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All steps at once."""
        if x.shape[2:] == self.shape:
            return x
        bound = self._kept
        if bound is None or bound.x is not x:
            bound = self._bound(x, scratch)
            self._kept = bound.again()
        bound.run()
        return bound.y

    def _bound(self, x: Tensor, scratch: bool) -> Bound:
        shape = (*x.shape[:2], *self.shape)
        if x.is_contiguous():
            return Bound(x, scratch, _nothing, x.view(shape))
        straight = self._sent.new(x.shape, x.dtype, Order(tuple(x.shape[2:]))) if x.device.type == "cpu" else x.clone()
        return Bound(x, scratch, partial(straight.copy_, x), straight.view(shape))

    def again(self) -> Stage:
        """Another one."""
        return View(self.shape)


def _nothing() -> None:
    pass


class Stateless(Stage):
    """A node whose output at a step depends on that step alone; the function takes [N, *in].

    Args:
        function: of frames.
        reads_bytes: whether these may be spikes in bytes.
        hands_bytes: whether it then sends bytes too.
        factor: where the function is nothing but a product with it.
    """

    library = True
    waits = True

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        reads_bytes: bool = False,
        hands_bytes: bool = False,
        factor: Tensor | None = None,
    ) -> None:
        self.function, self.factor = function, factor
        self.reads_bytes, self.hands_bytes = reads_bytes, hands_bytes

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """Folds time into the batch, one call for all steps, and unfolds it again."""
        frames = x.flatten(0, 1)
        if x.dtype is torch.uint8 and frames.nbytes > SMALL and not self.hands_bytes:
            return self._few_at_a_time(frames).unflatten(0, x.shape[:2])
        return self.function(frames).unflatten(0, x.shape[:2])

    def _few_at_a_time(self, frames: Tensor) -> Tensor:
        """The same where bytes are widened before: what they become need not leave the cache."""
        count = max(1, SMALL // frames[0].numel() // 4)
        y = None
        for first in range(0, len(frames), count):
            part = self.function(frames[first : first + count])
            if y is None:
                order = order_of(part[None])
                y = order.new((len(frames), *part.shape[1:]), part.dtype)
            y[first : first + count] = part
        assert y is not None
        return y


class Written(Stage):
    """The same where the work goes from memory to memory, [N, *in] → [N, *out], both dense in their orders.

    Args:
        function: of both memories; gives what runs from one to the other.
        enters, leaves: orders of input and output.
        sends: dtype of the output; by default that of the input.
    """

    def __init__(
        self,
        function: Callable[[Array, Array], Callable[[], None]],
        enters: Order,
        leaves: Order,
        sends: torch.dtype | None = None,
    ) -> None:
        self.function, self.sends = function, sends
        self.reads_bytes = sends is not None
        self.enters, self.leaves = enters, leaves
        self._sent = Sent()
        self._kept: Bound | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All frames of all steps in one call."""
        bound = self._kept
        if bound is None or bound.x is not x:
            steps, batch = x.shape[:2]
            y = self._sent.new((steps, batch, *self.leaves.features), self.sends or x.dtype, self.leaves)
            (data, own), out = memory_of(x, self.enters), memory_to_fill(y, self.leaves)
            frames = (array.reshape(steps * batch, *array.shape[2:]) for array in (data, out))
            bound = Bound(x, scratch, self.function(*frames), y)
            self._kept = bound.again() if own else None
        bound.run()
        return bound.y

    def again(self) -> Stage:
        """Another one."""
        return Written(self.function, self.enters, self.leaves, self.sends)


class Module(Protocol):
    """A neuron over time, see :class:`~nirbridge_norse.neurons.fused_snn.FusedSNN`.

    Attributes:
        start: what the states are at the start.
    """

    start: tuple[Tensor, ...]

    def __call__(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """All steps one by one: the output and the state after."""
        ...

    def state_fallback(self, frame: Tensor) -> Any:
        """The fresh state, a named tuple of tensors like ``frame``; the first is the membrane, or ``v`` is."""
        ...

    def can_fuse(self, x: Tensor) -> bool:
        """Whether there is a compiled pass for ``x``."""
        ...

    def bind(self, state: Any, order: Order) -> Pass:
        """The pass over ``state``."""
        ...


class Neuron(Stage):
    """A Norse module with its state.

    Args:
        module: the neuron.
        sends: dtype of what it sends; by default that of what enters.
    """

    def __init__(self, module: Module, sends: torch.dtype | None = None) -> None:
        self.module = module
        self.sends = sends
        self.state: Any = None
        self.membranes: list[Tensor] | None = None
        self._entering: tuple[torch.Size, torch.dtype] | None = None
        self._goes_on = False
        self._restored: dict[str, Tensor] | None = None
        self._order = Order(())
        self._pass: Pass | None = None
        self._sent = Sent()
        self._kept: Bound | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """In place where that is allowed and the compiled pass applies; step by step where membranes are kept."""
        bound = self._kept
        if bound is not None and bound.x is x and bound.scratch is scratch and self._goes_on and self.membranes is None:
            bound.run()
            return bound.y
        x = wide(x)
        if not self._goes_on or (x.shape[1:], x.dtype) != self._entering:
            self._start(x)
        if self.membranes is None:
            return self._run(x, scratch)
        outputs = []
        for t in range(len(x)):
            outputs.append(self._run(x[t : t + 1], scratch=False).clone())
            self.membranes.append(self.state.v.clone())
        return torch.cat(outputs)

    def _run(self, x: Tensor, scratch: bool) -> Tensor:
        if self._pass is None:
            y, self.state = self.module(x, self.state)
            return y if self.sends is None else y.to(self.sends)
        steps, dtype = len(x), self.sends or x.dtype
        data, own = memory_of(x, self._order)
        if scratch and own and dtype is x.dtype:
            y, out = x, data
        else:
            y = self._sent.new(x.shape, dtype, self._order)
            out = memory_to_fill(y, self._order)
        bound = Bound(x, scratch, self._pass(data.reshape(steps, -1), out.reshape(steps, -1)), y)
        self._kept = bound.again() if own else None
        bound.run()
        return y

    def _start(self, x: Tensor) -> None:
        """The fresh state; or the last one, to go on with data of another dtype."""
        if self._entering == (x.shape[1:], x.dtype) and self._pass is not None:
            for state, value in zip(self.state, self.module.start, strict=True):
                state.copy_(value.expand_as(state) if len(state) else state)
        else:
            start, order = self.module.state_fallback(x[0]), order_of(x)
            before = self.states() if self._goes_on else {}
            self.state = type(start)(
                *(order.dense(before.get(name, new).to(new.dtype)) for name, new in start._asdict().items())
            )
            self._restored = None
            self._pass = self.module.bind(self.state, order) if self.module.can_fuse(x) else None
            self._entering, self._order, self._kept = (x.shape[1:], x.dtype), order, None
        self._goes_on = True

    def states(self) -> dict[str, Tensor]:
        """Those of the primitive; the current of a neuron without a synapse is empty, and none."""
        if self._restored is not None:
            return self._restored
        return {name: value for name, value in self.state._asdict().items() if len(value)}

    def restore(self, states: dict[str, Tensor]) -> None:
        """They take their dtype and their place in memory with the next data."""
        self._restored, self._goes_on, self._entering, self._kept = states, True, None, None

    def send(self, dtype: torch.dtype | None) -> None:
        """Changes the dtype of what it sends from the next call on."""
        if self.sends is not dtype:
            self.sends, self._kept = dtype, None

    def again(self) -> Stage:
        """Another one."""
        return Neuron(self.module, self.sends)

    def reset(self) -> None:
        """The next run starts from the fresh state."""
        self._goes_on, self._restored = False, None


def delay_line(planned: PlannedNode, setting: Setting) -> Stage:
    """A delay in whole steps."""
    steps = np.broadcast_to(delay_steps(planned.node.delay, setting.dt), planned.output_shape)
    return DelayLine(torch.tensor(steps, device=setting.device))


class DelayLine(Stage):
    """y(t) = x(t - delay), each feature with its own delay in whole steps, 0 before the first input."""

    def __init__(self, delays: Tensor) -> None:
        self.delays = delays
        self.longest = int(delays.max())
        # Each delay with the features that have it; one delay for all needs no list of features.
        different, flat = [int(d) for d in delays.unique()], delays.flatten()
        self.places = [(d, None if len(different) == 1 else (flat == d).nonzero().flatten()) for d in different]
        self.past: Tensor | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """Shifts each group of features by its delay."""
        if self.past is None:
            self.past = x.new_zeros(self.longest, *x.shape[1:])
        line = torch.cat([self.past.to(x.dtype), x])
        # A copy: a slice would keep the whole line alive.
        self.past = line[len(x) :].clone()
        first, _ = self.places[0]
        if self.places[0][1] is None:
            return line[self.longest - first :][: len(x)]
        y, flat = torch.empty_like(x).flatten(2), line.flatten(2)
        for delay, places in self.places:
            start = self.longest - delay
            y[:, :, places] = flat[start : start + len(x), :, places]
        return y.view_as(x)

    def states(self) -> dict[str, Tensor]:
        """The last value first."""
        return {} if self.past is None else {LINE: self.past.flip(0)}

    def restore(self, states: dict[str, Tensor]) -> None:
        """The line as it was."""
        self.past = states[LINE].flip(0)

    def again(self) -> Stage:
        """Another line."""
        return DelayLine(self.delays)

    def reset(self) -> None:
        """Empties the line."""
        self.past = None
