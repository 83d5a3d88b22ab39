"""``nirbridge check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nirbridge.cli.common import (
    dt_option,
    graph_argument,
    json_option,
    naming,
    precision_option,
    read_inputs,
    read_network,
)
from nirbridge.cli.failures import ANSWER_IS_NO
from nirbridge.cli.inputs import Inputs, data_option
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge.chips import ChipReport
    from nirbridge.ir import FlatGraph


@click.command()
@graph_argument
@click.option("--runtime", metavar="NAME", help="Also find what this runtime does not run; it need not be usable here.")
@click.option(
    "--chip",
    metavar="NAME",
    help="With --runtime lava: also map the graph to the cores of loihi1 or loihi2 and find what does not fit.",
)
@data_option(False, "With --chip: data, as for run, which show how much a step costs and what inputs bring.")
@dt_option
@precision_option
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    graph: Path,
    runtime: str | None,
    chip: str | None,
    source: Inputs,
    dt: float | None,
    precision: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Find everything that is wrong with a graph.

    Prints one line for each problem, with the rule that found it in brackets.  An error keeps every runtime from
    running the graph; a warning is legal and hardly meant: a time constant of 20 s, a threshold that no input reaches,
    a delay of 2.5 steps, a parameter without effect.  With --chip a step's time and energy are estimated as ranges
    where a public source has the figures, as for loihi1: from silence to everything sending, with -i at the activity
    of the data.  Exits with 1 if there is an error, with --strict also for a warning.

    \b
    Example:
      nirbridge check model.nir
      nirbridge check snntorch.nir --dt 1e-4
      nirbridge check model.nir --runtime lava
      nirbridge check q.nir --runtime lava --chip loihi2
      nirbridge check q.nir --runtime lava --chip loihi1 -i spikes.npy
    """
    from nirbridge import check
    from nirbridge.checking.files import find_file_warnings

    network = read_network(graph, precision, dt)
    problems = [*check(network, runtime, dt, precision=precision), *find_file_warnings(graph)]
    if source.files and chip is None:
        raise InputError("option '-i'", "is for the activity on a chip", "Add --runtime lava --chip loihi1")
    placed = None
    if chip is not None:
        with naming(graph, source):
            placed = _on_chip(network, runtime, chip, dt, source)
    if placed is not None:
        problems += placed.problems
    if as_json:
        found = {"file": str(graph), "runtime": runtime, "problems": [problem.to_dict() for problem in problems]}
        print_json(found if placed is None else {**found, "chip": placed.to_dict()})
    else:
        if placed is not None:
            echo_text("\n".join((placed.table(), *placed.summary())))
        for problem in problems:
            mark = "warning: " if problem.severity == "warning" else ""
            echo(mark + (f"{problem} [{problem.rule}]" if problem.rule else str(problem)))
        if not problems:
            echo(f"{graph}: no problems" + (f" for runtime {runtime}" if runtime else ""))
    if any(strict or problem.severity == "error" for problem in problems):
        ctx.exit(ANSWER_IS_NO)


def _on_chip(network: FlatGraph, runtime: str | None, chip: str, dt: float | None, source: Inputs) -> ChipReport | None:
    """The graph on the chip, as active as the data make it; None where an error keeps it from being mapped.

    Raises:
        InputError: the chip is unknown, or the runtime is not the one that stands for chips.
    """
    from nirbridge.checking import find_problems
    from nirbridge.chips import CHIPS, check_chip

    if runtime != "lava":
        raise InputError("option '--chip'", "needs --runtime lava, which stands for Loihi", "Add --runtime lava")
    if chip not in CHIPS:
        raise InputError("option '--chip'", f"{chip!r} is not among {', '.join(CHIPS)}", "Choose one of them")
    if find_problems(network, dt):
        return None
    return check_chip(network, chip, dt, read_inputs(source, network, dt) if source.files else None)
