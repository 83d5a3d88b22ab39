"""Whether our numbers support a claim, by one rule for all of them.

A difference of two means counts where it exceeds the spread s = sqrt(s_a² + s_b²) of the difference of two runs, but
at least the worth of one test sample. "supported": what is claimed lies beyond s; "not supported": its contrary does;
"undecided": neither.  A bound on a loss or a ratio is judged likewise by the distance of the mean from the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from .statistics import Sample

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"


@dataclass(frozen=True)
class Finding:
    """What our numbers say of a claim.

    Attributes:
        verdict: one of the three words.
        numbers: what it rests on.
    """

    verdict: str
    numbers: str


def larger(a: Sample, b: Sample, least: float, unit: str = "points") -> Finding:
    """The claim a > b.

    Args:
        a: one number for each seed.
        b: likewise.
        least: the smallest spread, as the worth of one test sample.
        unit: of the difference.
    """
    difference, spread = a.mean - b.mean, max(hypot(a.spread, b.spread), least)
    numbers = f"{a.text()} against {b.text()}: {difference:+.1f} {unit}, spread {spread:.1f}"
    return Finding(_judged(difference, spread), numbers)


def within(a: Sample, b: Sample, margin: float, unit: str = "points") -> Finding:
    """The claim that a is at most ``margin`` below b, of means alone: "supported" or "not supported"."""
    loss = b.mean - a.mean
    numbers = f"{a.text()} against {b.text()}: {-loss:+.1f} {unit}, {margin:g} may be lost"
    return Finding(SUPPORTED if loss <= margin + 1e-9 else NOT_SUPPORTED, numbers)


def at_least(value: Sample, bound: float, unit: str = "×") -> Finding:
    """The claim value >= bound, beyond the spread of the value."""
    numbers = f"{value.text(2)}{unit}, bound {bound:g}{unit}"
    return Finding(_judged(value.mean - bound, value.spread), numbers)


def at_most(value: Sample, bound: float, unit: str = "") -> Finding:
    """The claim value <= bound, beyond the spread of the value."""
    numbers = f"{value.text(2)}{unit}, bound {bound:g}{unit}"
    return Finding(_judged(bound - value.mean, value.spread), numbers)


def _judged(distance: float, spread: float) -> str:
    """By how far the claimed side is taken."""
    if distance >= spread and distance > 0:
        return SUPPORTED
    return NOT_SUPPORTED if distance <= -spread and distance < 0 else UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper beside our finding.

    Attributes:
        paper: what is claimed, with its figure.
        ours: what of it we test.
        finding: what our numbers say.
        why: a reason for a finding that does not support the claim, said where there is one.
    """

    paper: str
    ours: str
    finding: Finding
    why: str = ""

    @property
    def reason(self) -> str:
        """``why`` where it applies."""
        return "" if self.finding.verdict == SUPPORTED else self.why
