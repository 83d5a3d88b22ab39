"""``nirbridge conformance``."""

from __future__ import annotations

from dataclasses import asdict

import click

from nirbridge.cli.common import json_option
from nirbridge.cli.failures import ANSWER_IS_NO
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.progress import bar_of
from nirbridge.errors import InputError


@click.command()
@click.option("--runtime", required=True, metavar="NAME", help="An installed runtime, of whatever origin.")
@click.option(
    "--precision", type=click.Choice(["float", "fixed"]), help="Only this one; all of the runtime's if left out."
)
@click.option(
    "--random",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Judge this many random graphs, in precision float, instead of the cases.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, runtime: str, precision: str | None, random: int, as_json: bool) -> None:
    """Judge a runtime by the suite that nirbridge's own runtimes pass.

    Every node type has cases on which each value must equal the reference's: in one run, in a second one, and in
    pieces, between which the state is taken and put back. A runtime may refuse a case at compile time; it may not
    differ. Prints a table of node types and, below it, why a cell is not exact. Exits with 1 if a case differs or
    fails.

    \b
    Example:
      nirbridge conformance --runtime norse
      nirbridge conformance --runtime lava --random 500
    """
    if random and precision == "fixed":
        found = "holds for the cases, random graphs are of real numbers"
        raise InputError("option '--precision fixed'", found, "Leave it or --random out")
    from nirbridge.conformance.judging import declared_but_refused, judge_random_graphs, judge_runtime
    from nirbridge.conformance.support_table import support_cells, to_table

    precisions = None if precision is None else (precision,)
    judging = judge_random_graphs(runtime, random) if random else judge_runtime(runtime, precisions)
    with bar_of(f"judging {runtime}", judging, random or None) as bar:
        verdicts = list(bar)
    bad = [verdict for verdict in verdicts if not verdict.conforms]
    if as_json:
        print_json({"runtime": runtime, "conforms": not bad, "cases": [asdict(verdict) for verdict in verdicts]})
    else:
        if not random:
            echo_text(to_table(support_cells(verdicts)))
        for verdict in bad:
            echo(f"{verdict.case}: {verdict.state}, {verdict.detail}")
        claimed = declared_but_refused(runtime, verdicts) if precision is None else []
        if claimed:
            echo(f"listed in 'supported', and refused in every case: {', '.join(claimed)}")
        if not any(verdict.restores for verdict in verdicts):
            echo("gives no states, so none was put back: program.state() is refused for it")
        counts = {state: sum(v.state == state for v in verdicts) for state in ("exact", "refused", "differs", "fails")}
        echo(f"{len(verdicts)} cases: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    if bad:
        ctx.exit(ANSWER_IS_NO)
