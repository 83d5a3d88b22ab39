"""What all pools share: their windows, and the nodes that have those."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from nirbridge.exporting.arrays import each
from nirbridge.exporting.call import Call
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal
from nirbridge.exporting.windows import pad_places
from nirbridge.ir import Place, Shape

Pool = Callable[..., nir.NIRNode]


def pool_windows(
    input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool
) -> tuple[Signal, Shape, Shape, Shape, Shape]:
    """A signal of pictures and the windows over it: their size, step and padding, and how far the last hangs over."""
    signal = require_signal(input)
    require_batch(signal, (3,), "[N, C, H, W]")
    kernel, step, edge = (each(value, 2) for value in (kernel_size, stride_of(stride, kernel_size), padding))
    return signal, kernel, step, edge, _overhang(signal, kernel, step, edge) if ceil_mode else (0, 0)


def stride_of(stride: Any, kernel_size: Any) -> Any:
    """The given stride, or the kernel's size."""
    return kernel_size if stride is None or stride == () or stride == [] else stride


def _overhang(signal: Signal, kernel: Shape, stride: Shape, padding: Shape) -> Shape:
    """How far the last window of ceil_mode hangs over the padded edge; one that begins behind it does not count."""
    over = []
    for size, k, step, p in zip(signal.shape[1:], kernel, stride, padding, strict=True):
        last = -(-(size + 2 * p - k) // step)
        last -= last * step >= size + p
        over.append(max(0, last * step + k - size - 2 * p))
    return tuple(over)


def adaptive(call: Call, input: Any, output_size: Any, kind: Pool) -> tuple[Signal, Shape, Signal | None]:
    """The signal, the size that is wanted, and what one node makes of it.

    That is the signal itself, copies of single places, or pools where all windows are alike; else None.
    """
    signal = require_signal(input)
    require_batch(signal, (3,), "[N, C, H, W]")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    channels, height, width = signal.shape
    goal = (height if wanted[0] is None else int(wanted[0]), width if wanted[-1] is None else int(wanted[-1]))
    if min(goal) < 1:
        raise RefusalError(f"has output size {goal}", "Give sizes from 1")
    if goal == (height, width):
        return signal, goal, signal
    if height in (1, goal[0]) and width in (1, goal[1]):  # as VGG-16 does with pictures of 32 x 32
        return signal, goal, call.emit(Place(signal.shape, (channels, *goal), 0, channels), signal)
    rows, columns = _even_windows(height, goal[0]), _even_windows(width, goal[1])
    if rows is None or columns is None:
        return signal, goal, None
    kernel, step = zip(rows, columns, strict=True)
    return signal, goal, call.emit(pool_node(kind, kernel, step, (0, 0)), signal)


def _even_windows(size: int, goal: int) -> tuple[int, int] | None:
    """(kernel, stride) of adaptive windows along an axis; None where they differ in size or distance."""
    starts = [i * size // goal for i in range(goal)]
    kernels = {-(-(i + 1) * size // goal) - start for i, start in enumerate(starts)}
    steps = {behind - start for start, behind in pairwise(starts)} or {size}
    return (kernels.pop(), steps.pop()) if len(kernels) == len(steps) == 1 and 0 not in steps else None


def padded(call: Call, signal: Signal, over: Shape) -> Signal:
    """Zeros below and to the right."""
    return pad_places(call, signal, [(0, n) for n in over], "edge") if any(over) else signal


def pool_node(kind: Pool, kernel: Shape, stride: Shape, padding: Shape) -> nir.NIRNode:
    """A pool of this kind."""
    return kind(*(np.array(sizes, dtype=np.int64) for sizes in (kernel, stride, padding)))
