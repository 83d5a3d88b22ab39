"""``nirbridge compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nirbridge.cli.common import graph_argument, json_option, naming, read_inputs, read_network
from nirbridge.cli.failures import ANSWER_IS_NO
from nirbridge.cli.inputs import Inputs, input_option
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.runtime_options import calculation_options, given


@click.command()
@graph_argument
@input_option
@click.option("--runtimes", metavar="A,B,C", help="Names, by default all that can run the graph here.")
@click.option(
    "--tolerance",
    type=float,
    metavar="SHARE",
    help="Share of spikes of a node that may differ, and relative difference of analog values; by default 1e-4, and "
    "no spike at all where parameters and data are dyadic.",
)
@calculation_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    graph: Path,
    source: Inputs,
    runtimes: str | None,
    tolerance: float | None,
    precision: str | None,
    dt: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a graph on several runtimes and compare every node with the reference.

    Spikes are compared one by one; analog values up to the first differing spike of their sample.  Exits with 1 if a
    node differs beyond the tolerance.  --device and the like go to the runtimes that know them.

    \b
    Example:
      nirbridge compare model.nir -i frames.npy
      nirbridge compare model.nir -i frames.npy --runtimes reference,lava
      nirbridge compare model.nir -i frames.npy --runtimes lava --mapping fused
    """
    from nirbridge.comparing import compare

    network = read_network(graph, precision, dt)
    names = None if runtimes is None else [name.strip() for name in runtimes.split(",") if name.strip()]
    with naming(graph, source):
        data = read_inputs(source, network, dt)
        found = compare(network, data, names, tolerance, dt, precision=precision, **given(options))
    if as_json:
        print_json({"file": str(graph), **found.to_dict()})
    else:
        echo_text(found.table())
        echo("")
        for line in found.verdicts():
            echo(line)
    if not found.agrees:
        ctx.exit(ANSWER_IS_NO)
