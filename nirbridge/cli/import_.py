"""``nirbridge import``: a file of another framework to a graph file."""

from __future__ import annotations

from pathlib import Path

import click

from nirbridge.cli.common import PATH, naming, require_output
from nirbridge.cli.export import parse_shape
from nirbridge.cli.output import echo
from nirbridge.cli.quantities import parsed


@click.command("import")
@click.argument("network", type=PATH, metavar="F.net")
@click.option("-o", "--output", type=PATH, required=True, metavar="G.nir", help="The graph to write.")
@click.option(
    "--input-shape",
    metavar="N,..",
    callback=parsed(parse_shape),
    help="Shape of one frame, as 2,34,34, for a file without an input layer.",
)
def command(network: Path, output: Path, input_shape: tuple[int, ...] | None) -> None:
    """Turn a network that lava-dl trained into a graph file.

    F.net is the HDF5 file that lava-dl exports for its netx: dense, recurrent dense, convolution, pool and flatten
    layers of CUBA neurons, with biases and delays.  What else it holds is refused by name.  The graph holds the
    integers that Loihi computes with: run it with --precision fixed.

    \b
    Example:
      nirbridge import trained.net -o model.nir
      nirbridge run model.nir -i spikes.npy -o out.npz --runtime lava --precision fixed --dt 1e-3
    """
    from nirbridge.importing import read_netx
    from nirbridge.ir import write
    from nirbridge.reports import counted, shape_text

    require_output(output, ".nir", network)
    with naming(network):
        graph = read_netx(network, input_shape)
    write(output, graph)
    ends = " -> ".join(
        shape_text(tuple(int(n) for n in node.output_type["output"]))
        for node in (*graph.inputs.values(), *graph.outputs.values())
    )
    counts = f"{counted(len(graph.nodes), 'node')}, {counted(len(graph.edges), 'edge')}"
    echo(f"{output}: {counts}, {ends}; in integers, for precision 'fixed' at 1 ms a step", err=True)
