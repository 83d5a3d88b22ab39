"""Outputs of all steps → one score for each class after every step."""

from __future__ import annotations

import numpy as np

from nirbridge.ir import is_coded
from nirbridge.runtime import Array, Plan


def phase_windows(plan: Plan, steps: int) -> set[int]:
    """The numbers of windows that phase-coded nodes make of so many input steps; none where there is no phase code."""
    return {int(steps * p.rate / p.node.phases) for p in plan.nodes if is_coded(p.node)}


def windows_of(plan: Plan, steps: int) -> int | None:
    """Windows of the phase code in so many input steps; None where the output is no phase code."""
    windows = phase_windows(plan, steps)
    return max(1, *windows) if windows else None


def running_scores(output: Array, windows: int | None) -> Array:
    r"""The scores that a reader has after each step, [T, B, classes], of outputs of that shape in double precision.

    They are the mean of the outputs so far.  A phase code holds its answer at the last step of its window, where the
    sum that PhaseDecode makes is complete: there they are the mean of the ends of the windows so far, the one that is
    under way counted as it stands.

    Args:
        output: [T, B, classes].
        windows: of a phase code in the T steps; None for any other network, each of whose steps is a window.
    """
    length = _length(output, windows)
    ends = np.cumsum(output[length - 1 :: length], axis=0)
    before = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]]).repeat(length, axis=0)
    number = np.arange(len(output)) // length + 1
    return (before + output) / number[:, None, None]


def final_scores(output: Array, windows: int | None) -> Array:
    """[B, classes] after the last step; see :func:`running_scores`."""
    length = _length(output, windows)
    return output[length - 1 :: length].mean(axis=0)


def _length(output: Array, windows: int | None) -> int:
    return 1 if windows is None else len(output) // windows
