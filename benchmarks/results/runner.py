"""Jobs in worker processes, one thread each, with a bar on stderr; what is done already is not done again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import click

from nirbridge.errors import InputError
from nirbridge.workers import worker_pool

from .jobs import Job
from .store import Outcome, Store, outcome

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def _train(work: dict[str, Any], seed: int) -> dict[str, Any]:
    from .training import train_and_measure

    return train_and_measure(work, seed)


def _validate(work: dict[str, Any], seed: int) -> dict[str, Any]:
    from .training import train_and_validate

    return train_and_validate(work, seed)


def _convert_images(work: dict[str, Any], seed: int) -> dict[str, Any]:
    from .converting import convert_images

    return convert_images(work, seed)


def _convert_nodes(work: dict[str, Any], seed: int) -> dict[str, Any]:
    from .converting import convert_nodes

    return convert_nodes(work, seed)


TASKS: dict[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "train": _train,
    "validate": _validate,
    "convert-images": _convert_images,
    "convert-nodes": _convert_nodes,
}
"""What jobs can do; a task takes its work and a seed and gives numbers. Torch is imported in the workers alone."""


def run_job(job: Job) -> Outcome:
    """Does one job in this process."""
    clock, busy = time.perf_counter(), time.process_time()
    numbers = TASKS[job.task](job.work, job.seed)
    return outcome(job, time.perf_counter() - clock, time.process_time() - busy, numbers)


def run_jobs(jobs: Sequence[Job], store: Store, workers: int) -> None:
    """Does the jobs that ``store`` does not hold, and keeps what each found as soon as it is known.

    Raises:
        InputError: a job failed; those that ended before are kept.
    """
    missing = [job for job in jobs if job.key not in store.outcomes]
    if not missing:
        return
    os.environ.update(dict.fromkeys(THREADS, "1"))  # the workers inherit it
    with (
        worker_pool(workers) as pool,
        click.progressbar(length=len(jobs), label="Runs", file=sys.stderr, show_pos=True) as bar,
    ):
        bar.update(len(jobs) - len(missing))
        pending: dict[Future[Outcome], Job] = {pool.submit(run_job, job): job for job in missing}
        failed: InputError | None = None
        try:
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    failed = _kept(future, pending.pop(future), store) or failed
                    bar.update(1)
                if failed is not None:  # runs that have begun end well and are kept; the others are not begun
                    pending = {future: job for future, job in pending.items() if not future.cancel()}
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C begins no further run
        if failed is not None:
            raise failed


def _kept(future: Future[Outcome], job: Job, store: Store) -> InputError | None:
    """Keeps what a run found, or gives the error that it ended with."""
    try:
        store.add(future.result())
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        found = f"failed with {type(error).__name__} ({text})"
        return InputError(f"run '{job}'", found, "Start again; finished runs are kept")
    return None
