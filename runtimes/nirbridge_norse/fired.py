"""Windows by a compiled pass on the CPU: frames are read once, and spikes written once in the dtype that is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from nirbridge_norse.fused.layout import Order, order_of
from nirbridge_norse.fused.window_passes import Sweep, WindowPass
from nirbridge_norse.later import Later
from nirbridge_norse.memory import Bound, Sent, memory_of, memory_to_fill
from nirbridge_norse.once import Gather, Once
from nirbridge_norse.stages import Stage
from nirbridge_norse.windowed import Kept, WindowedNeuron

TOGETHER = 2**19
"""Values that are computed at a time for a pass: 2 MB of single precision, much of which a second-level cache holds."""


class FiredWindow(WindowedNeuron):
    """A node that fires within its window, with no state between them.

    Args:
        window: steps of one.
        features: shape of a frame.
        function: the same in torch, which also gives the membranes where they are recorded.
        firing: the pass.
        sends: dtype of what it sends; by default that of what enters.

    Attributes:
        once: whether it sends the steps of its spikes.
    """

    pulls = True
    library = False

    def __init__(
        self,
        window: int,
        features: tuple[int, ...],
        function: Callable[[Tensor, Kept], Tensor],
        firing: WindowPass,
        sends: torch.dtype | None = None,
    ) -> None:
        super().__init__(window, function, sends)
        self.features, self.firing = features, firing
        self.once = False
        self._sent = Sent()
        self._kept: Bound | None = None

    def run(self, x: Tensor | Later, scratch: bool) -> Any:
        """Windows one by one, and few frames at a time of what is not computed yet, or few rows in all steps."""
        if self.membranes is not None:
            y = super().run(x.whole() if isinstance(x, Later) else x, scratch)
            return Once.of(y, self.window) if self.once else y
        y = self._run(x, scratch)
        return Once(y, self.window) if self.once else y

    def _run(self, x: Tensor | Later, scratch: bool) -> Tensor:
        if isinstance(x, Later):
            return self._pulled(x) if x.once is None else self._by_rows(x)
        bound = self._kept
        if bound is None or bound.x is not x:
            bound = self._bound(x, scratch)
        bound.run()
        return bound.y

    def _bound(self, x: Tensor, scratch: bool) -> Bound:
        order = self.firing.suits(order_of(x))
        data, own = memory_of(x, order)
        steps, sent, size = self.window, self.sent, prod(order.features)
        y, out = self._new(len(x) // steps * sent, x.shape[1], x.dtype, order)
        rows = data.reshape(len(x), -1)
        calls = []
        for first, _, sweep in self._groups(order, x.shape[1], TOGETHER // (steps * size)):
            for w in range(len(x) // steps):
                frames, spikes = rows[w * steps : (w + 1) * steps], out[w * sent : (w + 1) * sent]
                calls.append(partial(sweep, frames, spikes, 0, steps + self.firing.behind, first * size, first * size))

        def run() -> None:
            for call in calls:
                call()

        bound = Bound(x, scratch, run, y)
        self._kept = bound.again() if own else None
        return bound

    def _pulled(self, x: Later) -> Tensor:
        (total, batch), steps, sent, behind = x.extent, self.window, self.sent, self.firing.behind
        x, factor = self._without_factor(x)
        size = prod(self.features)
        parts = _parts(steps, _even(steps, TOGETHER // size))
        frames = x.take(slice(*parts[0]), slice(0, 1))
        order, first_frames = self.firing.suits(order_of(frames)), frames if batch == 1 else None
        y, out = self._new(total // steps * sent, batch, frames.dtype, order)
        for begin, end, sweep in self._groups(order, batch, TOGETHER // (size * parts[0][1]), factor):
            for w in range(total // steps):
                spikes = out[w * sent : (w + 1) * sent]
                for t, last in parts:
                    if first_frames is None or w or t:
                        frames = x.take(slice(w * steps + t, w * steps + last), slice(begin, end))
                    rows = memory_of(frames, order)[0].reshape(last - t, -1)
                    sweep(rows, spikes, t, last + behind if last == steps else last, 0, begin * size)
        return y

    def _by_rows(self, x: Later) -> Tensor:
        """From a convolution of spikes' steps: as many rows of a map as fit, in all steps of a window."""
        (total, batch), steps, sent = x.extent, self.window, self.sent
        x, factor = self._without_factor(x)
        order = self.firing.suits(Order(self.features, True))
        if self.once and type(x.stage) is Gather and isinstance(x.source, Once):
            y, out = self._new(total // steps, batch, torch.uint8, order)
            gather, windows = x.stage, zip(x.source.step, out, strict=True)
            if all(gather.decide(step, self.firing, factor, sent) for step, sent in windows):
                return y
        channels, height, width = self.features
        row = steps * channels * width
        samples = _parts(batch, max(1, min(batch, TOGETHER // (row * height))))
        parts = _parts(height, _even(height, TOGETHER // row) if self.firing.repeats(order) else height)
        sweeps: dict[tuple[int, int], Sweep] = {}
        y = None
        for w, (begin, end), (first, last) in product(range(total // steps), samples, parts):
            sums = x.rows(w, slice(begin, end), first, last)
            if y is None:
                y, out = self._new(total // steps * sent, batch, sums.dtype, order)
            tile = end - begin, last - first
            if tile not in sweeps:
                sweeps[tile] = self.firing.bind(Order((channels, tile[1], width), True), tile[0], factor)
            rows, spikes = order.seen(sums).reshape(steps, -1), out[w * sent : (w + 1) * sent]
            sweeps[tile](rows, spikes, 0, steps + self.firing.behind, 0, (begin * height + first) * width * channels)
        assert y is not None
        return y

    def _without_factor(self, x: Later) -> tuple[Later, Tensor | None]:
        """What enters, and the factor on it that the pass itself multiplies by."""
        if isinstance(x.source, Later) and self.firing.multiplies(x.stage.factor):
            return x.source, x.stage.factor
        return x, None

    @property
    def sent(self) -> int:
        """Rows of memory that a window sends."""
        return 1 if self.once else self.firing.sent

    def _groups(
        self, order: Order, batch: int, most: int, factor: Tensor | None = None
    ) -> Iterator[tuple[int, int, Sweep]]:
        """The samples in groups of ``most``, with the pass of each; all whole groups have the same."""
        sweeps = {}
        for first, last in _parts(batch, max(1, min(batch, most))):
            if last - first not in sweeps:
                sweeps[last - first] = self.firing.bind(order, last - first, factor)
            yield first, last, sweeps[last - first]

    def _new(self, steps: int, batch: int, entering: torch.dtype, order: Order) -> tuple[Tensor, Any]:
        dtype = torch.uint8 if self.once else self.sends or entering
        y = self._sent.new((steps, batch, *order.features), dtype, order)
        return y, memory_to_fill(y, order).reshape(steps, -1)

    def send(self, dtype: torch.dtype | None) -> None:
        """Changes the dtype of what it sends from the next call on."""
        if self.sends is not dtype:
            self.sends, self._kept = dtype, None

    def again(self) -> Stage:
        """Another one."""
        found = FiredWindow(self.window, self.features, self.function, self.firing, self.sends)
        found.once = self.once
        return found


def _even(count: int, most: int) -> int:
    """The size of the fewest parts of at most so many, all but the last of the same size."""
    return -(-count // -(-count // max(1, min(count, most))))


def _parts(count: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, count)) for first in range(0, count, size)]
