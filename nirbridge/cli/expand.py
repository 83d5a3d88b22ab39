"""``nirbridge expand``."""

from __future__ import annotations

from pathlib import Path

import click

from nirbridge.cli.common import dt_option, graph_argument, naming, read_data, read_graph, require_output
from nirbridge.cli.output import echo


@click.command()
@graph_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="CORE.nir", help="The result.")
@click.option(
    "--exact-for",
    type=click.Choice(["any-steps", "one-step", "substeps"]),
    default="any-steps",
    show_default=True,
    help="Which runs the result is exact for: any; of one step from fresh states; or with every step cut into as many "
    "sub-steps as neurons have levels, for binary IF neurons.",
)
@click.option("--approximate", is_flag=True, help="Replace also what has no exact counterpart, and measure the error.")
@click.option(
    "-i",
    "--input",
    "source",
    type=click.Path(path_type=Path),
    metavar="X.npy",
    help="Data to measure the error on; random frames if not given.",
)
@dt_option
def command(
    graph: Path, output: Path, exact_for: str, approximate: bool, source: Path | None, dt: float | None
) -> None:
    """Turn extension primitives into core NIR, so that any NIR platform can run the graph.

    The result does exactly the same, or the command says which node has no counterpart and why.  With --approximate
    such nodes are replaced by the nearest that core NIR has, each is named on stderr, and the error is measured.

    \b
    Example:
      nirbridge expand model.nir -o core.nir
      nirbridge expand model.nir -o core.nir --approximate -i frames.npy
    """
    from nirbridge.expanding import expand_with_notes
    from nirbridge.expanding.measuring import measured_error
    from nirbridge.ir import write
    from nirbridge.reports import counted

    require_output(output, ".nir", graph, *([source] if source else []))
    network = read_graph(graph)
    with naming(graph, source):
        expanded, notes = expand_with_notes(network, approximate, exact_for=exact_for, dt=dt)
        error = None
        if approximate or source is not None:
            data = None if source is None else read_data(source, network, dt)
            error = measured_error(network, expanded, data, exact_for, dt)
    write(output, expanded)
    for note in notes:
        echo(f"Warning: {note}", err=True)
    exact = f"exact for {exact_for}" if not notes else f"approximate in {counted(len(notes), 'node')}"
    echo(f"{output}: {len(network.nodes)} nodes became {len(expanded.nodes)}, {exact}", err=True)
    if error is not None:
        echo(f"measured: {error}")
