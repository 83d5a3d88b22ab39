"""How two recordings of one node are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nirbridge.comparing.results import NodeComparison
from nirbridge.errors import ExecutionError
from nirbridge.runtime import Array, Plan, PlannedNode, sends_spikes

_SAME_LEVEL = 1e-5
"""Relative difference below which two spikes have one value: float32 rounds levels, it does not change them."""


@dataclass
class Judge:
    """Judges the nodes of one runtime, in the order of execution.

    A spike that differs changes all that follows in its sample; so analog values are judged up to the first spike
    that differs, and spikes themselves always.
    """

    runtime: str
    tolerance: float
    analog_tolerance: float
    plan: Plan
    blocks: int
    """How many independent stretches of time the run has: its steps, or its windows where nodes work on windows."""
    diverged: Array | None = None
    """For each sample the first of the blocks in which a spike differs, ``blocks`` where none does."""

    def judge(self, planned: PlannedNode, reference: Array, found: Array) -> NodeComparison:
        """The comparison of one node; both arrays are [T, B, *shape].

        Raises:
            ExecutionError: the runtime gave an array of another shape.
        """
        if found.shape != reference.shape:
            detail = f"gave shape {found.shape} for {planned}, the reference gives {reference.shape}"
            raise ExecutionError(f"runtime '{self.runtime}'", detail, "Report this as a defect of the runtime")
        spiking = sends_spikes(self.plan, planned.name)
        expected, given = reference.astype(np.float64), found.astype(np.float64)
        difference = np.abs(given - expected)
        if spiking:
            wrong = ~(difference <= _SAME_LEVEL * np.abs(expected))
            self._note_divergence(wrong)
        else:
            limit = self.analog_tolerance * np.abs(expected).max(initial=0.0)
            wrong = ~(difference <= limit) & self._before_divergence(expected)
        spikes, given_spikes = int(np.count_nonzero(expected)), int(np.count_nonzero(given))
        finite = bool(np.isfinite(difference).all())
        return NodeComparison(
            node=planned.name,
            type=type(planned.node).__name__,
            runtime=self.runtime,
            spiking=spiking,
            values=expected.size,
            reference_spikes=spikes,
            spikes=given_spikes,
            mismatches=int(wrong.sum()),
            largest_difference=float(difference.max(initial=0.0)) if finite else float("inf"),
            allowed=int(self.tolerance * max(spikes, given_spikes)) if spiking else 0,
        )

    def _note_divergence(self, wrong: Array) -> None:
        steps, batch = wrong.shape[:2]
        bad = wrong.reshape(steps, batch, -1).any(axis=2)
        first = np.where(bad.any(axis=0), bad.argmax(axis=0) * self.blocks // steps, self.blocks)
        self.diverged = first if self.diverged is None else np.minimum(self.diverged, first)

    def _before_divergence(self, values: Array) -> Array:
        """Which steps and samples no differing spike has touched, broadcastable to ``values``."""
        steps, batch = values.shape[:2]
        until = np.full(batch, self.blocks) if self.diverged is None else self.diverged
        clean = np.arange(steps)[:, None] * self.blocks // steps < until
        return clean.reshape(steps, batch, *(1,) * (values.ndim - 2))
