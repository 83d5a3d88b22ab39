"""Values that are computed few frames at a time, when their one reader asks for them.

What a synapse sends to a large layer then never leaves the cache, nor does it take memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Later:
    """What a function of [N, *in] makes of the frames of its source, [T, B, *in] → [T, B, *out].

    Attributes:
        function: of some frames, whatever the others are.
        source: all that enters.
        factor: where the function is nothing but a product with it, so that a reader may form that itself.
    """

    function: Callable[[Tensor], Tensor]
    source: Tensor | Later
    factor: Tensor | None = None

    @property
    def extent(self) -> tuple[int, int]:
        """T and B."""
        source = self.source
        return source.extent if isinstance(source, Later) else (source.shape[0], source.shape[1])

    def take(self, steps: slice, samples: slice) -> Tensor:
        """The values [t, b, *out] of some steps and samples."""
        if isinstance(self.source, Later):
            x = self.source.take(steps, samples)
        else:
            x = self.source[steps, samples]
            # A copy keeps the order of channels, which folding time into the batch would lose here.
            x = x if len(x) == 1 or x.shape[1] == self.source.shape[1] else x.clone()
        return self.function(x.flatten(0, 1)).unflatten(0, x.shape[:2])
