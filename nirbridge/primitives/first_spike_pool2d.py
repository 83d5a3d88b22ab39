"""Max pooling of a phase code, which exists between passes and runtimes only."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives import pooling
from nirbridge.primitives.examples import no_examples
from nirbridge.primitives.spec import PASSED, Array, Integers, Spec, Window, transparent


@dataclass(eq=False)
class FirstSpikePool2d(nir.NIRNode):
    """Max pooling of a phase code; never stored.

    The neurons under a spatial window race in each window of ``phases`` steps: an output spikes at a step at which any
    of those still in the race do, and the others then leave it until the next window.  So it sends the largest of
    their trains, read as a number whose first digit is the first step, which is that of the largest membrane
    (:class:`~nirbridge.primitives.PhaseIF`); of single spikes it is the first.
    """

    kernel_size: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]
    phases: int

    def __post_init__(self) -> None:
        self.input_type = {"input": None}
        self.output_type = {"output": None}


def first_spikes(over: pooling.Spans, x: Array) -> Array:
    """A step at which some of those in the race spike ends the race for the others; [W, N, ...] of one window."""
    racing, wins = np.ones((), bool), []
    for frame in x:
        spikes = racing & (pooling.under(over, frame, 0) != 0)
        wins.append(spikes.any(axis=(-2, -1)))
        racing = spikes | (racing & ~wins[-1][..., None, None])
    return np.stack(wins).astype(x.dtype)


_OWN: dict[str, Any] = {
    "by_hand": "it looks back over a whole window of steps and of space",
    "window": Window(steps=lambda node: node.phases, ratio=lambda node: Fraction(1)),
}
SPEC = Spec(
    **(pooling.SHARED | _OWN),
    node=FirstSpikePool2d,
    stored=False,
    operation="first spike pool",
    sends=PASSED,
    integers=Integers(quantise="pool"),
    cost=transparent(
        "the first spike passes, with all of its train; the published models price no pooling", pooling.channel_unit
    ),
    chip=pooling.refused(pooling.MAXIMUM),
    draws=(),
    examples=no_examples,
    integer_examples=no_examples,
)
