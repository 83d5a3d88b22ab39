"""Neurons with N equal levels below V_th: the multi-level IF and the barrier of Sparse-ResNet."""

from __future__ import annotations

import torch
from torch import Tensor

from nirbridge.neurons.arguments import MAX_LEVELS, choose, whole
from nirbridge.neurons.base import SpikingNeuron, in_dtype
from nirbridge.neurons.fused import StraightRule, UniformRule
from nirbridge.neurons.gradients import UniformSlope
from nirbridge.neurons.surrogates import Sigmoid, Surrogate, as_surrogate

MODES = ("sum", "single")
OUTPUTS = ("value", "level")


class _UniformLevels(SpikingNeuron):
    """N levels of size q = V_th/N, without leak."""

    decay = 1.0

    def __init__(self, levels: int, threshold: float | Tensor, v_init: float | Tensor, learn_threshold: bool) -> None:
        count = whole(type(self).__name__, "levels", levels, 1, MAX_LEVELS)
        super().__init__(tuple(float(k) for k in range(1, count + 1)), count, threshold, v_init, learn_threshold)
        self.levels = count


class MultiLevelIF(_UniformLevels):
    """Multi-level integrate-and-fire neuron: up to N levels a step, saturated when the input equals V_th.

    Equations::

        q = V_th/N;  u[t] = v[t-1] + x[t];  z[t] = clip(floor(u/q), 0, N);  v[t] = u - z q;  y[t] = z q (or z)

    Level z fires while u >= z q. Over T steps it equals a binary IF of threshold V_th over N T steps.
    Backward, in units of one level: dz/du = Σ_{n=1..N} h(u/q - n)/q ("sum"), or h(u/V_th - 1)/q ("single"); the two
    are one for N = 1. The gradient runs through the reset as in the neuron's published ancestor (ATIF), so the
    membrane keeps only what the levels did not carry off.

    Args:
        levels: N, 1 to 65536; 1 is the binary IF.
        threshold: V_th, a number or a tensor that broadcasts to the features.
        surrogate: h, by default the sigmoid with α = 5.
        surrogate_mode: "sum" over the levels, or "single".
        output: "value" sends z q, "level" sends z.
        learn_threshold: make V_th a parameter (kept above 0).
        v_init: membrane before the first step.

    Shapes:
        input and output [T, B, *shape]; inside ``OverTime`` [T*B, *shape].

    Raises:
        InputError: an argument outside its limits.

    Source: Castagnetti, Pegatoquet and Miramond, 2025, the multi-level neuron and its Fig. 2 and 5.
    """

    def __init__(
        self,
        levels: int,
        threshold: float | Tensor = 1.0,
        surrogate: Surrogate | str = Sigmoid(alpha=5.0),  # noqa: B008  frozen
        surrogate_mode: str = "sum",
        output: str = "value",
        learn_threshold: bool = False,
        v_init: float | Tensor = 0.0,
    ) -> None:
        super().__init__(levels, threshold, v_init, learn_threshold)
        self.surrogate = as_surrogate(self._owner, surrogate)
        self.surrogate_mode = choose(self._owner, "surrogate_mode", surrogate_mode, MODES)
        self.output = choose(self._owner, "output", output, OUTPUTS)
        self.sends_values = output == "value"

    def _rule(self, dtype: torch.dtype) -> UniformRule:
        slope = UniformSlope(self.surrogate, self.levels, self.surrogate_mode)
        return UniformRule(slope, self.sends_values, in_dtype(self.v_init, dtype))


class Barrier(_UniformLevels):
    """Multi-level IF with a straight-through gradient, placed after the sum of a residual block.

    Forward as ``MultiLevelIF`` with output "value". Backward dy/du = 1, with ``clipped`` only where
    0 <= u <= V_th; the reset carries the same slope, so that what left as output is not counted again in later steps.

    Args:
        levels: N, 1 to 65536.
        threshold: V_th, a number or a tensor that broadcasts to the features; not learned.
        clipped: pass the gradient only where 0 <= u <= V_th.

    Shapes:
        input and output [T, B, *shape]; inside ``OverTime`` [T*B, *shape].

    Raises:
        InputError: an argument outside its limits.

    Source: Castagnetti, Pegatoquet and Miramond, 2025, the barrier neuron of Sparse-ResNet.
    """

    sends_values = True

    def __init__(self, levels: int, threshold: float | Tensor = 1.0, clipped: bool = False) -> None:
        super().__init__(levels, threshold, v_init=0.0, learn_threshold=False)
        self.clipped = bool(clipped)

    def _rule(self, dtype: torch.dtype) -> StraightRule:
        window = (0.0, 1.0, self.threshold) if self.clipped else None
        return StraightRule(self.levels, window, carries=True, v_init=in_dtype(self.v_init, dtype))
