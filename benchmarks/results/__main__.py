"""Runs the experiments and writes the page.

python -m benchmarks.results [--seeds 3] [--only NAME] [--quick] [--redraw]
python -m benchmarks.results --trials
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from nirbridge.errors import InputError, NirbridgeError

from .jobs import Job
from .machine import Workers, machine
from .page import COMMAND, EXPERIMENTS, PICTURES, needed, write_page
from .plan import Plan
from .runner import run_jobs
from .sources import code_digest
from .store import Store, read_runs, write_runs
from .trials import FILE as TRIALS
from .trials import jobs as trial_jobs
from .trials import summary

RUNS = "runs.json"


def all_jobs(plan: Plan, only: tuple[str, ...]) -> list[Job]:
    """The jobs of the experiments that are named, and of those that their sections draw on; of all, if none is."""
    wanted = dict.fromkeys(other for name in only or tuple(EXPERIMENTS) for other in needed(name))
    found = [job for name in EXPERIMENTS if name in wanted for job in EXPERIMENTS[name].jobs(plan)]
    # All of a seed before the next one: what is done early is a whole page of fewer seeds.
    return sorted(found, key=lambda job: job.seed)


def run(plan: Plan, only: tuple[str, ...], workers: Workers, cache: Path, page: Path, any_code: bool) -> None:
    """Does what is missing, then writes runs, pictures and page."""
    command = COMMAND + "".join(f" --only {name}" for name in only)
    content = _done(plan, all_jobs(plan, only), all_jobs(plan, ()), command, workers, cache, page, any_code)
    write_runs(page.parent / PICTURES / RUNS, content)
    write_page(page, content)


def run_trials(plan: Plan, workers: Workers, cache: Path, page: Path, any_code: bool) -> None:
    """Tries the recipes and writes what was found beside the page, which shows it when it is written next."""
    jobs = trial_jobs(plan)
    content = _done(plan, jobs, jobs, f"{COMMAND} --trials", workers, cache, page, any_code)
    write_runs(page.parent / PICTURES / TRIALS, content)
    print(summary(content["runs"]))


def _done(
    plan: Plan,
    jobs: list[Job],
    everything: list[Job],
    command: str,
    workers: Workers,
    cache: Path,
    page: Path,
    any_code: bool,
) -> dict[str, Any]:
    """Does what is missing of ``jobs``; gives what is known of ``everything``, for a file beside the page."""
    if not page.parent.is_dir():
        raise InputError(f"file '{page}'", f"folder '{page.parent}' does not exist", "Create the folder first")
    for data in sorted({job.data for job in jobs}):
        folder = plan.folder(data)
        if folder is not None and not folder.is_dir():
            found = f"does not exist, data set '{data}' is expected there"
            raise InputError(f"folder '{folder}'", found, f"Give it with --{data}")
    cache.parent.mkdir(parents=True, exist_ok=True)
    store = Store(cache, None if any_code else code_digest())
    run_jobs(jobs, store, workers)
    (page.parent / PICTURES).mkdir(exist_ok=True)
    return {
        "command": command + (" --quick" if plan.quick else ""),
        "machine": machine(workers),
        "seeds": plan.seeds,
        "quick": plan.quick,
        "runs": [store.outcomes[job.key] for job in everything if job.key in store.outcomes],
    }


@click.command()
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Runs of each setting.")
@click.option("--only", multiple=True, type=click.Choice(list(EXPERIMENTS)), help="Run this experiment; repeatable.")
@click.option("--quick", is_flag=True, help="Try the machinery: ends of the sweeps, one epoch, few samples.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes of one thread.")
@click.option("--cluster", metavar="local|tcp://HOST:PORT", help="Run on a Dask cluster, 'local' for one of --workers.")
@click.option("--nmnist", default=Plan.nmnist, show_default=True, help="Folder with N-MNIST.")
@click.option("--mnist", default=Plan.mnist, show_default=True, help="Folder with mnist.npz.")
@click.option(
    "--page", default="docs/results.md", show_default=True, type=click.Path(dir_okay=False, path_type=Path),
    help="The page; pictures and runs go to results/ beside it.",
)  # fmt: skip
@click.option(
    "--cache", default="build/results.jsonl", show_default=True, type=click.Path(dir_okay=False, path_type=Path),
    help="Where finished runs are kept, so that an interruption loses none.",
)  # fmt: skip
@click.option("--any-code", is_flag=True, help="Keep finished runs though the code has changed since.")
@click.option("--trials", is_flag=True, help="Try the recipes on training samples held back, beside the page.")
@click.option("--redraw", is_flag=True, help="Draw the page from its runs.json; run nothing.")
def main(
    seeds: int,
    only: tuple[str, ...],
    quick: bool,
    workers: int,
    cluster: str | None,
    nmnist: str,
    mnist: str,
    page: Path,
    cache: Path,
    any_code: bool,
    trials: bool,
    redraw: bool,
) -> None:
    """Run the papers' claims on our own code and write the page of results."""
    told = Plan(seeds, nmnist, mnist, quick)
    try:
        if trials:
            run_trials(told, Workers(workers, cluster), cache, page, any_code)
        elif redraw:
            write_page(page, read_runs(page.parent / PICTURES / RUNS))
        else:
            run(told, only, Workers(workers, cluster), cache, page, any_code)
    except NirbridgeError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"wrote {page.parent / PICTURES / TRIALS if trials else page}")


if __name__ == "__main__":
    main()
