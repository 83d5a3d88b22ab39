"""One Process for every node with a state, and its models."""

from __future__ import annotations

from nirbridge_lava.windowed import FixedModel, WindowedModel, WindowedProcess, fixed_pt, floating_pt


class MultiLevelLIF(WindowedProcess):
    """Multi-level leaky integrate-and-fire: one membrane, at most one of several lanes fires."""


@floating_pt(MultiLevelLIF)
class PyMultiLevelLIFFloat(WindowedModel):
    """Double precision."""


@fixed_pt(MultiLevelLIF)
class PyMultiLevelLIFFixed(FixedModel):
    """Integers."""


class IF(WindowedProcess):
    """Integrate-and-fire."""


@floating_pt(IF)
class PyIFFloat(WindowedModel):
    """Double precision."""


@fixed_pt(IF)
class PyIFFixed(FixedModel):
    """Integers."""


class I(WindowedProcess):  # noqa: E742  NIR's own name
    """Integrator; sends its membrane."""


@floating_pt(I)
class PyIFloat(WindowedModel):
    """Double precision."""


@fixed_pt(I)
class PyIFixed(FixedModel):
    """Integers."""


class LIF(WindowedProcess):
    """Leaky integrate-and-fire."""


@floating_pt(LIF)
class PyLIFFloat(WindowedModel):
    """Double precision."""


@fixed_pt(LIF)
class PyLIFFixed(FixedModel):
    """Integers."""


class LI(WindowedProcess):
    """Leaky integrator; sends its membrane."""


@floating_pt(LI)
class PyLIFloat(WindowedModel):
    """Double precision."""


@fixed_pt(LI)
class PyLIFixed(FixedModel):
    """Integers."""


class CubaLIF(WindowedProcess):
    """Leaky integrate-and-fire behind a leaky synapse."""


@floating_pt(CubaLIF)
class PyCubaLIFFloat(WindowedModel):
    """Double precision."""


@fixed_pt(CubaLIF)
class PyCubaLIFFixed(FixedModel):
    """Integers."""


class CubaLI(WindowedProcess):
    """Leaky integrator behind a leaky synapse; sends its membrane."""


@floating_pt(CubaLI)
class PyCubaLIFloat(WindowedModel):
    """Double precision."""


@fixed_pt(CubaLI)
class PyCubaLIFixed(FixedModel):
    """Integers."""


class Delay(WindowedProcess):
    """Each neuron's input, its own number of data steps later."""


@floating_pt(Delay)
class PyDelayFloat(WindowedModel):
    """Double precision."""


@fixed_pt(Delay)
class PyDelayFixed(FixedModel):
    """Integers."""
