"""Random networks of concatenations, moved values, pools and slopes: each spiking graph is the network in codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.converting.exact import assert_exact

Draws = list[int]


def _like(s: Tensor, made: list[Tensor], draw: int, axes: tuple[int, ...]) -> Tensor:
    """One of the tensors so far that has the same sizes along these axes."""
    same = [t for t in made if all(t.shape[axis] == s.shape[axis] for axis in axes)]
    return same[draw % len(same)]


def _shuffle(s: Tensor) -> Tensor:
    batch, channels, height, width = s.shape
    if channels % 2:
        return s
    return s.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def _window(s: Tensor) -> int:
    return 2 if min(s.shape[2:]) > 1 else 1


STEPS: dict[str, Callable[[Tensor, list[Tensor], Draws], Tensor]] = {
    "join channels": lambda s, made, d: torch.cat([s, _like(s, made, d[0], (2, 3))], 1),
    "join columns": lambda s, made, d: torch.cat([s, _like(s, made, d[0], (1, 2))], 3),
    "shuffle": lambda s, made, d: _shuffle(s),
    "half": lambda s, made, d: s.chunk(2, 1)[d[0] % min(2, s.shape[1])],
    "max": lambda s, made, d: functional.max_pool2d(s, _window(s), ceil_mode=bool(d[0] % 2)),
    "mean": lambda s, made, d: functional.avg_pool2d(s, _window(s), 1 + d[1] % 2, ceil_mode=bool(d[0] % 2)),
    "turn": lambda s, made, d: s.flip(1 + d[0] % 3),
    "enlarge": lambda s, made, d: functional.interpolate(s, scale_factor=2) if max(s.shape[2:]) < 9 else s,
    "share": lambda s, made, d: functional.adaptive_avg_pool2d(s, (1 + d[0] % 5, 1 + d[1] % 5)),
    "slice": lambda s, made, d: s[:, :, d[0] % s.shape[2] :, :: 1 + d[1] % 2],
    "add": lambda s, made, d: s + _like(s, made, d[0], (1, 2, 3)) * (1 if d[1] % 2 else 0.5),
    "take off": lambda s, made, d: 0.7 - s,
    "pad": lambda s, made, d: functional.pad(s, (d[0] % 2, d[1] % 2, d[2] % 2, 0)),
    "unshuffle": lambda s, made, d: functional.pixel_unshuffle(s, 2) if not (s.shape[2] | s.shape[3]) % 2 else s,
}


class RandomNet(nn.Module):
    """Three to seven steps, each from any tensor before it; every other one is a convolution with an activation."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.plan = [
            (str(rng.choice(list(STEPS))), rng.integers(0, 100, 4).tolist()) for _ in range(rng.integers(3, 8))
        ]
        self.convs = nn.ModuleList([nn.LazyConv2d(4, 1) if n % 2 else nn.Identity() for n in range(len(self.plan))])
        self.last, self.head = nn.LazyConv2d(4, 1), nn.LazyLinear(3)
        self(torch.zeros(1, 2, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        made = [functional.relu(self.stem(x))]
        for number, (step, draws) in enumerate(self.plan):
            s = STEPS[step](made[draws[3] % len(made)], made, draws)
            if number % 2:
                s = functional.leaky_relu(self.convs[number](s), 0.3 * (draws[0] % 2))
            made.append(s)
        return self.head(functional.relu(self.last(made[-1])).flatten(1))


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
def test_random_networks_are_exact(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((4, 2, 6, 6))
    assert_exact(RandomNet(seed), np.abs(x) if seed % 2 else x)
