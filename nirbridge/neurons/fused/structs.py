"""What the compiled loops take together: parameters of all neurons, of a family, of a surrogate."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]


class Neurons(NamedTuple):
    """Parameters by group of neurons that share them.

    Attributes:
        v_init: membrane before the first step (G,).
        decay: λ (G,).
        quantum: θ or q (G,).
        mixing: Ω (T, T), by which the inputs are mixed to currents; (0, 0) where they are the currents.
    """

    v_init: Array
    decay: Array
    quantum: Array
    mixing: Array


class Lanes(NamedTuple):
    """Of one-hot neurons, numbers in the data's type.

    Attributes:
        gain: factor on the input.
        lowest: weight of the first lane, a power of two; each further lane is worth twice the one before.
        highest: weight of the last.
        strict: whether a lane fires above its threshold alone, not at it.
        hard: whether the membrane is ``v_reset`` after a spike, instead of lower by what was sent.
        v_reset: in the data's type.
    """

    gain: Any
    lowest: Any
    highest: Any
    strict: bool
    hard: bool
    v_reset: Any


class Levels(NamedTuple):
    """Of neurons with equal levels.

    Attributes:
        count: N, in the data's type.
        sends_values: whether z q is sent, instead of z.
    """

    count: Any
    sends_values: bool


class Window(NamedTuple):
    """Where the gradient passes: low <= u <= high, both (G,); whether it runs along the membrane elsewhere."""

    low: Array
    high: Array
    carries: bool


class Curve(NamedTuple):
    """The slope of a level over the membrane: Σ_k c_k h(u m_k - s_k).

    Attributes:
        kind: of h.
        rises: (c, m, s) of each term, by group (G, K, 3).
        series: numbers by which exp is computed.
        given: the slopes themselves [T, N], where the loops do not know h.
    """

    kind: int
    rises: Array
    series: Array
    given: Array
