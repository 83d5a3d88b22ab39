"""What all spiking neurons share: the time axis, the state of one call, the lanes that export reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.neurons.arguments import all_positive, number, number_or_tensor, require_fitting
from nirbridge.neurons.dynamics import Step, lane_table, run
from nirbridge.neurons.fused import Rule, is_fusable, run_fused
from nirbridge.neurons.gradients import bounded
from nirbridge.neurons.overtime import along_time

SMALLEST_THRESHOLD = 1e-6


class SpikingNeuron(nn.Module):
    """Base of the neurons over [T, B, *shape]; inside ``OverTime`` over [T*B, *shape].

    One call is one run: the membrane starts at ``v_init``. A threshold, decay or ``v_init`` given as a tensor must
    broadcast to the features, as (C, 1, 1) does to (C, H, W). Whole numbers and lower precision are computed in the
    dtype of the threshold.

    Attributes:
        decay: λ, factor per step on the membrane after reset; a float, or a tensor where it is learned or per feature.
        gain: factor on the input.
        reset: "subtract" or "value".
        boundary: ">" or ">=", how the membrane meets a threshold.
        v_init: membrane before the first step, a float or a tensor.
        v_reset: membrane after a spike where ``reset`` is "value".
        threshold: θ (or V_th) as a buffer, or as a parameter where it is learned.
        lane_threshold: (S,) or (S, ...) products that the membrane is compared with.
        lane_weight: (S,) or (S, ...) values that the lanes send.
        lane_reset: (S,) or (S, ...) amounts that a soft reset subtracts.
    """

    gain: float = 1.0
    reset: str = "subtract"
    boundary: str = ">="
    v_reset: float = 0.0
    sends_values = False
    _per_feature: tuple[str, ...] = ("threshold", "decay", "v_init")

    def __init__(
        self, units: tuple[float, ...], quanta: int, threshold: Any, v_init: Any, learn_threshold: bool = False
    ) -> None:
        """Lanes of ``units[s]`` quanta each, where a quantum is threshold/``quanta``."""
        super().__init__()
        self._owner = type(self).__name__
        self._units = units
        self._quanta = quanta
        theta = all_positive(self._owner, "threshold", threshold, quanta)
        self._hold("threshold", torch.as_tensor(theta, dtype=_float_dtype(theta)), learn_threshold)
        self._hold("v_init", number_or_tensor(self._owner, "v_init", v_init))
        self._learns_threshold = learn_threshold

    def _hold(self, name: str, value: float | Tensor, learn: bool = False) -> None:
        if learn:
            self.register_parameter(name, nn.Parameter(torch.as_tensor(value, dtype=_float_dtype(value))))
        elif isinstance(value, Tensor):
            self.register_buffer(name, value)
        else:
            setattr(self, name, value)

    def quantum(self) -> Tensor:
        """The size of one level in the membrane's units, differentiable: θ of a one-hot neuron, V_th/N of N levels."""
        theta = bounded(self.threshold, SMALLEST_THRESHOLD, float("inf")) if self._learns_threshold else self.threshold
        return theta / self._quanta if self._quanta > 1 else theta

    def _lanes(self) -> Tensor:
        quantum = self.quantum().detach()
        return lane_table(quantum.new_tensor(self._units), quantum)

    @property
    def lane_threshold(self) -> Tensor:
        """(S, ...) products that the membrane is compared with."""
        return self._lanes()

    @property
    def lane_reset(self) -> Tensor:
        """(S, ...) amounts that a soft reset subtracts."""
        return self._lanes()

    @property
    def lane_weight(self) -> Tensor:
        """(S,) weights or, of a neuron that sends values, (S, ...) products."""
        return self._lanes() if self.sends_values else self.threshold.detach().new_tensor(self._units)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *shape] -> [T, B, *shape]; inside ``OverTime`` the same with [T*B, *shape].

        Raises:
            InputError: the input has no time and batch axis, no step or complex values, or a per-feature tensor does
                not fit it.
        """
        return along_time(self._owner, x, self._run)

    def _run(self, x: Tensor) -> Tensor:
        self._require_fitting(x)
        return self._respond(x.to(torch.promote_types(x.dtype, self.threshold.dtype)))

    def begin(self, x: Tensor) -> tuple[Step, Tensor]:
        """A run that goes on step by step: the step (x[t], state) -> (y[t], state), and the state before the first.

        Args:
            x: [T, B, *shape], of which dtype, device and shape count.

        Raises:
            InputError: as of a call.
        """
        self._require_fitting(x)
        dtype = torch.promote_types(x.dtype, self.threshold.dtype)
        return self._step(dtype), self._first_state(x.to(dtype))

    def _respond(self, x: Tensor) -> Tensor:
        if not is_fusable(x, self.v_init):
            return run(x, self._first_state(x), self._step(x.dtype))
        return run_fused(x, *self._numbers(x.dtype), self._rule(x.dtype))

    def _step(self, dtype: torch.dtype) -> Step:
        """One step with torch operations."""
        return self._rule(dtype).step(*self._numbers(dtype))

    def _numbers(self, dtype: torch.dtype) -> tuple[Tensor, float | Tensor]:
        """The quantum and the decay of a run."""
        return self.quantum().to(dtype), in_dtype(self.decay, dtype)

    def _rule(self, dtype: torch.dtype) -> Rule:
        """Its family, with all that one run has to know besides."""
        raise NotImplementedError(f"{self._owner} is of no family")

    def _first_state(self, x: Tensor) -> Tensor:
        v_init = self.v_init
        return v_init.to(x.dtype).expand(x.shape[1:]) if isinstance(v_init, Tensor) else torch.full_like(x[0], v_init)

    def _require_fitting(self, x: Tensor) -> None:
        require_fitting(self._owner, x, {name: getattr(self, name) for name in self._per_feature})

    def extra_repr(self) -> str:
        """The constants that a reader of the printed network wants to see."""
        numbers = f"S={len(self._units)}, threshold={_shown(self.threshold)}, decay={_shown(self.decay)}"
        return f"{numbers}, reset={self.reset!r}, boundary={self.boundary!r}"


def hard_reset_value(owner: str, reset: str, v_reset: Any) -> float:
    """``v_reset`` as a number; refused where the soft reset would not use it.

    Raises:
        InputError: not a finite number, or not 0 with reset "subtract".
    """
    value = number(owner, "v_reset", v_reset)
    if reset == "subtract" and value != 0.0:
        raise InputError(owner, f"v_reset={value:g} has no use with reset='subtract'", "Use reset='value'")
    return value


def in_dtype(value: float | Tensor, dtype: torch.dtype) -> float | Tensor:
    """A tensor in ``dtype``; a float as it is."""
    return value.to(dtype) if isinstance(value, Tensor) else value


def _float_dtype(value: float | Tensor) -> torch.dtype:
    return value.dtype if isinstance(value, Tensor) else torch.get_default_dtype()


def _shown(value: float | Tensor) -> str:
    if isinstance(value, Tensor):
        return f"{value.item():g}" if value.ndim == 0 else f"{tuple(value.shape)}"
    return f"{value:g}"
