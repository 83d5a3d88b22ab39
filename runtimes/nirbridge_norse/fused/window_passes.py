"""From what a window's primitive says to its compiled pass over [T, N] data, which stands in ``windows.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nirbridge.ir import spec_of
from nirbridge.machine_code import numba_is_there
from nirbridge.primitives.spec import WindowRun
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.integer_bounds import SINGLE
from nirbridge_norse.fused.layout import CHUNK, NEVER, Layout, Order, make_layout

Array = NDArray[Any]
Sweep = Callable[[Array, Array, int, int, int, int], None]
"""``sweep(data, out, first, last, enters, leaves)``, with states of its own.

From data [t, N'] of the steps ``first`` to before ``last`` of a window, and of those behind it, to ``out`` [sent, N''],
or to one row for the steps of the spikes; ``enters`` and ``leaves`` say where the first neuron stands in the rows of
both."""


class WindowPass:
    """The compiled pass of a window.

    Attributes:
        sent: steps that a window sends.
        behind: steps that it goes on behind its last frame.
    """

    sent: int
    behind = 0

    def suits(self, order: Order) -> Order:
        """The order in which to take what lies in ``order``."""
        raise NotImplementedError

    def repeats(self, order: Order) -> bool:
        """Whether its parameters are the same in all places of a map."""
        return False

    def multiplies(self, factor: torch.Tensor | None) -> bool:
        """Whether the pass can multiply what enters by this, to the same bits."""
        return False

    def bind(self, order: Order, samples: int, factor: torch.Tensor | None) -> Sweep:
        """The pass over so many samples in that order, which multiplies what enters by ``factor``."""
        raise NotImplementedError

    def whole(self, order: Order, factor: torch.Tensor | None, largest: int) -> Any:
        """What :func:`nirbridge_norse.fused.windows.decide` needs of a place, up to so large sums; None if it can't."""
        return None


class FiringPass(WindowPass):
    """The pass of neurons that integrate a window and fire, after ``wait`` steps.

    Args:
        parameters: those of the primitive's ``run``.
        phases: steps of a window.
    """

    def __init__(self, parameters: dict[str, Any], phases: int) -> None:
        self.sent, self.behind, self.spikes = phases, int(parameters["wait"]), int(parameters["spikes"])
        self._integers = "gains" in parameters
        self._states = np.dtype(np.float32 if self._integers else np.float64)
        self._base = float(parameters.get("base", 1.0))
        self._gains = np.array([gain.multiplier * 2.0**-gain.shift for gain in parameters.get("gains", ())], np.float64)
        self._start = _tensor(parameters["start"])
        self._limits = [[(least, _tensor(limit)) for least, limit in row] for row in parameters["limits"]]
        self._amounts = [_tensor(amount) for amount in parameters["amounts"]]
        self._prepared = cache(self._prepare)
        self.suits, self.repeats, self.whole = cache(self._suits), cache(self._repeats), cache(self._whole)

    def _suits(self, order: Order) -> Order:
        """Channels last where thresholds repeat with the channels."""
        last = Order(order.features, len(order.features) == 3)
        return last if last.period(self._values()) <= CHUNK < order.period(self._values()) else order

    def _repeats(self, order: Order) -> bool:
        """One for all or one for each channel, which lie last."""
        return order.period([self._start, *self._values()]) <= order.features[0]

    def multiplies(self, factor: torch.Tensor | None) -> bool:
        """Integers, whose products are exact; one for all or one for each channel."""
        return self._integers and factor is not None and factor.numel() == factor.shape[:1].numel()

    def bind(self, order: Order, samples: int, factor: torch.Tensor | None) -> Sweep:
        """The pass, with its states."""
        from nirbridge_norse.fused import windows  # and so numba, with the first run

        layout, tables = self._prepared(order, samples, factor)
        size = samples * prod(order.features)
        kept = size if self._integers and self._amounts else 0
        states = np.empty(size, self._states), np.empty(kept, self._states), np.empty(size, np.uint8)
        run = windows.integer if self._integers else partial(_with_base, windows.real, self._base)

        def sweep(data: Array, out: Array, first: int, last: int, enters: int, leaves: int) -> None:
            span = windows.Span(first, last, self.sent, self.behind, self.spikes, enters, leaves)
            once = len(out) < self.sent
            neurons = windows.Neurons(*states, out[0] if once else _NOTHING[0])
            run(data, _NOTHING if once else out, neurons, tables, span, layout.chunks)

        return sweep

    def _whole(self, order: Order, factor: torch.Tensor | None, largest: int) -> Any:
        """Of integers of one spike, that decide behind the window, by parameters that all places share."""
        late = self._integers and self.spikes == 1 and self.behind == self.sent
        if not late or not self.repeats(order) or (factor is not None and factor.numel() > 1):
            return None
        start, *limits = (order.laid_out(v)[: order.features[0]].copy() for v in (self._start, *self._values()))
        if any((later > limit).any() for limit, later in pairwise(limits)):
            return None
        from nirbridge_norse.fused import windows  # and so numba, with the first run

        gains = self._gains if factor is None else self._gains * float(factor)
        whole = np.frexp(gains)[0] * 2.0 ** (SINGLE.bit_length() - 1 - largest.bit_length())
        return windows.Whole(start, np.array(limits, np.float32), gains, bool((whole == np.rint(whole)).all()))

    def _values(self) -> list[torch.Tensor]:
        return [*(limit for row in self._limits for _, limit in row), *self._amounts]

    def _prepare(self, order: Order, samples: int, factor: torch.Tensor | None) -> tuple[Layout, Any]:
        from nirbridge_norse.fused import windows

        gains = self._gains if factor is None or factor.numel() > 1 else self._gains * float(factor)
        factors = [] if factor is None or factor.numel() == 1 else [factor.double()]
        layout = make_layout(order, samples, [*self._values(), *factors])
        if layout.period % order.period([self._start]) == 0:
            start = layout.parameters(self._start)
        else:
            start = np.tile(order.laid_out(self._start), samples)
        rows = max(len(row) for row in self._limits)
        width = layout.period * layout.repeat
        limits, least = np.zeros((self.sent, rows, width), self._states), np.full((self.sent, rows), NEVER)
        for k, row in enumerate(self._limits):
            for r, (left, limit) in enumerate(row):
                limits[k, r], least[k, r] = layout.parameters(limit), left
        amounts = np.array([layout.parameters(amount) for amount in self._amounts], self._states).reshape(-1, width)
        multiplied = layout.parameters(*factors) if factors else np.empty(0)
        return layout, windows.Tables(start, limits, least, amounts, gains, multiplied)


_NOTHING = np.empty((1, 0), np.uint8)


def _with_base(run: Any, base: float, data: Array, out: Array, neurons: Any, *rest: Any) -> None:
    run(data, out, neurons, base, *rest)


def _tensor(value: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(value, dtype=np.float64))


class DigitPass(WindowPass):
    """The pass of a code: which of the values of all phases are taken off what is left of a number.

    It reads no sums.

    Args:
        parameters: those of the primitive's ``run``.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.sent = len(parameters["values"])
        self._integers = "fraction" in parameters
        self._values = [_tensor(value) for value in parameters["values"]]
        self._scale = _tensor(2.0 ** parameters["fraction"] if self._integers else parameters["scale"])
        self._prepared = cache(self._prepare)

    def suits(self, order: Order) -> Order:
        """Channels last, as convolutions want the many frames that it sends."""
        return Order(order.features, len(order.features) == 3)

    def bind(self, order: Order, samples: int, factor: torch.Tensor | None) -> Sweep:
        """The pass; it has no state behind a window."""
        from nirbridge_norse.fused import windows  # and so numba, with the first run

        layout, scale, values = self._prepared(order, samples)

        def sweep(data: Array, out: Array, first: int, last: int, enters: int, leaves: int) -> None:
            windows.digits(data[0], out, (scale, values), self._integers, (enters, leaves), layout.chunks)

        return sweep

    def _prepare(self, order: Order, samples: int) -> tuple[Layout, Array, Array]:
        layout = make_layout(order, samples, [self._scale, *self._values])
        return layout, layout.parameters(self._scale), np.array([layout.parameters(value) for value in self._values])


def fires_once(planned: PlannedNode) -> bool:
    """Whether there is a pass for a node's window, and one spike at most in it, of steps that a byte holds."""
    window = spec_of(planned.node).window
    run = window and window.real
    firing = run and run.by_hand == FIRES and numba_is_there() and planned.window < NEVER
    return bool(firing and run and run.parameters(planned.node)["spikes"] == 1)


FIRES = "integrate, wait and fire"


def find_window_pass(run: WindowRun, node: Any, phases: int) -> WindowPass | None:
    """The pass of a window of ``phases`` steps; None for one that has none here."""
    if not numba_is_there() or run.by_hand not in ("digits", FIRES):
        return None
    parameters = run.parameters(node)
    if run.by_hand == "digits":
        return DigitPass(parameters)
    return FiringPass(parameters, phases) if parameters["spikes"] < NEVER else None
