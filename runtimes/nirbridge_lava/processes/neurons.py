"""One Process and one floating-point model for every node with a state."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from nirbridge_lava import dynamics
from nirbridge_lava.windowed import StatefulModel, WindowedProcess


class MultiLevelLIF(WindowedProcess):
    """Multi-level leaky integrate-and-fire: one membrane, at most one of several lanes fires."""


@implements(proc=MultiLevelLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyMultiLevelLIFFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.lanes_step)


class IF(WindowedProcess):
    """Integrate-and-fire."""


@implements(proc=IF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyIFFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.integrate_step)


class I(WindowedProcess):  # noqa: E742  NIR's own name
    """Integrator; sends its membrane."""


@implements(proc=I, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyIFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.integrate_step)


class LIF(WindowedProcess):
    """Leaky integrate-and-fire."""


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLIFFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.leak_step)


class LI(WindowedProcess):
    """Leaky integrator; sends its membrane."""


@implements(proc=LI, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLIFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.leak_step)


class CubaLIF(WindowedProcess):
    """Leaky integrate-and-fire behind a leaky synapse."""


@implements(proc=CubaLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyCubaLIFFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.current_step)


class CubaLI(WindowedProcess):
    """Leaky integrator behind a leaky synapse; sends its membrane."""


@implements(proc=CubaLI, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyCubaLIFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.current_step)


class Delay(WindowedProcess):
    """Each neuron's input, its own number of data steps later."""


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDelayFloat(StatefulModel):
    """Double precision."""

    advance = staticmethod(dynamics.delay_step)
