"""One step back of a one-hot neuron: the innermost loops.

g_u = g_y slope + carried, and carried = decay g_u of the next step, or 0 where a hard reset cut it off, which is where
u >= ``ends`` (NaN with a soft reset: nowhere). The slope of one triangle is computed on the way, others come as a row.
Nothing else is summed where no parameter learns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums

Array = NDArray[Any]


@compiled
def back_by_one_hat(grad: Array, u: Array, later: Array, out: Array, decay: Any, ends: Any, hat: Array) -> None:
    """g_u into ``out``; ``later`` is g_u of the next step; ``hat``: height, factor of u and shift of a triangle."""
    zero, one = u.dtype.type(0), u.dtype.type(1)
    c0, m0, s0 = hat[0], hat[1], hat[2]
    for i in range(out.shape[0]):
        membrane, following = u[i], decay * later[i]
        h0 = one - np.abs(membrane * m0 - s0)
        out[i] = grad[i] * (c0 * (h0 if h0 > zero else zero)) + (zero if membrane >= ends else following)


@compiled
def back_by_slope(grad: Array, u: Array, later: Array, slope: Array, out: Array, decay: Any, ends: Any) -> None:
    """The same for any slope."""
    zero = u.dtype.type(0)
    for i in range(out.shape[0]):
        following = decay * later[i]
        out[i] = grad[i] * slope[i] + (zero if u[i] >= ends else following)


@compiled_sums
def sums_of_step(
    grad: Array, u: Array, later: Array, slope: Array, level: Array, decay: Any, ends: Any
) -> tuple[Any, Any]:
    """Σ g_y slope u and Σ g_v level."""
    zero = u.dtype.type(0)
    by_level = by_reset = zero
    for i in range(u.shape[0]):
        following = decay * later[i]
        by_level += grad[i] * slope[i] * u[i]
        by_reset += (zero if u[i] >= ends else following) * level[i]
    return by_level, by_reset


@compiled_sums
def dot(a: Array, b: Array) -> Any:
    """Σ a b."""
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total
