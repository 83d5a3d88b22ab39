"""One-hot multi-level LIF: at most one lane fires, and lane s is worth 2^s."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nirbridge.neurons.arguments import MAX_LANES, choose, number_or_tensor, positive, whole, within
from nirbridge.neurons.base import SpikingNeuron, hard_reset_value, in_dtype
from nirbridge.neurons.fused import OneHotRule
from nirbridge.neurons.gradients import OneHotSlope, bounded
from nirbridge.neurons.surrogates import Surrogate, Triangle, as_surrogate
from nirbridge.primitives.multi_level_lif import BOUNDARIES, RESETS

MODES = ("difference", "sum")


class MultiLevelLIF(SpikingNeuron):
    """One-hot multi-level leaky integrate-and-fire neuron (M-LIF).

    Equations::

        u[t] = decay v[t-1] + gain x[t]            v[-1] = v_init
        s*   = the highest lane with u > w_s θ     (>= with boundary ">=");  w_s = 2^s, scaled: 2^(s-S+1)
        y[t] = w_{s*}, 0 where no lane fires       not multiplied by θ
        v[t] = u - w_{s*} θ ("subtract"), or v_reset where a lane fired ("value")

    Backward: ``dlane_s/du = h(r_s)/(w_s θ) - h(r_{s+1})/(w_{s+1} θ)``, the top lane its first term only, with
    ``r_s = u/(w_s θ) - 1``. The fired lane is detached in the reset; θ learns through the lanes and, with
    "subtract", through ``w_{s*} θ``. One lane is the ordinary LIF. The spike-driven transformer's charge
    ``u += (x - u)/2`` is ``decay=0.5, gain=0.5``, its lanes ``scaled=True``, its reset "value".

    Args:
        lanes: S, 1 to 32.
        threshold: θ, a number or a tensor that broadcasts to the features.
        decay: λ >= 0, factor per step, likewise; where learned it starts here and is kept within 0 to 1.
        gain: factor on the input, above 0.
        reset: "subtract" (soft) or "value" (hard).
        boundary: ">" or ">=".
        scaled: weights 2^(s-S+1), so that the top lane is worth 1.
        v_reset: membrane after a spike with reset "value".
        v_init: membrane before the first step, a number or a tensor that broadcasts to the features.
        learn_threshold: make θ a parameter (kept above 0).
        learn_decay: make λ a parameter, ``decay_parameter``; ``decay`` is its value within 0 to 1.
        surrogate: h, a surrogate or its name ("triangle", "tet", "sigmoid").
        surrogate_mode: "difference" (the paper), or "sum" of the two terms (the authors' code).

    Shapes:
        input and output [T, B, *shape]; inside ``OverTime`` [T*B, *shape].

    Raises:
        InputError: an argument outside its limits.

    Source: Abillama et al., IEEE Access 2025, equations 8 to 10; surrogates and variants from its public code.
    """

    def __init__(
        self,
        lanes: int = 3,
        threshold: float | Tensor = 1.0,
        decay: float | Tensor = 1.0,
        gain: float = 1.0,
        reset: str = "subtract",
        boundary: str = ">",
        scaled: bool = False,
        v_reset: float = 0.0,
        v_init: float | Tensor = 0.0,
        learn_threshold: bool = False,
        learn_decay: bool = False,
        surrogate: Surrogate | str = Triangle(),  # noqa: B008  frozen
        surrogate_mode: str = "difference",
    ) -> None:
        owner = type(self).__name__
        count = whole(owner, "lanes", lanes, 1, MAX_LANES)
        top = count - 1 if scaled else 0
        super().__init__(tuple(2.0 ** (s - top) for s in range(count)), 1, threshold, v_init, learn_threshold)
        self.lanes = count
        self.scaled = bool(scaled)
        self.gain = positive(owner, "gain", gain)
        self.reset = choose(owner, "reset", reset, RESETS)
        self.boundary = choose(owner, "boundary", boundary, BOUNDARIES)
        self.v_reset = hard_reset_value(owner, reset, v_reset)
        self.surrogate = as_surrogate(owner, surrogate)
        self.surrogate_mode = choose(owner, "surrogate_mode", surrogate_mode, MODES)
        self._hold_decay(decay, learn_decay)

    def _hold_decay(self, decay: Any, learn: bool) -> None:
        start = number_or_tensor(self._owner, "decay", decay)
        name, high = ("decay with learn_decay=True", 1.0) if learn else ("decay", math.inf)
        within(self._owner, name, start, 0.0, high)
        self.learn_decay = bool(learn)
        self._hold("decay_parameter" if learn else "fixed_decay", start, learn)

    @property
    def decay(self) -> float | Tensor:
        """λ as the next run uses it: a float, or a tensor where it is learned or per feature."""
        if self.learn_decay:
            return bounded(self.decay_parameter, 0.0, 1.0)
        fixed: float | Tensor = self.fixed_decay
        return fixed

    def _rule(self, dtype: torch.dtype) -> OneHotRule:
        slope = OneHotSlope(self.surrogate, self._units, self.surrogate_mode)
        return OneHotRule(slope, self.gain, self.boundary, self.reset, self.v_reset, in_dtype(self.v_init, dtype))
