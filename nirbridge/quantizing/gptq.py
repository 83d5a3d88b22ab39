"""Rounding of a layer's weights that keeps what the layer computes on calibration data (GPTQ).

Rounding each weight to the nearest integer keeps the weights; what matters is W·X.  Column after column is rounded,
and what that changes in W·X is taken out, as far as it goes, by the columns that are not rounded yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.primitives.spec import Array
from nirbridge.quantizing.scales import integers_of

DAMPING = 0.01
"""Of the mean of the Hessian's diagonal that is added to it."""
BLOCK = 128
"""Columns after which all later ones learn of the errors at once."""


def gptq(weight: Array, hessian: Array, step: Any, bits: int, damping: float = DAMPING) -> Array:
    r"""Integers Q for which :math:`tr((W - sQ) H (W - sQ)^T)` is small.

    Columns are rounded in the order of falling :math:`H_{jj}`.  With :math:`U` upper triangular,
    :math:`U^T U = (H + \lambda I)^{-1}`, each in turn does

    .. math::
        q_j = clip(round(w_j / s)), \qquad w_k \leftarrow w_k - \frac{w_j - s q_j}{U_{jj}} U_{jk} \quad (k > j)

    An input that was 0 in all data says nothing about its column, which is rounded to the nearest.

    Args:
        weight: W [..., out, in]; axes in front are layers beside each other, as the groups of a convolution.
        hessian: H = 2 X X^T [..., in, in], X being the layer's inputs on calibration data; its factor does not matter.
        step: s, what the integer 1 stands for: one number, or broadcastable to [..., out, 1].
        bits: of an integer, with sign.
        damping: λ over the mean of the diagonal.

    Returns:
        Integers [..., out, in], within ± (2^(bits-1) - 1); signs for 1 bit.

    Source: Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative
    Pre-trained Transformers", ICLR 2023, algorithm 1, and section 3.3 for blocks, damping and Cholesky.
    """
    w = np.array(weight, dtype=np.float64)
    s = np.broadcast_to(np.asarray(step, dtype=np.float64), (*w.shape[:-1], 1))[..., 0]
    h = np.asarray(hessian, dtype=np.float64)
    order = np.argsort(-np.diagonal(h, axis1=-2, axis2=-1), axis=-1, kind="stable")
    w = np.take_along_axis(w, order[..., None, :], -1)
    factor = _factor(np.take_along_axis(np.take_along_axis(h, order[..., None], -2), order[..., None, :], -1), damping)
    found = np.empty(w.shape)
    columns = w.shape[-1]
    for start in range(0, columns, BLOCK):
        stop = min(start + BLOCK, columns)
        errors = np.empty((*w.shape[:-1], stop - start))
        for j in range(start, stop):
            found[..., j] = integers_of(w[..., j] / s, bits)
            error = (w[..., j] - found[..., j] * s) / factor[..., j, j, None]
            w[..., j:stop] -= error[..., None] * factor[..., j, None, j:stop]
            errors[..., j - start] = error
        w[..., stop:] -= errors @ factor[..., start:stop, stop:]
    placed = np.empty_like(found)
    np.put_along_axis(placed, order[..., None, :], found, -1)
    return placed.astype(np.int16 if bits > 8 else np.int8)


def _factor(hessian: Array, damping: float) -> Array:
    """U with U^T U = (H + λI)^-1; inputs that were never active get a diagonal of 1 and meet no other."""
    damped = hessian.copy()
    diagonal = np.einsum("...ii->...i", damped)  # a view
    mean = diagonal.mean(axis=-1, keepdims=True)
    dead = diagonal == 0
    diagonal += damping * mean
    diagonal[dead] = 1.0
    lower = np.linalg.cholesky(np.linalg.inv(damped))
    return np.swapaxes(lower, -1, -2)
