"""Dropout that treats the time steps of an image alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.neurons.arguments import choose, number
from nirbridge.neurons.overtime import time_steps, unfold

MASKS = ("image", "step")


class TimeDropout(nn.Module):
    """Dropout with one mask for all steps of an image, so that an input is there or away for the whole run.

    y = x m / (1 - p), each element of m 0 with probability p, else 1. ``nn.Dropout`` inside ``OverTime`` draws anew
    in every step; over T steps its noise then averages out. In evaluation, and in graphs, y = x.

    Args:
        p: share that is dropped, from 0 to below 1.
        mask: "image" draws one mask for all steps, "step" one for each.

    Shapes:
        any shape, kept: [T*B, ...] inside ``OverTime``; outside of it there is no time, and each sample has its mask.

    Raises:
        InputError: p outside 0 to 1, or an unknown mask.

    Source: Abillama et al., IEEE Access 2025, training of static images (public code: one mask per image and
    lane, here one per image).
    """

    def __init__(self, p: float = 0.5, mask: str = "image") -> None:
        super().__init__()
        self.p = number("TimeDropout", "p", p)
        if not 0.0 <= self.p < 1.0:
            raise InputError("TimeDropout", f"p is {self.p:g}, not from 0 to below 1", "Use for instance 0.1")
        self.mask = choose("TimeDropout", "mask", mask, MASKS)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        if not self.training or self.p == 0.0:
            return x
        steps = time_steps()
        if steps is None or self.mask == "step":
            return nn.functional.dropout(x, self.p)
        sequence = unfold(x, steps, "TimeDropout")
        kept: Any = nn.functional.dropout(torch.ones_like(sequence[0]), self.p)
        return (sequence * kept).reshape(x.shape)

    def extra_repr(self) -> str:
        """p and the kind of mask."""
        return f"p={self.p:g}, mask={self.mask!r}"
