"""The values that a neuron's spikes stand for, as a staircase over the activation: what calibration runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.converting.staircase import Staircase, staircase

_STEPS = 2**14
"""Longer staircases lose the steps that are narrower than this part of their whole."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Code:
    r"""At most ``spikes`` of the phases k = f..f+T-1, each standing for Q^-k of λ.

    From r = a and j = ``spikes`` on, phase after phase fires where

    .. math::
        j > 0 \text{ and } r \ge m_j Q^{-k}; \quad \text{then } r \leftarrow r - Q^{-k}, \; j \leftarrow j - 1

    Args:
        base: Q, above 1.
        phases: T.
        first_phase: f.
        rounding: compare with the middle m between two values, else m = 1.
        spikes: of a window, at most.

    Source: Hwang and Kung, 2024, equations 3 and 4, for one spike.
    """

    base: float
    phases: int
    first_phase: int = 1
    rounding: bool = True
    spikes: int = 1

    @cached_property
    def levels(self) -> Floats:
        """Q^-k of every phase."""
        return np.asarray(float(self.base) ** -np.arange(self.first_phase, self.first_phase + self.phases))

    @cached_property
    def largest(self) -> float:
        """The largest sum, that of the first phases."""
        return float(self.levels[: self.spikes].sum())

    @cached_property
    def smallest(self) -> float:
        """What an activation must reach to be sent at all."""
        return float(self.limits[0])

    @cached_property
    def limits(self) -> Floats:
        """Where a step begins, ascending."""
        return self._stairs[0][1:]

    @cached_property
    def values(self) -> Floats:
        """Of the steps, ascending: 0 below the first limit, and one for each limit."""
        return self._stairs[1]

    @cached_property
    def _stairs(self) -> tuple[Floats, Floats]:
        flat = np.array([-np.inf]), np.zeros(1)
        left = [flat] * (self.spikes + 1)  # by spikes that are left
        for behind, level in enumerate(self.levels[::-1]):  # what follows a phase is known before it
            left = [flat] + [
                self._step(level, self._middle(j, behind), left[j], left[j - 1]) for j in range(1, self.spikes + 1)
            ]
        return left[-1]

    def _middle(self, left: int, behind: int) -> float:
        """m with so many spikes left and so many phases behind this one."""
        if not self.rounding:
            return 1.0
        follow = 1 if self.spikes == 1 else min(left, behind)
        return min(1.0, float(1 + (self.base ** -np.arange(1.0, follow + 1)).sum()) / 2)

    def _step(
        self, level: float, middle: float, silent: tuple[Floats, Floats], fired: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats]:
        """One phase: below its limit what follows without its spike, else the spike and what follows."""
        below = silent[0] < middle * level
        limits = np.concatenate([silent[0][below], np.maximum(fired[0] + level, middle * level)])
        values = np.concatenate([silent[1][below], fired[1] + level])
        last = np.append(limits[1:] > limits[:-1], True)
        limits, values = limits[last], values[last]
        if len(limits) > _STEPS:
            wide = np.append(True, np.diff(np.floor(limits[1:] * _STEPS / limits[-1])) > 0)
            limits, values = limits[np.append(True, wide)], values[np.append(True, wide)]
        return limits, values

    def __call__(self, a: Tensor) -> Tensor:
        """The decoded value of each activation, in units of λ; any shape."""
        return _staircase(self, a.dtype)(a)


@lru_cache(16)
def _staircase(code: Code, dtype: torch.dtype) -> Staircase:
    return staircase(torch.tensor(code.limits, dtype=dtype), torch.tensor(code.values, dtype=dtype))
