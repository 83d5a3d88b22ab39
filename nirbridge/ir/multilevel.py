"""The multi-level neuron in space: one membrane, several lanes, at most one of which fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, Shape, as_choice, as_number, as_shape, require_broadcast

RESETS = ("subtract", "value")
BOUNDARIES = (">", ">=")
_WHERE = "MultiLevelLIF"
_LANE_FIELDS = ("lane_threshold", "lane_weight", "lane_reset")
_NEURON_FIELDS = ("decay", "gain", "v_init", "v_reset")


@dataclass(eq=False)
class MultiLevelLIF(Extension):
    r"""Leaky integrate-and-fire neuron whose spike is one of S levels.

    .. math::
        u[t] &= decay \cdot v[t-1] + gain \cdot x[t], \qquad v[-1] = v_{init} \\
        s^* &= \max \{ s : u > lane\_threshold_s \} \quad (\ge \text{ with boundary ">="}) \\
        y[t] &= lane\_weight_{s^*}, \text{ or } 0 \text{ where no lane fires} \\
        v[t] &= u - lane\_reset_{s^*} \text{ ("subtract"), or } v_{reset} \text{ ("value"), where a lane fired; else } u

    Args:
        shape: the neuron's shape, without time and batch.
        decay: factor per step on the membrane after reset, broadcastable to ``shape``; never a time constant.
        gain: factor on the input, broadcastable to ``shape``.
        v_init: membrane before the first step, broadcastable to ``shape``.
        lane_threshold: (S, ...) thresholds; axis 0 is the lane, the others broadcast to ``shape``.
        lane_weight: (S, ...) values sent by the lanes.
        lane_reset: (S, ...) amounts subtracted when the lane fires; used by reset "subtract".
        v_reset: membrane after a spike; used by reset "value".
        reset: "subtract" or "value".
        boundary: ">" or ">=", how the membrane meets a threshold.

    Raises:
        GraphError: a field has the wrong shape, dtype or choice.

    Source: Abillama et al., IEEE Access 2025 (one-hot M-LIF), equations 8 and 9; with uniform lanes
    Castagnetti, Pegatoquet and Miramond, 2025, and Hao et al., NeurIPS 2024.
    """

    shape: Shape
    decay: NDArray[Any]
    gain: NDArray[Any]
    v_init: NDArray[Any]
    lane_threshold: NDArray[Any]
    lane_weight: NDArray[Any]
    lane_reset: NDArray[Any]
    v_reset: NDArray[Any]
    reset: str = "subtract"
    boundary: str = ">"

    def __post_init__(self) -> None:
        self.shape = as_shape(_WHERE, self.shape)
        self.reset = as_choice(_WHERE, "reset", self.reset, RESETS)
        self.boundary = as_choice(_WHERE, "boundary", self.boundary, BOUNDARIES)
        for name in _NEURON_FIELDS:
            array = as_number(_WHERE, name, getattr(self, name))
            require_broadcast(_WHERE, name, array, self.shape)
            setattr(self, name, array)
        for name in _LANE_FIELDS:
            array = as_number(_WHERE, name, getattr(self, name))
            if array.ndim == 0 or array.shape[0] < 1:
                raise GraphError(_WHERE, f"{name} of shape {array.shape} has no lane axis", "Axis 0 is the lane")
            require_broadcast(_WHERE, name, array[0], self.shape)
            setattr(self, name, array)
        counts = {getattr(self, name).shape[0] for name in _LANE_FIELDS}
        if len(counts) != 1:
            raise GraphError(_WHERE, f"the lane fields have {sorted(counts)} lanes", "Give each lane all its fields")
        self._set_types(self.shape, self.shape)

    @property
    def lanes(self) -> int:
        """S, the number of lanes."""
        return int(self.lane_threshold.shape[0])

    @classmethod
    def one_hot(
        cls,
        shape: Any,
        lanes: int,
        threshold: Any = 1.0,
        decay: Any = 1.0,
        reset: str = "subtract",
        boundary: str = ">",
        scaled: bool = False,
        *,
        gain: Any = 1.0,
        v_init: Any = 0.0,
        v_reset: Any = 0.0,
    ) -> MultiLevelLIF:
        """The one-hot M-LIF: lane s has weight w_s = 2^s, threshold w_s θ and soft reset w_s θ.

        Args:
            shape: the neuron's shape.
            lanes: S, at least 1; S = 1 is an ordinary LIF.
            threshold: θ, a number or an array broadcastable to ``shape``.
            decay: λ, broadcastable to ``shape``.
            reset: "subtract" (soft) or "value" (hard).
            boundary: ">" gives lane s the window (w_s θ, w_{s+1} θ], ">=" gives it [w_s θ, w_{s+1} θ).
            scaled: use w_s = 2^(s-S+1), so that the top lane has weight 1.
            gain: factor on the input; 0.5 with decay 0.5 is ``u += (x - u)/2``.
            v_init: membrane before the first step.
            v_reset: membrane after a spike with reset "value".

        Raises:
            GraphError: lanes below 1, or a field that does not fit.

        Source: Abillama et al., IEEE Access 2025, section III; the scaled weights are those of its
        spike-driven transformer.
        """
        if lanes < 1:
            raise GraphError(_WHERE, f"lanes {lanes} is below 1")
        theta = as_number(_WHERE, "threshold", threshold)
        theta = theta if theta.dtype.kind == "f" else theta.astype(np.float64)
        exponents = np.arange(lanes) - (lanes - 1 if scaled else 0)
        weights = np.exp2(exponents).astype(theta.dtype)
        steps = weights.reshape((lanes,) + (1,) * theta.ndim) * theta
        return cls(
            shape=shape,
            decay=decay,
            gain=gain,
            v_init=v_init,
            lane_threshold=steps,
            lane_weight=weights,
            lane_reset=steps.copy(),
            v_reset=v_reset,
            reset=reset,
            boundary=boundary,
        )

    @classmethod
    def uniform(
        cls,
        shape: Any,
        levels: int,
        step: Any,
        decay: Any = 1.0,
        v_init: Any = 0.0,
        output: str = "level",
        *,
        gain: Any = 1.0,
    ) -> MultiLevelLIF:
        """N equal levels of size q: z = clip(floor(u/q), 0, N), v = u - z q, y = z or z q.

        Level z fires while u >= z q (boundary ">="), compared with the product z q itself, so that every runtime
        decides alike where u/q would round.

        Args:
            shape: the neuron's shape.
            levels: N, at least 1; N = 1 is a binary IF.
            step: q, a positive number or an array broadcastable to ``shape``.
            decay: factor per step on the membrane.
            v_init: membrane before the first step (θ/2 after a QCFS conversion).
            output: "level" sends z, "value" sends z q.
            gain: factor on the input.

        Raises:
            GraphError: levels below 1, an unknown output, or a field that does not fit.

        Source: Castagnetti, Pegatoquet and Miramond, 2025 (multi-level IF, q = V_th/N), and
        Hao et al., NeurIPS 2024 (LM-HT, q = θ).
        """
        if levels < 1:
            raise GraphError(_WHERE, f"levels {levels} is below 1")
        as_choice(_WHERE, "output", output, ("level", "value"))
        q = as_number(_WHERE, "step", step)
        q = q if q.dtype.kind == "f" else q.astype(np.float64)
        numbers = np.arange(1, levels + 1).astype(q.dtype)
        steps = numbers.reshape((levels,) + (1,) * q.ndim) * q
        return cls(
            shape=shape,
            decay=decay,
            gain=gain,
            v_init=v_init,
            lane_threshold=steps,
            lane_weight=numbers if output == "level" else steps.copy(),
            lane_reset=steps.copy(),
            v_reset=np.asarray(0.0),
            reset="subtract",
            boundary=">=",
        )
