"""LM-HT networks, trained directly or taken over from a QCFS network."""

from __future__ import annotations

from torch import nn

from nirbridge.errors import InputError
from nirbridge.neurons import LMHT, QCFS, OverTime
from nirbridge.neurons.base import SMALLEST_THRESHOLD
from nirbridge.training.replacing import replace_modules


def direct_lmht(network: nn.Module, levels: int, steps: int) -> OverTime:
    """A copy of a ReLU network with LM-HT neurons for direct training: θ = 2/L, v[-1] = 0.

    Args:
        network: built with ``nn.ReLU`` modules; stays as it is.
        levels: L.
        steps: T.

    Raises:
        InputError: no ReLU module, or L or T out of range.

    Source: Hao et al., NeurIPS 2024, direct training.
    """
    return OverTime(replace_modules(network, nn.ReLU, lambda _: LMHT(levels, steps, 2.0 / levels), "by LM-HT"))


def lmht_from_qcfs(network: nn.Module, steps: int, levels: int | None = None) -> OverTime:
    """A copy of a QCFS network with LM-HT neurons: θ = λ_q/L, v[-1] = θ/2, Ω = 1/T, λ = 1, nothing else changed.

    With L·T = Q the mean output over T steps of a constant input is the QCFS network's own output, and training goes
    on from there.

    Args:
        network: trained with ``QCFS`` modules; stays as it is.
        steps: T.
        levels: L; by default Q/T of each QCFS, which makes the step exact.

    Raises:
        InputError: no QCFS module, or T does not divide the Q of one and ``levels`` is not given.

    Source: Hao et al., NeurIPS 2024, hybrid training.
    """
    if steps < 1:
        raise InputError("lmht_from_qcfs", f"steps is {steps}, below 1", "Use 1 or more")

    def make(module: nn.Module) -> nn.Module:
        if levels is None and module.levels % steps:
            found = f"its {module.levels} levels are not a multiple of {steps} steps"
            raise InputError("layer QCFS", found, "Choose steps that divide Q, or give levels")
        count = module.levels // steps if levels is None else levels
        scale = module.scale.detach().clamp(min=SMALLEST_THRESHOLD)
        return LMHT(count, steps, scale / count, scale / count / 2.0).train(module.training)

    return OverTime(replace_modules(network, QCFS, make, "by LM-HT"))
