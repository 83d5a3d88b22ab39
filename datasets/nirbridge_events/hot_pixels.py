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
        hot where n > 0 and d > 5·s

    So moving edges and bright regions, which raise a pixel together with its neighbours, do not count; up to three hot
    pixels beside each other are found.

    Args:
        counts: [H, W], events of each pixel.

    Returns:
        bool [H, W].

    Source: the transform of Anscombe 1948 and the spread of Hampel 1974, applied to the neighbourhood of a pixel.
    """
    active = np.flatnonzero(counts)
    if not len(active):
        return np.zeros(counts.shape, dtype=np.bool_)
    steady = 2 * np.sqrt(np.asarray(counts, dtype=np.float64) + 0.375)
    difference = steady.reshape(-1)[active] - _median_of_neighbours(steady, active)
    spread = _NORMAL * float(np.median(np.abs(difference - np.median(difference))))
    hot = np.zeros(counts.size, dtype=np.bool_)
    hot[active] = difference > SPREADS * max(1.0, spread)
    return hot.reshape(counts.shape)


def _median_of_neighbours(values: npt.NDArray[Any], at: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Of some of the pixels, by their flat index."""
    wide = np.pad(values, 1, mode="reflect")
    rows, columns = np.divmod(at, values.shape[1])
    row = wide.shape[1]
    corner = rows * row + columns  # the left upper neighbour
    steps = np.array([0, 1, 2, row, row + 2, 2 * row, 2 * row + 1, 2 * row + 2])
    around = wide.reshape(-1)[corner[:, np.newaxis] + steps]
    around.sort(axis=1)
    return np.asarray((around[:, 3] + around[:, 4]) / 2)
