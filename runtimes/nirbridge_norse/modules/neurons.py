"""Every neuron as a pair of Norse modules: one step (``SNNCell``) and all steps (``SNN``)."""

from __future__ import annotations

import torch
from torch import Tensor

from nirbridge_norse import functional
from nirbridge_norse.modules.fused_snn import FusedSNN
from nirbridge_norse.norse_base import SNNCell


def resting_membrane(x: Tensor) -> functional.MembraneState:
    """v = 0 in the shape of the frame ``x``."""
    return functional.MembraneState(torch.zeros_like(x))


def resting_current(x: Tensor) -> functional.CurrentState:
    """i = v = 0 in the shape of the frame ``x``."""
    return functional.CurrentState(torch.zeros_like(x), torch.zeros_like(x))


class NIRICell(SNNCell):  # type: ignore[misc]
    """One step of NIR's integrator: :func:`~nirbridge_norse.functional.integrator_step`."""

    def __init__(self, p: functional.IParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.integrator_step, resting_membrane, p, dt)


class NIRI(FusedSNN):
    """NIR's integrator over time: :func:`~nirbridge_norse.functional.integrator_step`."""

    def __init__(self, p: functional.IParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.integrator_step, resting_membrane, p, dt, "integrate_pass")


class NIRIFCell(SNNCell):  # type: ignore[misc]
    """One step of NIR's IF: :func:`~nirbridge_norse.functional.integrate_and_fire_step`."""

    def __init__(self, p: functional.IFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.integrate_and_fire_step, resting_membrane, p, dt)


class NIRIF(FusedSNN):
    """NIR's IF over time: :func:`~nirbridge_norse.functional.integrate_and_fire_step`."""

    def __init__(self, p: functional.IFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.integrate_and_fire_step, resting_membrane, p, dt, "integrate_pass")


class NIRLICell(SNNCell):  # type: ignore[misc]
    """One step of NIR's LI: :func:`~nirbridge_norse.functional.li_step`."""

    def __init__(self, p: functional.LIParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.li_step, resting_membrane, p, dt)


class NIRLI(FusedSNN):
    """NIR's LI over time: :func:`~nirbridge_norse.functional.li_step`."""

    def __init__(self, p: functional.LIParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.li_step, resting_membrane, p, dt, "leak_pass")


class NIRLIFCell(SNNCell):  # type: ignore[misc]
    """One step of NIR's LIF: :func:`~nirbridge_norse.functional.lif_step`."""

    def __init__(self, p: functional.LIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.lif_step, resting_membrane, p, dt)


class NIRLIF(FusedSNN):
    """NIR's LIF over time: :func:`~nirbridge_norse.functional.lif_step`."""

    def __init__(self, p: functional.LIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.lif_step, resting_membrane, p, dt, "leak_pass")


class NIRCubaLICell(SNNCell):  # type: ignore[misc]
    """One step of NIR's CubaLI: :func:`~nirbridge_norse.functional.cuba_li_step`."""

    def __init__(self, p: functional.CubaLIParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.cuba_li_step, resting_current, p, dt)


class NIRCubaLI(FusedSNN):
    """NIR's CubaLI over time: :func:`~nirbridge_norse.functional.cuba_li_step`."""

    def __init__(self, p: functional.CubaLIParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.cuba_li_step, resting_current, p, dt, "current_pass")


class NIRCubaLIFCell(SNNCell):  # type: ignore[misc]
    """One step of NIR's CubaLIF: :func:`~nirbridge_norse.functional.cuba_lif_step`."""

    def __init__(self, p: functional.CubaLIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.cuba_lif_step, resting_current, p, dt)


class NIRCubaLIF(FusedSNN):
    """NIR's CubaLIF over time: :func:`~nirbridge_norse.functional.cuba_lif_step`."""

    def __init__(self, p: functional.CubaLIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.cuba_lif_step, resting_current, p, dt, "current_pass")


class MultiLevelLIFCell(SNNCell):  # type: ignore[misc]
    """One step of the multi-level neuron: :func:`~nirbridge_norse.functional.multilevel_lif_step`."""

    def __init__(self, p: functional.MultiLevelLIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.multilevel_lif_step, self.initial_state, p, dt)

    def initial_state(self, x: Tensor) -> functional.MembraneState:
        """v = v_init in the shape of the frame ``x``."""
        return functional.MembraneState(torch.zeros_like(x) + self.p.v_init)


class MultiLevelLIF(FusedSNN):
    """The multi-level neuron over time: :func:`~nirbridge_norse.functional.multilevel_lif_step`."""

    def __init__(self, p: functional.MultiLevelLIFParameters, dt: float = 1e-3) -> None:
        super().__init__(functional.multilevel_lif_step, self.initial_state, p, dt, "multilevel_pass")

    def initial_state(self, x: Tensor) -> functional.MembraneState:
        """v = v_init in the shape of the frame ``x``."""
        return functional.MembraneState(torch.zeros_like(x) + self.p.v_init)
