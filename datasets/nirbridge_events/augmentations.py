"""Augmentations of encoded samples, as the papers use them for DVS-CIFAR10: torch, [T, P, H, W] -> [T, P, H, W].

All frames of a sample change alike, and no value is invented: pixels move or become 0, so that one-hot frames stay
one-hot.  Random numbers are torch's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nirbridge.errors import InputError

__all__ = ["FlipAndRoll", "NeuromorphicAugment", "cut_out", "rotated"]


class FlipAndRoll:
    """With a probability mirrored left and right, then rolled by whole pixels.

    Args:
        roll: the farthest roll along each axis.
        flip: probability of mirroring.

    Raises:
        InputError: an argument is out of range.

    Source: public code of Abillama et al., IEEE Access 2025, with its defaults.
    """

    def __init__(self, roll: int = 5, flip: float = 0.5) -> None:
        if roll < 0 or not 0 <= flip <= 1:
            raise InputError("FlipAndRoll", f"roll {roll}, flip {flip}", "Give a roll >= 0 and a flip in 0..1")
        self.roll, self.flip = roll, flip

    def __call__(self, frames: Tensor) -> Tensor:
        """[T, P, H, W] -> [T, P, H, W]."""
        if torch.rand(()) < self.flip:
            frames = frames.flip(-1)
        dy, dx = torch.randint(-self.roll, self.roll + 1, (2,)).tolist()
        return frames.roll((dy, dx), (-2, -1))


class NeuromorphicAugment:
    """With a probability mirrored, then ``count`` times one of: rolled, rotated, or a part cut out.

    Each time the one is drawn anew, so it may come twice.

    Args:
        roll: the farthest roll along each axis.
        degrees: the farthest rotation.
        cut: sides of the part, as shares of the frame's.
        flip: probability of mirroring.
        count: how many changes.

    Raises:
        InputError: an argument is out of range.

    Source: public code of Hao et al., NeurIPS 2024, with its defaults; Li et al. 2022, "Neuromorphic
    data augmentation for training spiking neural networks".
    """

    def __init__(
        self, roll: int = 7, degrees: float = 45.0, cut: float = 0.5, flip: float = 0.5, count: int = 2
    ) -> None:
        if not (0 <= degrees <= 180 and 0 <= cut <= 1 and count >= 0):
            found = f"degrees {degrees}, cut {cut}, count {count}"
            raise InputError("NeuromorphicAugment", found, "Give degrees in 0..180, a cut in 0..1 and a count >= 0")
        self.degrees, self.cut, self.count = degrees, cut, count
        self._flip, self._roll = FlipAndRoll(0, flip), FlipAndRoll(roll, 0)

    def __call__(self, frames: Tensor) -> Tensor:
        """[T, P, H, W] -> [T, P, H, W]."""
        changes = (self._roll, self._rotate, self._cut_out)
        frames = self._flip(frames)
        for which in torch.randint(len(changes), (self.count,)).tolist():
            frames = changes[which](frames)
        return frames

    def _rotate(self, frames: Tensor) -> Tensor:
        return rotated(frames, float(torch.empty(()).uniform_(-self.degrees, self.degrees)))

    def _cut_out(self, frames: Tensor) -> Tensor:
        row, column = (int(torch.randint(side, ())) for side in frames.shape[-2:])
        return cut_out(frames, row, column, self.cut)


def rotated(frames: Tensor, degrees: float) -> Tensor:
    """Counterclockwise about the middle; each pixel takes the nearest one's value, 0 outside."""
    height, width = frames.shape[-2:]
    angle = math.radians(degrees)
    y = torch.arange(height)[:, None] - (height - 1) / 2
    x = torch.arange(width) - (width - 1) / 2
    from_x = torch.round(math.cos(angle) * x - math.sin(angle) * y + (width - 1) / 2).long()
    from_y = torch.round(math.sin(angle) * x + math.cos(angle) * y + (height - 1) / 2).long()
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    moved = frames[..., from_y.clamp(0, height - 1), from_x.clamp(0, width - 1)]
    return moved * inside.to(frames.dtype)


def cut_out(frames: Tensor, row: int, column: int, share: float) -> Tensor:
    """0 in a part around a pixel, whose sides are ``share`` of the frame's; what lies outside is left away."""
    result = frames.clone()
    height, width = (int(share * side) for side in frames.shape[-2:])
    top, left = row - height // 2, column - width // 2
    bottom, right = row + height // 2, column + width // 2
    result[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 0
    return result
