"""Pools over windows of a plane: on the CPU compiled, channels last in memory, elsewhere torch's; the same bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from nirbridge.machine_code import numba_is_there
from nirbridge.primitives.pooling import spans
from nirbridge.runtime import PlannedNode
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage, Stateless, Written


def sum_pool(planned: PlannedNode, setting: Setting) -> Stage:
    """The sum of each window; padding counts as 0."""
    return _compiled(planned, setting) or _sums(planned, 1)


def mean_pool(planned: PlannedNode, setting: Setting) -> Stage:
    """The sum of each window over all of its places; padding counts as 0."""
    places = _places(planned)
    return _compiled(planned, setting, places) or _sums(planned, places)


def integer_mean_pool(planned: PlannedNode, setting: Setting) -> Stage:
    """The mean of whole numbers, rounded toward zero.

    A quotient of exact whole numbers that is rounded to nearest never reaches the next whole number.
    """
    places = _places(planned)
    return _compiled(planned, setting, places, whole=True) or _sums(planned, places, whole=True)


def max_pool(planned: PlannedNode, setting: Setting) -> Stage:
    """The largest value of each window; padding never wins."""
    kernel, stride, padding = spans(planned.node)
    return _compiled(planned, setting, largest=True) or Stateless(
        lambda x: functional.max_pool2d(x, kernel, stride, padding)
    )


def _places(planned: PlannedNode) -> int:
    return prod(spans(planned.node)[0])


def _compiled(
    planned: PlannedNode, setting: Setting, places: int = 1, whole: bool = False, largest: bool = False
) -> Stage | None:
    if setting.device.type != "cpu" or not numba_is_there():
        return None
    window = spans(planned.node)

    def mean(pool: Callable[[], None], y: Any) -> None:
        pool()
        if y.dtype.kind == "u":
            y //= y.dtype.type(places)
            return
        np.divide(y, places, out=y)
        if whole:
            np.trunc(y, out=y)

    def bound(x: Any, y: Any) -> Any:
        from nirbridge_norse.fused import synapses  # and so numba, with the first run

        pool = partial(synapses.pool, x, y, *window, largest)
        return pool if places == 1 else partial(mean, pool, y)

    return Written(bound, Order(planned.input_shape, True), Order(planned.output_shape, True))


def _sums(planned: PlannedNode, places: int, whole: bool = False) -> Stage:
    kernel, stride, padding = spans(planned.node)
    sides = (padding[1], padding[1], padding[0], padding[0])

    def function(x: Tensor) -> Tensor:
        # torch's own padding stops at half of the kernel.
        x = functional.pad(x, sides) if any(sides) else x
        y = functional.avg_pool2d(x, kernel, stride, divisor_override=places)
        return y.trunc_() if whole else y

    return Stateless(function)
