"""How far above the largest known activation a code should reach: as far as half of the data should for the other half.

A range that ends too early cuts off what unseen data send, one that ends too late leaves fewer steps for all others.
Which of both is worse differs by layer, and two halves of the calibration data, which do not know each other, tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Array, Relu
from nirbridge.converting.observing import Half, Observed

_TRIED = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
_OF_FEW, _OF_FEW_FOR_SEVERAL = 2.5, 6.0
"""Where the samples are too few to be halved; room costs one spike resolution."""
_SPREADS = 5
"""Standard deviations above the mean that few values exceed."""
_VALUES = 4096
"""Of a layer and half, by which rounding is judged."""


@dataclass(frozen=True)
class _Part:
    """Values that are judged with the ranges of others.

    Attributes:
        inside: some of the activations above 0, cut off where ranges end, [margins, values].
        ends: of the ranges, alike.
        cut: squared error of what is cut off, [margins].
        share: activations that each of the values stands for.
        power: sum of the squared activations.
    """

    inside: Tensor
    ends: Tensor
    cut: Tensor
    share: float
    power: float


@dataclass(frozen=True)
class Trial:
    """What the code of a layer loses with different margins, half by half with the ranges of the other half.

    Attributes:
        margins: those that are tried; a single one is judged on all data with their own ranges.
        parts: the halves.
    """

    margins: tuple[float, ...]
    parts: tuple[_Part, ...]

    def losses(self, code: Code) -> Tensor:
        r"""Of each margin,

        .. math::
            \frac{\sum (a - \hat a)^2}{\sum a^2}
        """
        lost = torch.zeros(len(self.margins), dtype=torch.float64)
        for part in self.parts:
            scales = part.ends / code.largest
            lost += part.cut + part.share * ((part.inside - scales * code(part.inside / scales)) ** 2).sum(1)
        return lost / sum(part.power for part in self.parts) if self.parts else lost

    def best(self, code: Code) -> float:
        """The margin that loses least."""
        return self.margins[int(self.losses(code).argmin())] if len(self.margins) > 1 else self.margins[0]


def trial(code: Code, observed: Observed, node: Relu, margin: float | None) -> Trial:
    """Of one layer.

    Args:
        code: of the layer, but for its base.
        observed: what it sends.
        node: the activation.
        margin: None to try several, if there are halves.
    """
    if margin is None and observed.halves:
        pairs = zip(observed.halves, observed.halves[::-1], strict=True)
        return Trial(_TRIED, tuple(part for pair in pairs for part in _parts(observed, node, _TRIED, *pair)))
    tried = (margin or (_OF_FEW if code.spikes == 1 else _OF_FEW_FOR_SEVERAL),)
    whole = Half(observed.sample, torch.tensor(observed.largest.reshape(-1, 1)), observed.sample.shape[1])
    return Trial(tried, tuple(_parts(observed, node, tried, whole, whole)))


def _parts(observed: Observed, node: Relu, margins: Sequence[float], known: Half, other: Half) -> Iterator[_Part]:
    """``other`` with the ranges of ``known``; none where nothing is active in both."""
    largest = known.peaks[:, 0].double().numpy().reshape(observed.largest.shape)
    values = other.sample.double()
    row, place = ((values > 0) & (known.peaks[:, :1] > 0)).nonzero(as_tuple=True)
    if not len(row):
        return
    some = slice(None, None, max(1, len(row) // _VALUES))
    chosen, a = row[some], values[row[some], place[some]]
    share = len(row) / len(chosen) * other.count / values.shape[1]
    tops = torch.tensor(np.stack([reach(largest, margin, node).reshape(-1) for margin in margins]))
    beyond = (other.peaks.double() - tops[..., None]).clamp(min=0) * (tops > 0)[..., None]
    ends = tops[:, chosen]
    yield _Part(torch.minimum(a, ends), ends, (beyond**2).sum((1, 2)), share, share * float((a**2).sum()))


def reach(largest: Array, margin: float, node: Relu) -> Array:
    r"""Where a code ends that shall carry what unseen data send, of the shape of ``largest``.

    .. math::
        \min(\max(m \cdot max, \min(\beta + 5 |\gamma|, m^2 max)), ceiling)

    A batch normalisation knows more data than those of the calibration; how much more is limited.
    """
    expected = node.center + _SPREADS * node.spread
    expected = expected if largest.size > 1 else expected.max()  # a range for each channel, or one for the layer
    return np.minimum(np.maximum(margin * largest, np.minimum(expected, margin**2 * largest)), node.ceiling)
