"""Values that are computed few frames at a time, when their one reader asks for them.

What a synapse sends to a large layer then never leaves the cache, nor does it take memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nirbridge_norse.once import Once


@dataclass(frozen=True)
class Later:
    """What a function of [N, *in] makes of the frames of its source, [T, B, *in] → [T, B, *out].

    Attributes:
        function: of some frames, whatever the others are; of :class:`Once` of maps, and of which rows.
        source: all that enters.
        stage: whose function it is: a reader may form a product itself, or decide where sums are formed.
    """

    function: Callable[..., Tensor]
    source: Tensor | Once | Later
    stage: Any

    @property
    def extent(self) -> tuple[int, int]:
        """T and B."""
        source = self.source
        return (source.shape[0], source.shape[1]) if isinstance(source, Tensor) else source.extent

    @property
    def once(self) -> Once | None:
        """The spikes behind it, of windows that send their steps: these go row by row instead."""
        source = self.source
        return source.once if isinstance(source, Later) else source if isinstance(source, Once) else None

    def rows(self, window: int, samples: slice, first: int = 0, last: int | None = None) -> Tensor:
        """The values [T, b, C, rows, W] of some rows of maps, in all steps of a window."""
        if isinstance(self.source, Once):
            return self.function(self.source.step[window, samples], first, last)
        assert isinstance(self.source, Later)
        x = self.source.rows(window, samples, first, last)
        return self.function(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def whole(self) -> Tensor:
        """All values."""
        if self.once is None:
            return self.take(slice(None), slice(None))
        return torch.cat([self.rows(w, slice(None)) for w in range(len(self.once.step))])

    def take(self, steps: slice, samples: slice) -> Tensor:
        """The values [t, b, *out] of some steps and samples."""
        if isinstance(self.source, Later):
            x = self.source.take(steps, samples)
        else:
            assert isinstance(self.source, Tensor)
            x = self.source[steps, samples]
            # A copy keeps the order of channels, which folding time into the batch would lose here.
            x = x if len(x) == 1 or x.shape[1] == self.source.shape[1] else x.clone()
        return self.function(x.flatten(0, 1)).unflatten(0, x.shape[:2])
