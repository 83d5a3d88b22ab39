"""``nirbridge expand``."""

from __future__ import annotations

from pathlib import Path

import click

from nirbridge.cli.common import PATH, dt_option, graph_argument, naming, read_data, read_graph, require_output
from nirbridge.cli.output import echo

TARGETS = ("lava-dl", "nirtorch", "norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spinnaker2")
"""The files in nirbridge/expanding/targets; a test compares, since ``--help`` imports none of them."""


@click.command()
@graph_argument
@click.option("-o", "--output", type=PATH, required=True, metavar="CORE.nir", help="The result.")
@click.option(
    "--exact-for",
    type=click.Choice(["any-steps", "one-step", "substeps"]),
    default="any-steps",
    show_default=True,
    help="Which runs the result is exact for: any; of one step from fresh states; or with every step cut into as many "
    "sub-steps as neurons have levels, for binary IF neurons.",
)
@click.option(
    "--for",
    "target",
    type=click.Choice(TARGETS),
    help="Write what this platform's own importer runs as it is meant, and print the program that runs it there.",
)
@click.option("--approximate", is_flag=True, help="Replace also what has no exact counterpart, and measure the error.")
@click.option(
    "-i",
    "--input",
    "source",
    type=PATH,
    metavar="X.npy",
    help="Data to measure the error on; if not given, random frames with --approximate, and else it is not measured.",
)
@dt_option
def command(
    graph: Path,
    output: Path,
    exact_for: str,
    target: str | None,
    approximate: bool,
    source: Path | None,
    dt: float | None,
) -> None:
    """Turn extension primitives into core NIR, or into what one platform's importer takes of it.

    The result does exactly the same, or the command says which node has no counterpart and why.  With --approximate
    such nodes are replaced by the nearest that core NIR has, each is named on stderr, and the error is measured.

    \b
    Example:
      nirbridge expand model.nir -o core.nir
      nirbridge expand model.nir -o core.nir --approximate -i frames.npy
      nirbridge expand model.nir -o model_norse.nir --for norse > run_model.py
    """
    from nirbridge.expanding import expand_with_notes, reach
    from nirbridge.expanding.measuring import measured_error
    from nirbridge.expanding.reach import write_reached
    from nirbridge.expanding.substeps import substeps_of
    from nirbridge.ir import flatten, write
    from nirbridge.reports import counted

    require_output(output, ".nir", graph, source)
    if target and exact_for != "any-steps":
        raise click.UsageError("--for excludes --exact-for: what a platform gets is exact for any steps")
    network = read_graph(graph)
    reached, error = None, None
    with naming(graph, source):
        if target:
            reached = reach(network, target, approximate, dt)
            expanded, notes = reached.graph, reached.notes
        else:
            expanded, notes = expand_with_notes(network, approximate, exact_for=exact_for, dt=dt)
        if (approximate or source is not None) and not (reached and reached.lanes):
            data = None if source is None else read_data(source, network, dt)
            other = reached.target.dt if reached else None
            error = measured_error(network, expanded, data, exact_for, dt, other)
    if reached:
        write_reached(output, reached)
    else:
        write(output, expanded)
    for note in notes:
        echo(f"Warning: {note}", err=True)
    exact = f"exact for {exact_for}" if not notes else f"approximate in {counted(len(notes), 'node')}"
    echo(f"{output}: {len(network.nodes)} nodes became {len(expanded.nodes)}, {exact}", err=True)
    if exact_for == "substeps":
        count = substeps_of(flatten(network))
        echo(f"Give it every frame {count} times and --reset subtract, and add up each {count} outputs.", err=True)
        echo("It is exact for data that hold still over windows of a TemporalMix, and membranes in [0, q).", err=True)
    if reached:
        said = "run by our tests" if reached.target.ran else "not run by us, only read"
        echo(f"for {reached.target.version}, {reached.target.source}: {said}", err=True)
        for line in reached.code(str(output)).splitlines():
            echo(line)
        if reached.lanes and (approximate or source is not None):
            echo("not measured: the levels stand in the program, and only the platform runs it", err=True)
    if error is not None:
        echo(f"measured: {error}", err=reached is not None)
