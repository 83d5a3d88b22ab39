"""The largest value of each spatial window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives import pooling
from nirbridge.primitives.examples import INTEGER_DT, Example, chain
from nirbridge.primitives.fields import Extension, as_pair
from nirbridge.primitives.spec import PASSED, Integers, Spec, transparent


@dataclass(eq=False)
class MaxPool2d(Extension):
    """The largest value of each spatial window, per step; behind a ``PhaseIF`` the neuron whose spikes come first wins.

    Input (C, H, W), output (C, ⌊(H + 2p - k)/stride⌋ + 1, ...).  Padding never wins: it counts as minus infinity.

    Args:
        kernel_size: (height, width) of the window.
        stride: (height, width) between windows.
        padding: (height, width) added on every side.

    Raises:
        GraphError: a field is not one or two whole numbers, or the padding exceeds half the kernel.

    Of phase codes it sends the whole train of the largest membrane under the window: at a phase at which some of those
    in the race spike, the others leave it until the next window of phases.  Of single spikes that is the first.

    Source: Hwang and Kung, 2024 (max pooling of a decreasing phase code is the first spike).
    """

    kernel_size: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]

    def __post_init__(self) -> None:
        self.kernel_size = as_pair("MaxPool2d", "kernel_size", self.kernel_size, 1)
        self.stride = as_pair("MaxPool2d", "stride", self.stride, 1)
        self.padding = as_pair("MaxPool2d", "padding", self.padding, 0)
        if (2 * self.padding > self.kernel_size).any():
            raise GraphError("MaxPool2d", f"padding {self.padding} exceeds half of the kernel {self.kernel_size}")
        self._set_types(None, None)


def _examples() -> list[Example]:
    return [
        chain("max pool", MaxPool2d, MaxPool2d(2, 2, 0), shape=(2, 6, 8)),
        chain("max pool 3x2", MaxPool2d, MaxPool2d((3, 2), (2, 1), (1, 0)), shape=(2, 7, 8)),
    ]


def _integer_examples() -> list[Example]:
    return [chain("max pool", MaxPool2d, MaxPool2d((3, 2), (2, 1), (1, 1)), shape=(2, 6, 8), dt=INTEGER_DT)]


SPEC = Spec(
    **pooling.SHARED,
    node=MaxPool2d,
    operation="max pool",
    sends=PASSED,
    integers=Integers(quantise="pool"),
    cost=transparent("comparisons without weights; the published models price no pooling", pooling.channel_unit),
    chip=pooling.refused(pooling.MAXIMUM),
    draws=(pooling.draw_of(MaxPool2d),),
    examples=_examples,
    integer_examples=_integer_examples,
)
