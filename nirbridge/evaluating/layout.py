"""Which axes of an array are samples and steps, told by its shape, the graph's input and the number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nirbridge.errors import InputError
from nirbridge.reports import shape_text

Shape = tuple[int, ...]
ORDERS = ("nt", "tn")


@dataclass(frozen=True)
class Layout:
    """How an array holds samples.

    Attributes:
        samples: N.
        axis: of the samples, 0 or 1.
        steps: T; None for still images.
        shape: of one frame, as the graph takes it.
        notes: what was taken where the shape leaves it open, or differs from the graph's.
    """

    samples: int
    axis: int
    steps: int | None
    shape: Shape
    notes: tuple[str, ...] = ()


def layout_of(where: str, array: Shape, shape: Shape, labels: int | None = None, order: str | None = None) -> Layout:
    """Reads [N, *shape], [N, T, *shape] or [T, N, *shape].

    Args:
        where: the array, for messages.
        array: its shape.
        shape: of the graph's input, without time and batch.
        labels: how many labels there are, if known: it tells N from T.
        order: "nt" or "tn", which says it instead.

    Raises:
        InputError: no reading fits, or the axes of a frame stand in another order than the graph's.
    """
    axes, notes = _leading_axes(where, array, shape)
    if 0 in array:
        raise InputError(where, f"shape {array} holds no sample or no value", "Give at least one of each")
    if axes == 1:
        return Layout(array[0], 0, None, shape, notes)
    first = _samples_first(array, labels) if order is None else order == "nt"
    n, t = array[:2] if first else array[1::-1]
    if order is None:
        notes = (*notes, _order_note(where, n, t, first, array))
    return Layout(n, 0 if first else 1, t, shape, notes)


def _leading_axes(where: str, array: Shape, shape: Shape) -> tuple[int, tuple[str, ...]]:
    """How many axes stand before a frame's own, and what to say where those differ from the graph's."""
    inner = ", ".join(map(str, shape))
    wanted = f"expected still images [N, {inner}] or frames [N, T, {inner}] or [T, N, {inner}]"
    exact = [axes for axes in (1, 2) if array[axes:] == shape]
    if exact:
        return exact[0], ()
    alike = [axes for axes in (1, 2) if len(array) >= axes and prod(array[axes:]) == prod(shape)]
    if len(alike) != 1:
        found = "fits in two ways" if alike else "does not fit"
        raise InputError(where, f"shape {array} {found}, {wanted}", "Add or move the axes")
    own = array[alike[0] :]
    given = shape_text(own)
    if _long(own) != _long(shape) and sorted(_long(own)) == sorted(_long(shape)):
        found = f"a frame is {given}, the graph takes {shape_text(shape)}: the same axes in another order"
        raise InputError(where, found, f"Move the axes (numpy.moveaxis), {wanted}")
    return alike[0], (f"{where}: a frame is {given}, the graph takes {shape_text(shape)}: taken in C order.",)


def _long(shape: Shape) -> list[int]:
    """The axes that order values; those of 1 do not."""
    return [length for length in shape if length > 1]


def _samples_first(array: Shape, labels: int | None) -> bool:
    """Samples stand first, as in a data set, unless only the second axis is as long as the labels."""
    return not (labels is not None and array[0] != labels and array[1] == labels)


def _order_note(where: str, samples: int, steps: int, first: bool, array: Shape) -> str:
    axes, other = ("[N, T, ..]", "tn") if first else ("[T, N, ..]", "nt")
    text = f"{where}: shape {array} is read as {axes}, {samples:,} samples of {steps:,} steps"
    return f"{text}; --order {other} reads it the other way."
