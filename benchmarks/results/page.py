"""``docs/results.md`` from runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from nirbridge.files import write_whole

from . import blocks, conversion, energies, lanes, levels, mixing, mnist, systems, trials
from .machine import Workers
from .markdown import claims_table, table
from .statistics import Runs
from .store import Outcome
from .verdicts import Claim

EXPERIMENTS: dict[str, ModuleType] = {
    module.NAME: module for module in (lanes, levels, blocks, mixing, conversion, mnist, systems, energies)
}
COMMAND = "python -m benchmarks.results"
PICTURES = "results"

TITLE = """# Results

What of the papers' claims our own code shows, on N-MNIST (800 recordings train, 200 test) and on scikit-learn's digits
(1297 train, the last 500 test), and of conversion on MNIST (7,000 train, 2,000 test). One command writes this page, its
pictures and [the outcome of every run](results/runs.json):"""
QUICK = "**A quick trial of the machinery: one epoch on few samples. Its numbers mean nothing.**"
USE = """It needs `../shared/data/nmnist-small` and `../shared/data/mnist` (or `--nmnist`, `--mnist`). An interrupted
run goes on where it stopped, unless the code has changed; `--redraw` draws the page anew from the runs; `--only NAME`
runs one experiment; `--quick` tries the machinery in seconds. `--trials` tries recipes on training samples that are
held back, and writes [what it found](results/trials.json), from which the last section is drawn."""
READING = """How to read it. Numbers are means ± standard deviations (n - 1) over the seeds of weights and batches; the
split of the data is the same for all. The last epoch counts: no epoch and no cell is picked by its test accuracy. One
recipe (network, epochs, learning rate, loss, shift of up to one pixel on N-MNIST) serves all cells of a data set; only
the deeper residual networks have a recipe of their own, the same for every block. Learning rates, and what else
[the last section](#how-the-recipes-were-chosen) compares, were chosen on training samples that were held back, not on
the test; then all training samples trained. What it does not compare (network, loss, dropout, batch, shift, share of
the spiking epochs) was set earlier, when test accuracy was looked at in about a dozen trials: for this all numbers may
be somewhat too good, and all alike. One test sample is worth 0.5 points on N-MNIST and 0.2 on digits.

The same command gives the same numbers again on one kind of processor. Another one adds in another order; after some
epochs the networks are others, as with another seed. Verdicts that hang on a point or less may then change."""
VERDICTS = """Verdicts are computed, by one rule. A claimed difference of means is **supported** where it exceeds the
spread s = sqrt(s_a² + s_b²), at least one test sample, **not supported** where the contrary exceeds s, else
**undecided**; a claimed bound likewise, by the spread of the measured value. "Within x points" compares means alone.
These are small networks on small data: what holds here need not hold at the papers' sizes, and the reverse."""


def needed(name: str) -> tuple[str, ...]:
    """The experiments whose runs a section is drawn from."""
    return {energies.NAME: energies.NEEDS, mixing.NAME: (mixing.NAME, levels.NAME)}.get(name, (name,))


def write_page(page: Path, content: dict[str, Any]) -> None:
    """Writes pictures, then the page, whole or not at all.

    Args:
        page: the file.
        content: what ``store.read_runs`` gives.
    """
    folder = page.parent / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    runs = Runs(content["runs"])
    parts = [_head(content, runs)]
    shown = [name for name in EXPERIMENTS if all(runs.of(other) for other in needed(name))]
    parts.append(_must_show(runs, shown))
    for name in EXPERIMENTS:
        module = EXPERIMENTS[name]
        blocks_ = module.section(runs, folder) if name in shown else ["Not run."]
        parts.append("\n\n".join([f"## {module.TITLE}", *blocks_]))
    parts.append(trials.section(trials.read(folder)))
    write_whole(page, "\n\n".join(parts) + "\n")


def _head(content: dict[str, Any], runs: Runs) -> str:
    machine = content["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    seeds = (
        f"{content['seeds']} seeds of each setting, more where a section says so"
        if content["seeds"] > 1
        else "One seed of each setting, no spread"
    )
    workers = Workers(machine["workers"], machine.get("cluster"))
    ran = (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {workers}; "
        f"Python {machine['python']}, {versions}. {seeds}."
    )
    quick = [QUICK] if content["quick"] else []
    states = sorted({str(run.get("code", "unknown")) for run in runs.outcomes})
    ran += (
        " All runs are of one state of the code" if len(states) == 1 else f" RUNS OF {len(states)} STATES OF THE CODE"
    )
    ran += f" ({', '.join(states)})."
    return "\n\n".join(
        [
            TITLE,
            *quick,
            f"    {content['command']}",
            USE,
            ran,
            "What it took:",
            _costs(runs, machine["workers"]),
            READING,
            VERDICTS,
        ]
    )


def _costs(runs: Runs, workers: int) -> str:
    rows = []
    for name in EXPERIMENTS:
        found = runs.of(name)
        if found:
            rows.append((name, len(found), *_minutes(found), f"{max(run['cpu_seconds'] for run in found):.0f}"))
    rows.append(("all", len(runs.outcomes), *_minutes(runs.outcomes), ""))
    text = table(("experiment", "runs", "CPU, minutes", "clock, minutes", "longest run, CPU s"), rows)
    quiet, measured = (sum(run[name] for run in runs.outcomes) / 60 / workers for name in ("cpu_seconds", "seconds"))
    return (
        f"{text}\n\nClock time is the sum over all runs, and longer than CPU time where other programs were running. "
        f"With {workers} workers that is {measured:.0f} minutes as it was, and {quiet:.0f} on a machine with nothing "
        "else to do."
    )


def _minutes(runs: list[Outcome]) -> tuple[str, str]:
    cpu, clock = (sum(run[name] for run in runs) / 60 for name in ("cpu_seconds", "seconds"))
    return f"{cpu:.1f}", f"{clock:.1f}"


def _must_show(runs: Runs, shown: Iterable[str]) -> str:
    found: list[Claim] = []
    if lanes.NAME in shown:
        found.append(lanes.must_show(runs))
    if conversion.NAME in shown:
        found += conversion.must_show(runs)
    return "## What must be shown\n\n" + (claims_table(found) if found else "Not run.")
