"""Jobs in worker processes, here or on a cluster, with a bar on stderr; what is done already is not done again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile

import click

from nirbridge.errors import InputError
from nirbridge.workers import crew

from .jobs import Job
from .machine import Workers
from .store import Outcome, Store, outcome

TASKS = {
    "train": ("training", "train_and_measure"),
    "judge": ("training", "train_and_judge"),
    "validate": ("training", "train_and_validate"),
    "convert-images": ("converting", "convert_images"),
    "convert-nodes": ("converting", "convert_nodes"),
}
"""What jobs can do: a file here, which imports torch in the workers alone, and a function of work and seed in it."""


def run_job(job: Job) -> Outcome:
    """Does one job in this process."""
    clock, busy = time.perf_counter(), time.process_time()
    file, function = TASKS[job.task]
    numbers = getattr(import_module(f"{__package__}.{file}"), function)(job.work, job.seed)
    return outcome(job, time.perf_counter() - clock, time.process_time() - busy, numbers)


def run_jobs(jobs: Sequence[Job], store: Store, workers: Workers) -> None:
    """Does the jobs that ``store`` does not hold, and keeps what each found as soon as it is known.

    Raises:
        InputError: a job failed; those that had begun are done and kept, no other is begun.
    """
    missing = [job for job in jobs if job.key not in store.outcomes]
    if not missing:
        return
    failed: list[InputError] = []
    begun = takewhile(lambda _: not failed, missing)
    with (
        crew(min(workers.count, len(missing)), workers.cluster) as hands,
        click.progressbar(length=len(jobs), label="Runs", file=sys.stderr, show_pos=True) as bar,
    ):
        bar.update(len(jobs) - len(missing))
        for found in hands.map(_tried, begun, ordered=False):
            if isinstance(found, InputError):
                failed.append(found)
            else:
                store.add(found)
            bar.update(1)
    if failed:
        raise failed[0]


def _tried(_shared: None, job: Job) -> Outcome | InputError:
    """What a run found, or the error that it ended with."""
    try:
        return run_job(job)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        found = f"failed with {type(error).__name__} ({text})"
        return InputError(f"run '{job}'", found, "Start again; finished runs are kept")
