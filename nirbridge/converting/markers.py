"""Nodes that stand in an analog network while it is converted; they are never stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import Shape, moves_values, spec_of

Array = NDArray[Any]


class Marker(nir.NIRNode):
    """Base of the nodes that only the conversion knows."""

    def __post_init__(self) -> None:
        self.input_type = {"input": None}
        self.output_type = {"output": None}

    def made_shape(self, shape: Shape) -> Shape:
        """They act element by element."""
        return shape


@dataclass(eq=False)
class Relu(Marker):
    """y = min(max(gain x + shift, 0), ceiling): where a spiking neuron will stand.

    Args:
        gain: factor of a batch normalisation before it, broadcastable to the features.
        shift: offset of a batch normalisation before it.
        ceiling: the largest output, as ReLU6 has it.
        center: mean of what enters, in the data that a batch normalisation before it was trained on.
        spread: standard deviation of the same; 0 where no batch normalisation tells.
        opposite: name of the ReLU that takes the same with the other sign; empty for one that stands alone.
    """

    gain: Array = field(default_factory=lambda: np.ones(()))
    shift: Array = field(default_factory=lambda: np.zeros(()))
    ceiling: float = math.inf
    center: Array = field(default_factory=lambda: np.zeros(()))
    spread: Array = field(default_factory=lambda: np.zeros(()))
    opposite: str = ""


@dataclass(eq=False)
class ChannelAffine(Marker):
    """y = scale x + shift, both broadcastable to the features: batch normalisation in evaluation.

    Args:
        scale: γ/sqrt(var + ε).
        shift: β - scale·mean.
        center: β, the mean of y over the values that it was trained on.
        spread: |γ|, their standard deviation.
    """

    scale: Array
    shift: Array
    center: Array = field(default_factory=lambda: np.zeros(()))
    spread: Array = field(default_factory=lambda: np.zeros(()))


@dataclass(eq=False)
class Offset(Marker):
    """y = x + value, broadcastable to the features: a constant that the code adds."""

    value: Array


def operation_of(node: nir.NIRNode) -> str:
    """What a primitive does, as its Spec says; empty for a marker."""
    return "" if isinstance(node, Marker) else spec_of(node).operation


def channel_axis(node: nir.NIRNode, axes: int) -> int:
    """The one of ``axes`` feature axes on which the channels of a matrix or convolution stand, in and out."""
    return axes - 1 if operation_of(node) == "matrix" else 0


def is_moving(node: nir.NIRNode) -> bool:
    """Whether a node only moves values, so that spikes come through it as spikes."""
    return not isinstance(node, Marker) and moves_values(node)
