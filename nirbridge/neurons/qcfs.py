"""QCFS: the quantised ReLU with which an ANN is trained before it becomes an LM-HT network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nirbridge.neurons.arguments import MAX_LEVELS, positive, whole
from nirbridge.neurons.base import SMALLEST_THRESHOLD
from nirbridge.neurons.gradients import bounded, straight_through


class QCFS(nn.Module):
    """Quantisation-clip-floor-shift activation with a learnable ceiling; no state and no time.

    Equation::

        y = λ_q clip(floor(x Q/λ_q + 1/2)/Q, 0, 1)

    Backward: straight through the floor, so dy/dx = 1 where 0 <= x <= λ_q, else 0, and dy/dλ_q = 1 above λ_q,
    y/λ_q - x/λ_q within, 0 below.

    Args:
        levels: Q, 1 to 65536.
        scale: where λ_q starts.

    Attributes:
        scale: λ_q, a scalar parameter (used above 0 only).

    Shapes:
        any shape, kept.

    Raises:
        InputError: levels outside 1 to 65536, or a scale that is not positive.

    Source: Hao et al., NeurIPS 2024, equation 7.
    """

    def __init__(self, levels: int, scale: float = 8.0) -> None:
        super().__init__()
        self.levels = whole("QCFS", "levels", levels, 1, MAX_LEVELS)
        self.scale = nn.Parameter(torch.tensor(positive("QCFS", "scale", scale), dtype=torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """y of the same shape as ``x``."""
        scale = bounded(self.scale, SMALLEST_THRESHOLD, float("inf"))
        level = x * self.levels / scale
        window = (level.new_zeros(()), level.new_tensor(float(self.levels)))
        rounded = torch.floor(level.detach() + 0.5).clamp(0, self.levels)
        return scale * (straight_through(level, rounded, window) / self.levels)

    def extra_repr(self) -> str:
        """Q and the present λ_q."""
        return f"levels={self.levels}, scale={self.scale.item():g}"
