"""Processes without a state of their own: synapses, which take one step, and what takes none."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from nirbridge_lava import kernels
from nirbridge_lava.windowed import StatelessModel, SynapseModel, WindowedProcess


class ConvSynapse(WindowedProcess):
    """Convolution in one or two dimensions, one step late.

    It takes the place of Lava's Conv, which holds groups, stride and padding as int8, knows no one-sided padding, and
    calls scipy once for each pair of channels.
    """


@implements(proc=ConvSynapse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvSynapseFloat(SynapseModel):
    """Double precision."""

    function = staticmethod(kernels.convolve)


class MatrixSynapse(WindowedProcess):
    """W x over the last axis of an input with several, which Lava's Dense does not take; one step late."""


@implements(proc=MatrixSynapse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyMatrixSynapseFloat(SynapseModel):
    """Double precision."""

    function = staticmethod(kernels.product)


class Pool2d(WindowedProcess):
    """Sum, average or max pool, per step."""


@implements(proc=Pool2d, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyPool2dFloat(StatelessModel):
    """Double precision."""

    function = staticmethod(kernels.pool)


class Scale(WindowedProcess):
    """Element-wise factor."""


@implements(proc=Scale, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyScaleFloat(StatelessModel):
    """Double precision."""

    function = staticmethod(kernels.scale)


class Threshold(WindowedProcess):
    """1 where the input exceeds a limit."""


@implements(proc=Threshold, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyThresholdFloat(StatelessModel):
    """Double precision."""

    function = staticmethod(kernels.threshold)
