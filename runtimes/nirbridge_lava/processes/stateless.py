"""Processes without a state of their own: synapses, which take one step, and what takes none."""

from __future__ import annotations

from nirbridge_lava.windowed import (
    FixedModel,
    FixedSynapseModel,
    SynapseModel,
    WindowedModel,
    WindowedProcess,
    fixed_pt,
    floating_pt,
)


class ConvSynapse(WindowedProcess):
    """Convolution in one or two dimensions, one step late.

    It takes the place of Lava's Conv, which holds groups, stride and padding as int8, knows no one-sided padding, and
    calls scipy once for each pair of channels.
    """


@floating_pt(ConvSynapse)
class PyConvSynapseFloat(SynapseModel):
    """Double precision."""


@fixed_pt(ConvSynapse)
class PyConvSynapseFixed(FixedSynapseModel):
    """Integers."""


class MatrixSynapse(WindowedProcess):
    """W x over the last axis of an input with several, or of several steps, which Lava's Dense does not take."""


@floating_pt(MatrixSynapse)
class PyMatrixSynapseFloat(SynapseModel):
    """Double precision, one step late."""


@fixed_pt(MatrixSynapse)
class PyMatrixSynapseFixed(FixedSynapseModel):
    """Integers."""


class MatrixShift(WindowedProcess):
    """W x for messages that are powers of two: sums of weights, shifted lane by lane; one step late."""


@fixed_pt(MatrixShift)
class PyMatrixShiftFixed(FixedSynapseModel):
    """Integers."""


class ConvShift(WindowedProcess):
    """Convolution for messages that are powers of two: sums of weights, shifted lane by lane; one step late."""


@fixed_pt(ConvShift)
class PyConvShiftFixed(FixedSynapseModel):
    """Integers."""


class AggregateShift(WindowedProcess):
    """W x over the nodes of a graph network for messages that are powers of two; one step late."""


@fixed_pt(AggregateShift)
class PyAggregateShiftFixed(FixedSynapseModel):
    """Integers."""


class AggregateSynapse(WindowedProcess):
    """W x over the first axis, the nodes of a graph network; one step late."""


@floating_pt(AggregateSynapse)
class PyAggregateSynapseFloat(SynapseModel):
    """Double precision."""


@fixed_pt(AggregateSynapse)
class PyAggregateSynapseFixed(FixedSynapseModel):
    """Integers."""


class Pool2d(WindowedProcess):
    """Sum, average or max pool, per step."""


@floating_pt(Pool2d)
class PyPool2dFloat(WindowedModel):
    """Double precision."""


@fixed_pt(Pool2d)
class PyPool2dFixed(FixedModel):
    """Integers."""


class Scale(WindowedProcess):
    """Element-wise factor."""


@floating_pt(Scale)
class PyScaleFloat(WindowedModel):
    """Double precision."""


@fixed_pt(Scale)
class PyScaleFixed(FixedModel):
    """Integers."""


class Threshold(WindowedProcess):
    """1 where the input exceeds a limit."""


@floating_pt(Threshold)
class PyThresholdFloat(WindowedModel):
    """Double precision."""


@fixed_pt(Threshold)
class PyThresholdFixed(FixedModel):
    """Integers."""


class SlotPlace(WindowedProcess):
    """The input as one slot of a longer vector, repeated where it has one value for many places."""


@floating_pt(SlotPlace)
class PySlotPlaceFloat(WindowedModel):
    """Double precision."""


@fixed_pt(SlotPlace)
class PySlotPlaceFixed(FixedModel):
    """Integers."""


class SlotProduct(WindowedProcess):
    """The product of the slots of its input, element by element."""


@floating_pt(SlotProduct)
class PySlotProductFloat(WindowedModel):
    """Double precision."""


@fixed_pt(SlotProduct)
class PySlotProductFixed(FixedModel):
    """Integers."""


class Quantize(WindowedProcess):
    """The input rounded to a grid and cut to a range; in precision "fixed" the host does it, right behind an input."""


@floating_pt(Quantize)
class PyQuantizeFloat(WindowedModel):
    """Double precision."""
