"""``nirbridge check``."""

from __future__ import annotations

from pathlib import Path

import click

from nirbridge.cli.common import graph_argument, json_option, print_json, read_graph
from nirbridge.cli.failures import ANSWER_IS_NO
from nirbridge.reports import printable


@click.command()
@graph_argument
@click.option("--runtime", metavar="NAME", help="Also find what this runtime does not run; it need not be usable here.")
@json_option
@click.pass_context
def command(ctx: click.Context, graph: Path, runtime: str | None, as_json: bool) -> None:
    """Find everything that is wrong with a graph.

    Prints one line for each problem, with the rule that found it in brackets, and exits with 1 if there is any.

    \b
    Example:
      nirbridge check model.nir
      nirbridge check model.nir --runtime lava
    """
    from nirbridge import check

    problems = check(read_graph(graph), runtime)
    if as_json:
        print_json({"file": str(graph), "runtime": runtime, "problems": [problem.to_dict() for problem in problems]})
    else:
        for problem in problems:
            click.echo(printable(f"{problem} [{problem.rule}]" if problem.rule else str(problem)))
        if not problems:
            click.echo(f"{graph}: no problems" + (f" for runtime {runtime}" if runtime else ""))
    if problems:
        ctx.exit(ANSWER_IS_NO)
