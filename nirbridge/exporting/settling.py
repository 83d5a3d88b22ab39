"""Values that only changed their places, and the nodes that move them when a layer takes them.

Code such as ``x.view(b, 2, c, h, w).transpose(1, 2).reshape(b, 2 * c, h, w)`` passes shapes that no node makes, on its
way to one that a node does make.  So a :class:`Moved` signal only notes which value of the tensor before goes where;
:func:`nodes_for` finds nodes for the whole way:

1. None, where everything is in its place; Flatten, where axes only merge.
2. One convolution with a single 1 for each output channel: channels taken, repeated or permuted, places by a step.
3. Axis by axis: places repeated (Place where there is one), taken or turned round.
4. Flatten and a matrix of 0 and 1, where the result has one axis.
5. 2 or 3 for a tensor of fewer axes, and Flatten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import gcd, prod
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.exporting.along import along, convolution, merges, selection
from nirbridge.exporting.signal import LeadingAxes, Signal
from nirbridge.ir import Place, Shape

Places = NDArray[np.int64]
_LARGEST_MATRIX = 2**24
"""Weights of a matrix of 0 and 1."""


@dataclass(frozen=True, eq=False)
class Moved(Signal):
    """Values of another signal in other places; handlers of layers never see one.

    Attributes:
        base: the signal that the values come from.
        places: for each value the index in the flat features of ``base``; its shape is that of the features.
        name: what the nodes are called.
        what: what the code did, for the error.
    """

    base: Signal
    places: Places
    name: str
    what: str

    def over(self, leading: LeadingAxes) -> Signal:
        """The same values with other leading axes."""
        return replace(self, leading=leading, base=self.base.over(leading))


def moved(signal: Signal, places: Places, name: str, what: str) -> Moved:
    """``places`` of ``signal``; of what that comes from, where it is moved itself."""
    base = signal
    if isinstance(signal, Moved):
        base, places = signal.base, signal.places.ravel()[places]
    return Moved(base.sources, places.shape, signal.leading, base, places, name, what)


def nodes_for(shape: Shape, places: Places, dtype: Any) -> list[nir.NIRNode] | None:
    """Nodes that take features of ``shape`` to their flat ``places``, one behind the other; None where none do."""
    if places.size == prod(shape) and (places.ravel() == np.arange(places.size)).all():
        return merges(shape, places.shape)
    if not places.size:
        return None
    if len(places.shape) == len(shape):
        for form in (_taken, _by_axes):
            found = form(shape, places, dtype)
            if found is not None:
                return found
    if places.ndim == 1 and places.size * prod(shape) <= _LARGEST_MATRIX:
        flat = merges(shape, (prod(shape),))
        return None if flat is None else [*flat, nir.Linear(selection(places, prod(shape), dtype))]
    for units in combinations(range(len(shape)), max(len(shape) - len(places.shape), 0)):
        if units:
            wide = tuple(np.expand_dims(places, units).shape)
            found = nodes_for(shape, places.reshape(wide), dtype)
            flat = merges(wide, places.shape)
            if found is not None and flat is not None:
                return [*found, *flat]
    return None


def _taken(shape: Shape, places: Places, dtype: Any) -> list[nir.NIRNode] | None:
    """One convolution with a single 1 for each output channel."""
    if len(shape) not in (2, 3):
        return None
    channel, *coordinates = np.unravel_index(places, shape)
    firsts = channel.reshape(len(channel), -1)[:, 0]
    if (channel != firsts.reshape(-1, *(1,) * (len(shape) - 1))).any():
        return None
    found = (_window(coordinate, axis, shape[axis]) for axis, coordinate in enumerate(coordinates, 1))
    windows = [window for window in found if window is not None]
    if len(windows) < len(coordinates):
        return None
    offsets, sizes, steps = zip(*windows, strict=True)
    groups = _groups(firsts, shape[0])
    inner, outer = shape[0] // groups, len(firsts) // groups
    kernel = np.zeros((len(firsts), inner, *sizes), dtype)
    numbers = np.arange(len(firsts))
    ones = (numbers, firsts - numbers // outer * inner, *offsets)
    kernel[ones] = 1
    return [convolution(shape[1:], kernel, steps, groups=groups)]


def _window(coordinate: Places, axis: int, size: int) -> tuple[Places, int, int] | None:
    """(offset of each channel, kernel, step) with coordinate = offset + step i along ``axis``; None if it is not."""
    along_axis = np.moveaxis(coordinate, axis, 1)
    values = along_axis.reshape(*along_axis.shape[:2], -1)
    count = values.shape[1]
    if (values != values[:, :, :1]).any():
        return None
    lines = values[:, :, 0]
    step = int(lines[0, 1] - lines[0, 0]) if count > 1 else size
    if step < 1 or (lines != lines[:, :1] + step * np.arange(count)).any():
        return None
    offsets = lines[:, 0]
    needed = int(offsets.max()) + 1
    kernel = needed if (size - needed) // step + 1 == count else size - step * (count - 1)
    return (offsets, kernel, step) if kernel >= needed else None


def _groups(firsts: Places, channels: int) -> int:
    """The most groups in which each block of outputs takes its channels from one block of inputs."""
    common = gcd(channels, len(firsts))
    for groups in range(common, 0, -1):
        if common % groups == 0:
            own = np.arange(len(firsts)) // (len(firsts) // groups)
            if (firsts // (channels // groups) == own).all():
                return groups
    return 1


def _by_axes(shape: Shape, places: Places, dtype: Any) -> list[nir.NIRNode] | None:
    """Each axis of the result from the same axis of the features, whatever the others are."""
    lines: list[Places] = []
    for axis, coordinate in enumerate(np.unravel_index(places, shape)):
        line = np.moveaxis(coordinate, axis, 0).reshape(places.shape[axis], -1)[:, 0]
        if (np.moveaxis(coordinate, axis, -1) != line).any():
            return None
        lines.append(line)
    repeated = tuple(len(line) if size == 1 else size for line, size in zip(lines, shape, strict=True))
    nodes: list[nir.NIRNode] = []
    if repeated != shape:
        nodes.append(Place(shape, repeated, 0, repeated[0]))
    now = repeated
    for axis, line in enumerate(lines):
        if shape[axis] != 1 and not np.array_equal(line, np.arange(now[axis])):
            nodes += _along_line(now, axis, line, dtype)
            now = (*now[:axis], len(line), *now[axis + 1 :])
    return nodes


def _along_line(shape: Shape, axis: int, line: Places, dtype: Any) -> Sequence[nir.NIRNode]:
    index = np.arange(prod(shape)).reshape(shape).take(line, axis)
    return _taken(shape, index, dtype) or along(shape, axis, selection(line, shape[axis], dtype))
