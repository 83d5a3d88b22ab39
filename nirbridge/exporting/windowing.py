"""What all pools share: their windows, and the nodes that have those."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from nirbridge.exporting.call import Call
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal
from nirbridge.exporting.windows import pad_places
from nirbridge.ir import Place, Shape

Pair = tuple[int, int]
Pool = Callable[..., nir.NIRNode]


def adaptive(input: Any, output_size: Any) -> tuple[Signal, Pair, tuple[Pair, Pair] | None]:
    """The signal, the size that is wanted, and (kernel, stride) where all windows are alike."""
    signal = require_signal(input)
    require_batch(signal, (3,), "[N, C, H, W]")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    _, height, width = signal.shape
    goal = (height if wanted[0] is None else int(wanted[0]), width if wanted[-1] is None else int(wanted[-1]))
    if min(goal) < 1:
        raise RefusalError(f"has output size {goal}", "Give sizes from 1")
    rows, columns = even_windows(height, goal[0]), even_windows(width, goal[1])
    even = None if rows is None or columns is None else ((rows[0], columns[0]), (rows[1], columns[1]))
    return signal, goal, even


def even_windows(size: int, goal: int) -> Pair | None:
    """(kernel, stride) of adaptive windows along an axis; None where they differ in size or distance."""
    starts = [i * size // goal for i in range(goal)]
    kernels = {-(-(i + 1) * size // goal) - start for i, start in enumerate(starts)}
    steps = {behind - start for start, behind in pairwise(starts)} or {size}
    return (kernels.pop(), steps.pop()) if len(kernels) == len(steps) == 1 and 0 not in steps else None


def stride_of(stride: Any, kernel_size: Any, numbers: Callable[[Any], Any]) -> Any:
    """The given stride, or the kernel's size, as ``numbers`` reads it."""
    return numbers(kernel_size if stride is None or stride == () or stride == [] else stride)


def overhang(signal: Signal, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """How far the last window of ceil_mode hangs over the padded edge; one that begins behind it does not count."""
    over = []
    for size, k, step, p in zip(signal.shape[1:], kernel, stride, padding, strict=True):
        last = -(-(size + 2 * p - k) // step)
        last -= last * step >= size + p
        over.append(max(0, last * step + k - size - 2 * p))
    return over[0], over[1]


def padded(call: Call, signal: Signal, over: Pair) -> Signal:
    """Zeros below and to the right."""
    return pad_places(call, signal, [(0, n) for n in over], "edge") if any(over) else signal


def copies(shape: Shape, goal: Pair) -> Place | None:
    """One place to many along each axis that changes, as VGG-16 does with pictures of 32 x 32; None for more places."""
    channels, *sizes = shape
    several = any(size not in (1, want) for size, want in zip(sizes, goal, strict=True))
    return None if several else Place(shape, (channels, *goal), 0, channels)


def pool_node(kind: Pool, kernel: Pair, stride: Pair, padding: Pair) -> nir.NIRNode:
    """A pool of this kind."""
    return kind(
        kernel_size=np.array(kernel, dtype=np.int64),
        stride=np.array(stride, dtype=np.int64),
        padding=np.array(padding, dtype=np.int64),
    )
