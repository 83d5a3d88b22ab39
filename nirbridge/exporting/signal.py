"""What export knows about a tensor without computing it: who sends it, its shape, and where time and batch are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any

from nirbridge.ir import Shape

STEPS = 1009
"""T while a module is traced: a prime that no layer has, so that a size can be told from a feature axis."""
BATCH = 1013
"""B while a module is traced."""


def is_count(value: Any) -> bool:
    """Whether a number is T, B or a multiple of T·B while a module is traced."""
    return type(value) is int and value != 0 and (value in (STEPS, BATCH) or value % (STEPS * BATCH) == 0)


class LeadingAxes(Enum):
    """The leading axes of a tensor, before its features."""

    TIME = (STEPS, BATCH)
    FOLDED = (STEPS * BATCH,)
    STEP = (BATCH,)
    BATCH_FIRST = (BATCH, STEPS)

    @property
    def text(self) -> str:
        """As a reader writes it."""
        return {
            "TIME": "[T, B, ...]",
            "FOLDED": "[T*B, ...]",
            "STEP": "[B, ...] of one step",
            "BATCH_FIRST": "[B, T, ...]",
        }[self.name]

    @property
    def axes(self) -> int:
        """The number of leading axes."""
        return len(self.value)


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the input.

    Attributes:
        sources: names of the nodes that send it; their values add up.
        shape: the shape of its features, without time and batch.
        leading: what stands before the features.
    """

    sources: tuple[str, ...]
    shape: Shape
    leading: LeadingAxes

    @property
    def full_shape(self) -> Shape:
        """The shape with the leading axes, T and B standing for themselves."""
        return (*self.leading.value, *self.shape)

    @property
    def elements(self) -> int:
        """Elements of :attr:`full_shape`."""
        return prod(self.full_shape)

    def axis(self, dim: int) -> int:
        """The axis of :attr:`full_shape` that torch calls ``dim``; one that is not there is refused, as it is there."""
        axes = len(self.full_shape)
        if not -axes <= dim < axes:
            found = f"takes axis {dim} of {self.leading.text} with features {self.shape}, which has {axes}"
            raise RefusalError(found, "Give an axis that is there", leading=True)
        return dim % axes

    @property
    def text(self) -> str:
        """Its axes as a reader writes them, as "[T, B, 2, 6, 6]"."""
        lead = self.leading.text.split(", ...")[0].lstrip("[")
        return f"[{', '.join((lead, *map(str, self.shape)))}]"

    def over(self, leading: LeadingAxes) -> Signal:
        """The same values with other leading axes."""
        return replace(self, leading=leading)


@dataclass(frozen=True)
class State:
    """The state that a cell hands on; a graph keeps it inside of the node."""

    cell: str


class Unknown:
    """The result of something that was refused; what depends on it is not reported again."""


UNKNOWN = Unknown()


class RefusalError(Exception):
    """Why something has no counterpart in a graph; whoever knows the place makes a problem of it.

    Args:
        found: what was found.
        next_step: what to do instead.
        leading: whether another reading of the tensors' leading axes might do.
        result: what to go on with, to find more problems in one pass.
    """

    def __init__(self, found: str, next_step: str = "", *, leading: bool = False, result: Any = UNKNOWN) -> None:
        super().__init__(found)
        self.found = found
        self.next_step = next_step
        self.leading = leading
        self.result = result


def find_all(kind: type[Any] | tuple[type[Any], ...], value: Any) -> list[Any]:
    """Every object of ``kind`` in nested tuples, lists, dictionaries and slices."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        return [found for item in value.values() for found in find_all(kind, item)]
    if isinstance(value, (tuple, list)):
        return [found for item in value for found in find_all(kind, item)]
    if isinstance(value, slice):
        return find_all(kind, (value.start, value.stop, value.step))
    return []


def is_recorded(value: Any) -> bool:
    """Whether something depends on the input, or holds what does."""
    return bool(find_all((Signal, State, Unknown), value))


def require_signal(value: Any) -> Signal:
    """``value`` where a tensor that depends on the input is needed."""
    if isinstance(value, State):
        found = "takes the membrane of a neuron, which stays inside of its node"
        raise RefusalError(found, "Use what the neuron sends")
    if not isinstance(value, Signal):
        raise RefusalError(f"its input is a {type(value).__name__} that does not depend on the network's input")
    return value


def require_leading(value: Any, leading: LeadingAxes, hint: str = "") -> Signal:
    """``value`` where a tensor is needed whose time and batch stand as in ``leading``."""
    signal = require_signal(value)
    if signal.leading is not leading:
        raise RefusalError(f"takes {leading.text}, but its input is {signal.leading.text}", hint, leading=True)
    return signal


def require_batch(signal: Signal, axes: tuple[int, ...], expected: str) -> None:
    """Refuses a tensor that a torch layer for ``expected`` would misread or refuse.

    Args:
        signal: the layer's input.
        axes: the numbers of feature axes that the layer takes.
        expected: the layer's input in words, as "[N, C, H, W]".
    """
    if signal.leading in (LeadingAxes.TIME, LeadingAxes.BATCH_FIRST):
        raise RefusalError(
            f"takes {expected}, but its input is {signal.text}",
            "Wrap the network in nirbridge.neurons.OverTime",
            leading=True,
        )
    if len(signal.shape) not in axes:
        raise RefusalError(
            f"takes {expected}, but the features of its input are {signal.shape}", "Check the input shape"
        )
