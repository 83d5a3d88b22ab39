"""The integers of weights that lie on a grid of their own in every row."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def integers_on_a_grid(rows: Array, bits: int) -> Array:
    """q of rows s q, |q| <= 2^(bits-1) - 1, by the step s of each row with which its values are nearest to whole."""
    most = 2 ** (bits - 1) - 1
    tried = np.abs(rows).max(axis=1, keepdims=True) / np.arange(1, most + 1)
    apart = [np.abs(rows / step[:, None] - np.rint(rows / step[:, None])).max(axis=1) for step in tried.T]
    levels = rows / np.take_along_axis(tried, np.argmin(apart, axis=0)[:, None], 1)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-6)
    return np.rint(levels)
