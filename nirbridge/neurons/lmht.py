"""LM-HT: multi-level neuron behind a learnable mixing of the time steps (T-GIM)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.neurons.arguments import MAX_LEVELS, whole
from nirbridge.neurons.base import SpikingNeuron, in_dtype
from nirbridge.neurons.fused import StraightRule, is_fusable, run_fused

MAX_STEPS = 4096
FUSED_STEPS = 10
"""Up to here steps are mixed within the pass; beyond, by torch, whose product of matrices is then faster."""


class LMHT(SpikingNeuron):
    """Learnable multi-hierarchical threshold neuron over a window of T steps.

    Equations::

        I[t] = Σ_j Ω[t,j] x[j]                        Ω = 2 σ(ω)/T, ω starts at 0, so Ω at 1/T
        m[t] = λ v[t-1] + I[t]      v[-1] = v_init    λ = σ(α) + 0.5, α starts at 0, so λ at 1
        s[t] = clip(floor(m/θ), 0, L);  y[t] = s θ;  v[t] = m - s θ

    Level k fires while m >= k θ. Backward: dy/dm = 1 where 0.5 θ <= m <= (L + 0.5) θ, else 0; v[t-1] is detached, so
    dL/dλ = Σ_t <dL/dm[t], v[t-1]> and dL/dΩ[t,j] = <dL/dm[t], x[j]>. θ is fixed.

    Args:
        levels: L, 1 to 65536.
        steps: T, the number of steps of the window, 1 to 4096; the input must have as many.
        threshold: θ, a number or a tensor that broadcasts to the features: 2/L for direct training, λ_q/L after QCFS.
        v_init: membrane before the first step; θ/2 after QCFS.

    Attributes:
        mixing: Ω, (T, T).
        decay: λ, a scalar tensor.

    Shapes:
        input and output [T, B, *shape]; inside ``OverTime`` [T*B, *shape].

    Raises:
        InputError: an argument outside its limits, or an input with another number of steps.

    Source: Hao et al., NeurIPS 2024, equations 8 to 16.
    """

    sends_values = True
    _per_feature = ("threshold", "v_init")

    def __init__(self, levels: int, steps: int, threshold: float | Tensor, v_init: float | Tensor = 0.0) -> None:
        owner = type(self).__name__
        count = whole(owner, "levels", levels, 1, MAX_LEVELS)
        super().__init__(tuple(float(k) for k in range(1, count + 1)), 1, threshold, v_init)
        self.levels = count
        self.steps = whole(owner, "steps", steps, 1, MAX_STEPS)
        self.mixing_logits = nn.Parameter(torch.zeros(self.steps, self.steps, dtype=self.threshold.dtype))
        self.decay_logit = nn.Parameter(torch.zeros((), dtype=self.threshold.dtype))

    @property
    def mixing(self) -> Tensor:
        """Ω, (T, T), row t the weights of the inputs in I[t]."""
        return torch.sigmoid(self.mixing_logits) / (self.steps / 2)  # the same to the last bit, an operation less

    @property
    def decay(self) -> Tensor:
        """λ, a scalar between 0.5 and 1.5."""
        return torch.sigmoid(self.decay_logit) + 0.5

    def _respond(self, x: Tensor) -> Tensor:
        if x.shape[0] != self.steps:
            found = f"the input has {x.shape[0]} steps, the neuron mixes {self.steps}"
            raise InputError(self._owner, found, f"Give {self.steps} steps or build it with steps={x.shape[0]}")
        if self.steps <= FUSED_STEPS and is_fusable(x, self.v_init):
            mixing = self.mixing.to(x.dtype)
            return run_fused(x, *self._numbers(x.dtype), self._rule(x.dtype), mixing)
        return super()._respond(self.mixed(x))

    def mixed(self, x: Tensor) -> Tensor:
        """I[t] = Σ_j Ω[t,j] x[j], of x [T, B, *shape]."""
        # Autocast would mix in lower precision, and the neuron would then compute in it.
        with torch.autocast(x.device.type, enabled=False):
            return torch.tensordot(self.mixing.to(x.dtype), x, dims=([1], [0]))

    def _rule(self, dtype: torch.dtype) -> StraightRule:
        window = (0.5, self.levels + 0.5, self.threshold)
        return StraightRule(self.levels, window, carries=False, v_init=in_dtype(self.v_init, dtype))
