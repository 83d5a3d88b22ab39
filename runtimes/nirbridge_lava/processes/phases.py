"""One Process for every node that works on whole windows: a message holds a window, so none is split or mixed."""

from __future__ import annotations

from nirbridge_lava.windowed import FixedModel, WindowedModel, WindowedProcess, fixed_pt, floating_pt


class PhaseEncode(WindowedProcess):
    """A value → the spikes of a window."""


@floating_pt(PhaseEncode)
class PyPhaseEncodeFloat(WindowedModel):
    """Double precision."""


@fixed_pt(PhaseEncode)
class PyPhaseEncodeFixed(FixedModel):
    """Integers."""


class PhaseIF(WindowedProcess):
    """Single-spike phase-coded neuron; its state lives for one window."""


@floating_pt(PhaseIF)
class PyPhaseIFFloat(WindowedModel):
    """Double precision."""


@fixed_pt(PhaseIF)
class PyPhaseIFFixed(FixedModel):
    """Integers."""


class PhaseDecode(WindowedProcess):
    """Partial sums of a phase code."""


@floating_pt(PhaseDecode)
class PyPhaseDecodeFloat(WindowedModel):
    """Double precision."""


@fixed_pt(PhaseDecode)
class PyPhaseDecodeFixed(FixedModel):
    """Integers."""


class FirstSpikePool2d(WindowedProcess):
    """Max pool of a phase code: the first spike of the window wins."""


@floating_pt(FirstSpikePool2d)
class PyFirstSpikePool2dFloat(WindowedModel):
    """Double precision."""


@fixed_pt(FirstSpikePool2d)
class PyFirstSpikePool2dFixed(FixedModel):
    """Integers."""


class TemporalMix(WindowedProcess):
    """Mixes the steps of a window."""


@floating_pt(TemporalMix)
class PyTemporalMixFloat(WindowedModel):
    """Double precision."""


@fixed_pt(TemporalMix)
class PyTemporalMixFixed(FixedModel):
    """Integers."""
