"""Families of primitives that several parts of nirbridge ask for, and the length of a step."""

from __future__ import annotations

from collections.abc import Iterable

import nir

from nirbridge.ir.event_input import EventInput
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF

BINARY: tuple[type[nir.NIRNode], ...] = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold, PhaseIF, PhaseEncode)
"""Nodes that send 0 or 1, whatever comes in."""
SPIKING: tuple[type[nir.NIRNode], ...] = (*BINARY, MultiLevelLIF)
"""Nodes that send spikes: 0, or one of few values."""
RESETTING: tuple[type[nir.NIRNode], ...] = (nir.IF, nir.LIF, nir.CubaLIF)
"""Core neurons that a spike resets: to v_reset, or by subtraction, as the call says."""
SENDS_MEMBRANE: tuple[type[nir.NIRNode], ...] = (nir.I, nir.LI, nir.CubaLI, PhaseDecode)
"""Nodes that send the membrane itself."""
PHASE_CODED: tuple[type[nir.NIRNode], ...] = (PhaseIF, PhaseEncode, PhaseDecode)
"""Nodes whose values are sent as phases of a window."""
STATES_ITS_SHAPE: tuple[type[nir.NIRNode], ...] = (nir.Input, nir.Output, nir.Flatten)
"""Nodes whose type fields are parameters that files hold; inference must not write into them."""
TIME_CONSTANTS: dict[type[nir.NIRNode], tuple[str, ...]] = {
    nir.LI: ("tau",),
    nir.LIF: ("tau",),
    nir.CubaLI: ("tau_syn", "tau_mem"),
    nir.CubaLIF: ("tau_syn", "tau_mem"),
}
"""Node type → its time constants in seconds."""
NEURONS: frozenset[type[nir.NIRNode]] = frozenset((*SPIKING, *TIME_CONSTANTS, nir.I, PhaseDecode))
"""Nodes that spike or have a membrane."""
DEFAULT_DT = 1e-3
"""Seconds a step where neither the call nor an EventInput says."""


def time_step(nodes: Iterable[nir.NIRNode], dt: float | None = None) -> float:
    """Seconds a step: ``dt`` of the call, else the window of the first EventInput, else :data:`DEFAULT_DT`."""
    if dt is not None:
        return float(dt)
    return next((node.window * 1e-6 for node in nodes if type(node) is EventInput), DEFAULT_DT)
