"""One step of every stateful node, as pure functions of flat float64 vectors.

Each takes parameters, the input x (samples, n) and the state (rows, samples, n), and returns the output and the new
state.  The expressions are those of the definition, term by term, so that double precision rounds alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nirbridge.runtime import Array
from nirbridge.runtime.stepping import Stepping

Step = tuple[Array, Array]


class Lanes(NamedTuple):
    """Parameters of a multi-level neuron.

    ``threshold`` is (S,) where all neurons share their lanes, else (S, n); ``weight`` and ``amount`` have one row more,
    the first for "no lane fires", so that the number of thresholds passed selects the row.  ``gain`` is None for 1,
    and ``amount`` for a reset by what is sent.
    """

    decay: Array
    gain: Array | None
    threshold: Array
    inclusive: bool
    weight: Array
    amount: Array | None
    v_reset: Array | None


def run_step(p: tuple[Stepping, tuple[Array, ...]], x: Array, state: Array) -> Step:
    """A primitive's own step; its parameters are flat vectors."""
    stepping, parameters = p
    y, *after = (value.astype(x.dtype, copy=False) for value in stepping.step(x, *state, *parameters))
    return y, after[0][None] if len(after) == 1 else np.stack(after)


def lanes_step(p: Lanes, x: Array, state: Array) -> Step:
    """u = decay v + gain x; the highest lane over its threshold sends its weight and resets by its own amount."""
    return lanes_fired(p, p.decay * state[0] + (x if p.gain is None else p.gain * x))


def lanes_fired(p: Lanes, u: Array) -> Step:
    """What the membrane u (samples, n) sends, and the new state."""
    if len(p.threshold) == 1:
        passed = u >= p.threshold[0] if p.inclusive else u > p.threshold[0]
        y = np.where(passed, p.weight[1], p.weight[0])
        amount = y if p.amount is None else np.where(passed, p.amount[1], p.amount[0])
    elif p.threshold.ndim == 1:
        passed = p.threshold.searchsorted(u, "right" if p.inclusive else "left")
        y = p.weight[passed]
        amount = y if p.amount is None else p.amount[passed]
    else:
        limits = p.threshold[:, None]
        passed = (u >= limits if p.inclusive else u > limits).sum(axis=0)
        each = np.arange(u.shape[-1])
        y = p.weight[passed, each]
        amount = y if p.amount is None else p.amount[passed, each]
    v = u - amount if p.v_reset is None else np.where(passed > 0, p.v_reset, u)
    return y, v[None]
