"""The values of a layer of lava-dl, judged: what Loihi's synapses hold, and what follows a neuron."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError, GraphWarning, brief
from nirbridge.importing.netx_file import Fields

_WEIGHTS = (-256, 254)
"""Signed 8-bit weights of Loihi in steps of 2, or 0..255 and -256..0 where all have one sign."""


def shape_of(fields: Fields, name: str = "shape") -> tuple[int, ...]:
    """Sizes from 1 on.

    Raises:
        GraphError: one is less.
    """
    found = fields.whole(name).reshape(-1)
    if not found.size or (found < 1).any():
        raise GraphError(fields.where, f"'{name}' holds {found.tolist()}, which is no shape", "Export it again")
    return tuple(int(n) for n in found)


def bias_of(fields: Fields, count: int) -> NDArray[np.int64]:
    """One number, or one for each neuron or channel; 0 where there is none.

    Raises:
        GraphError: there are others.
    """
    bias = fields.whole("bias", 0).reshape(-1)
    if bias.size not in (1, count):
        raise GraphError(fields.where, f"'bias' has {bias.size} values, expected 1 or {count}", "Export it again")
    return bias


def weights_of(fields: Fields, name: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A matrix, which a layer with one neuron or one input may store flat.

    Raises:
        GraphError: it has another shape, as where it is transposed, or weights beyond 8 bits.
    """
    weight = fields.whole(name)
    if [n for n in weight.shape if n != 1] != [n for n in shape if n != 1]:
        raise GraphError(fields.where, f"'{name}' has shape {weight.shape}, expected {shape}", "Export it again")
    _require_eight_bits(fields, name, weight)
    return weight.reshape(shape)


def kernel_of(fields: Fields) -> NDArray[np.int64]:
    """(out, in, height, width); some versions write an axis of time behind."""
    weight = fields.whole("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4:
        raise GraphError(fields.where, f"'weight' has shape {weight.shape}, expected 4 axes", "Export it again")
    _require_eight_bits(fields, "weight", weight)
    return weight


def _require_eight_bits(fields: Fields, name: str, weight: NDArray[np.int64]) -> None:
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low < _WEIGHTS[0] or high > (_WEIGHTS[1] if low < 0 else 255):
        raise GraphError(fields.where, f"'{name}' holds {low} to {high}, beyond 8 bits", "Quantise it in lava-dl")
    coarse = low < 0 < high and (high > 127 or low < -128) and (weight % 2).any()
    if coarse:
        found = (
            f"'{name}' holds odd numbers and spans {low} to {high}: Loihi cuts them to even ones, the graph does not"
        )
        warnings.warn(f"{fields.where}: {found}.", GraphWarning, stacklevel=5)


def pair_of(fields: Fields, name: str, default: int) -> tuple[int, int]:
    """Along height and width, from the default on; one number is for both."""
    found = fields.whole(name, default).reshape(-1)
    if found.size not in (1, 2) or (found < default).any():
        raise GraphError(
            fields.where, f"'{name}' holds {brief(found.tolist())}, expected one or two numbers from {default} on"
        )
    return int(found[0]), int(found[-1])


def delay_of(fields: Fields) -> NDArray[np.int64] | None:
    """Steps, flat; None where nothing is late."""
    if "delay" not in fields.values:
        return None
    delay = fields.whole("delay").reshape(-1)
    if (delay < 0).any():
        raise GraphError(fields.where, f"'delay' holds {delay.min()}, which is negative", "Export it again")
    return delay if delay.any() else None
