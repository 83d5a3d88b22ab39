"""``nirbridge export``: a torch module to a graph file."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from nirbridge.cli.output import echo
from nirbridge.errors import InputError


def parse_shape(_context: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    """Whole numbers with commas between, as 2,34,34.

    Raises:
        InputError: it is anything else.
    """
    parts = [part.strip() for part in value.split(",")]
    if not all(re.fullmatch("[0-9]{1,9}", part) and int(part) > 0 for part in parts):
        found = f"'{value}' is not positive whole numbers with commas between"
        raise InputError("option '--input-shape'", found, "Give the shape of one frame, as 2,34,34")
    return tuple(int(part) for part in parts)


@click.command("export")
@click.argument("spec")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="F.nir", help="The graph to write."
)
@click.option(
    "--input-shape",
    required=True,
    metavar="N,..",
    callback=parse_shape,
    help="Shape of one frame, without time and batch, as 2,34,34.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="CKPT",
    help="Weights to load first: .safetensors, or .pt with plain tensors.",
)
@click.option("--dt", type=float, help="Seconds per step of the graph, for Norse's time constants; 1e-3 if not given.")
def command(spec: str, output: Path, input_shape: tuple[int, ...], weights: Path | None, dt: float | None) -> None:
    """Turn a torch module into a graph file.

    SPEC names the module: package.module:callable or file.py:callable.  The callable is a function or class that
    takes no arguments and gives an nn.Module, or an nn.Module itself.  Its code is run; the weights' is not.

    \b
    Example:
      nirbridge export model.py:Net -o model.nir --input-shape 2,34,34 --weights model.safetensors
    """
    from nirbridge.cli.common import require_output

    require_output(output, ".nir", *([weights] if weights else []))
    from nirbridge.exporting import export, load_module, load_weights
    from nirbridge.ir import write

    with redirect_stdout(sys.stderr):  # data go to stdout, and what the user's code prints is none
        module = load_module(spec)
        if weights is not None:
            load_weights(module, weights)
        graph = export(module, input_shape, dt=dt)
    write(output, graph)
    shapes = ", ".join(str(tuple(int(n) for n in node.output_type["output"])) for node in graph.outputs.values())
    counts = f"{len(graph.nodes)} nodes, {len(graph.edges)} edges"
    echo(f"{output}: {counts}, {input_shape} -> {shapes}", err=True)
