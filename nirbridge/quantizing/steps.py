"""What the integer 1 stands for in the weights of a layer: one step for all, or one for each output channel."""

from __future__ import annotations

import numpy as np

from nirbridge.primitives.spec import Array
from nirbridge.quantizing.scales import integers_of, largest_weight, parts_of, weight_exponent

_PARTS = 8
"""Steps of one channel that are tried within a factor of two."""
_FINEST = 3
"""Bits by which a channel's step may be finer than the one at which all of its weights fit."""


def layer_step(weight: Array, bits: int, coarser: int | Array = 0) -> Array:
    """The power of two with the least squared error, raised by the most of ``coarser`` bits."""
    return np.asarray(2.0 ** (np.max(coarser) - weight_exponent(weight, bits)))


def channel_steps(rows: Array, bits: int, unit: Array | None = None) -> Array:
    """For each row the step with the least squared error, of a grid that starts where all of its weights fit.

    Args:
        rows: weights [..., out, in].
        bits: of an integer, with sign.
        unit: [..., out, 1], of which every step must be a power of two; None for any real steps.

    Returns:
        Steps [..., out, 1].  A channel without weights takes the largest step of the layer.  One whose weights are
        multiples of a power of two, as in a graph that was quantised, takes that: nothing of it is rounded.
    """
    flat = rows.reshape(-1, rows.shape[-1])
    parts = list(parts_of(flat))
    top = np.concatenate([np.abs(flat[part]).max(axis=-1, keepdims=True) for part in parts]) / largest_weight(bits)
    filled = np.where(top > 0, top, top.max(initial=0.0) or 1.0)
    each = np.broadcast_to(1.0 if unit is None else unit, (*rows.shape[:-1], 1)).reshape(-1, 1)
    fitting = each * 2.0 ** np.ceil(np.log2(filled / each) - 1e-9)
    if unit is None:
        tried = [filled * 2.0 ** (-part / _PARTS) for part in range(_FINEST * _PARTS + 1)]
    else:
        tried = [fitting * 2.0**-part for part in range(_FINEST + 1)]
    found = np.concatenate([_least(flat[part], [step[part] for step in tried], bits) for part in parts])
    whole = np.concatenate([(np.fmod(flat[part], fitting[part]) == 0).all(-1, keepdims=True) for part in parts])
    found = np.where(whole & (top > 0), fitting, found)
    return found.reshape(*rows.shape[:-1], 1)


def _least(rows: Array, tried: list[Array], bits: int) -> Array:
    """For each row the one of the tried steps with the least squared error."""
    found, least = tried[0], np.full(tried[0].shape, np.inf)
    for step in tried:
        error = np.square(integers_of(rows / step, bits) * step - rows).sum(axis=-1, keepdims=True)
        found, least = np.where(error < least, step, found), np.minimum(error, least)
    return np.asarray(found)
