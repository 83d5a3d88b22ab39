"""``nirbridge show``."""

from __future__ import annotations

from pathlib import Path

import click

from nirbridge.cli.common import PATH, graph_argument, json_option, read_flat_graph, require_output
from nirbridge.cli.output import echo, echo_text, print_json


@click.command()
@graph_argument
@json_option
@click.option("-o", "--output", type=PATH, metavar="GRAPH.svg", help="Draw the graph as SVG.")
def command(graph: Path, as_json: bool, output: Path | None) -> None:
    """Show nodes, shapes, levels, parameters and edges of a graph; draw it.

    Nodes stand in the order of execution.  A broken graph is shown as far as it goes, with '?' for a shape that
    cannot be told; 'nirbridge check' says what is wrong.

    \b
    Example:
      nirbridge show model.nir
      nirbridge show model.nir -o graph.svg
      nirbridge show model.nir --json | jq .totals
    """
    from nirbridge.files import write_whole
    from nirbridge.showing import describe, to_svg, to_text

    require_output(output, ".svg", graph)
    description = describe(read_flat_graph(graph))
    if output is not None:
        write_whole(output, to_svg(description, graph.name))
        echo(f"wrote {output}", err=True)
    if as_json:
        print_json({"file": str(graph), **description.to_dict()})
    else:
        echo_text(to_text(description, str(graph)))
