"""The papers' claims against runs of our own code: ``python -m benchmarks.results`` writes ``docs/results.md``.

One file an experiment (``lanes``, ``levels``, ``blocks``, ``mixing``, ``conversion``, ``mnist``, ``energies``): its
jobs, its table and picture, its claims. ``training`` and ``converting`` are what a job does; ``runner`` runs jobs in
worker processes and ``store`` keeps what they found; ``verdicts`` judges, ``page`` writes.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "examples"))  # the runs are those of its training program
