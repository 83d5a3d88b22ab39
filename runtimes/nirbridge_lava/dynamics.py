"""One step of every stateful node, as pure functions of flat float64 vectors.

Each ``*_step`` takes parameters, the input x (samples, n) and the state (rows, samples, n), and returns the output and
the new state; the membrane is the state's last row.
The expressions are those of the definition, term by term, so that double precision rounds alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
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


class Fire(NamedTuple):
    """What a binary neuron compares with and falls back to; with ``amount`` a spike takes that off instead."""

    v_threshold: Array
    v_reset: Array
    amount: Array | None = None


class Integrate(NamedTuple):
    """v += r x; ``fire`` is None for an integrator that sends its membrane."""

    r: Array
    fire: Fire | None


class Leak(NamedTuple):
    """v += rate (v_leak - v + r x), with rate = dt/tau."""

    rate: Array
    r: Array
    v_leak: Array
    fire: Fire | None


class Current(NamedTuple):
    """i += rate (w_in x - i) before the membrane ``leak`` takes i for its input."""

    rate: Array
    w_in: Array
    leak: Leak


def lanes_step(p: Lanes, x: Array, state: Array) -> Step:
    """u = decay v + gain x; the highest lane over its threshold sends its weight and resets by its own amount."""
    return lanes_fired(p, p.decay * state[0] + (x if p.gain is None else p.gain * x))


def lanes_fired(p: Lanes, u: Array) -> Step:
    """What the membrane u (samples, n) sends, and the new state."""
    if p.threshold.ndim == 1:
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


def integrate_step(p: Integrate, x: Array, state: Array) -> Step:
    """v += r x, per step; a spike as in :func:`fired`."""
    y, v = fired(p.fire, state[0] + p.r * x)
    return y, v[None]


def leak_step(p: Leak, x: Array, state: Array) -> Step:
    """v += dt/tau (v_leak - v + r x); a spike as in :func:`fired`."""
    y, v = fired(p.fire, _leaked(p, x, state[0]))
    return y, v[None]


def current_step(p: Current, x: Array, state: Array) -> Step:
    """i += dt/tau_syn (w_in x - i), then the membrane as in :func:`leak_step` with input i."""
    i, v = state
    i = i + p.rate * (p.w_in * x - i)
    y, v = fired(p.leak.fire, _leaked(p.leak, i, v))
    return y, np.stack([i, v])


def delay_step(steps: Array, x: Array, state: Array) -> Step:
    """y(t) = x(t - steps), each neuron by its own number; row k of the state holds x(t - 1 - k)."""
    past = np.concatenate([x[None], state])
    return np.take_along_axis(past, steps[None, None], axis=0)[0], past[:-1]


def _leaked(p: Leak, x: Array, v: Array) -> Array:
    return v + p.rate * (p.v_leak - v + p.r * x)


def fired(p: Fire | None, v: Array) -> Step:
    """A spike where v > v_threshold, then v = v_reset or v -= amount; where p is None the membrane itself."""
    if p is None:
        return v, v
    spikes = v > p.v_threshold
    return spikes.astype(v.dtype), np.where(spikes, p.v_reset if p.amount is None else v - p.amount, v)
