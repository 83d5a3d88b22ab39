"""Hot pixels: those that send far more events than the scene around them explains."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
SPREADS = 5.0
"""How many spreads above its neighbours a pixel is hot: one of 3·10^6 would be by chance, were its counts normal."""
_NORMAL = 1.4826
"""What the median absolute deviation of normal numbers is smaller than their standard deviation."""


def find_hot_pixels(counts: npt.NDArray[Any]) -> Mask:
    """The pixels with far more events than those around them.

    With n(x, y) the number of events of a pixel,

        a = 2·sqrt(n + 3/8)                       which has a variance of 1 wherever n is Poisson, however bright it is
        d = a - the median of a over the eight neighbours (at the border mirrored)
        s = the larger of 1 and 1.4826 · the median of |d - median d|, over pixels that have events
        hot where d > 5·s

    So moving edges and bright regions, which raise a pixel together with its neighbours, do not count; up to three hot
    pixels beside each other are found.

    Args:
        counts: [H, W], events of each pixel.

    Returns:
        bool [H, W].

    Source: the transform of Anscombe 1948 and the spread of Hampel 1974, applied to the neighbourhood of a pixel.
    """
    steady = 2 * np.sqrt(counts + 0.375)
    difference = steady - _median_of_neighbours(steady)
    active = difference[counts > 0]
    if not len(active):
        return np.zeros(counts.shape, dtype=np.bool_)
    spread = _NORMAL * float(np.median(np.abs(active - np.median(active))))
    return np.asarray(difference > SPREADS * max(1.0, spread))


def _median_of_neighbours(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    height, width = values.shape
    wide = np.pad(values, 1, mode="reflect")
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = np.stack([wide[i : i + height, j : j + width] for i, j in places])
    around.sort(axis=0)
    return np.asarray((around[3] + around[4]) / 2)
