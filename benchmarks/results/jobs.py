"""One run of one setting with one seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a worker process is told; plain data, so that it can be sent, kept and compared.

    Attributes:
        experiment: name of the experiment.
        data: name of the data set.
        cell: what tells this setting from the experiment's others, as {"T": 3, "S": 4}.
        seed: of weights and batches.
        task: name of what is done, see ``runner.TASKS``.
        work: what the task is told.
    """

    experiment: str
    data: str
    cell: dict[str, Any]
    seed: int
    task: str
    work: dict[str, Any]

    @property
    def key(self) -> str:
        """The same for the same work, so that a run that is known need not be repeated."""
        told = [self.experiment, self.data, self.cell, self.seed, self.task, self.work]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        cell = ", ".join(f"{name}={value}" for name, value in self.cell.items())
        return f"{self.experiment} on {self.data}, {cell or 'one setting'}, seed {self.seed}"
