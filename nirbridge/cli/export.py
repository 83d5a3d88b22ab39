"""``nirbridge export``: a torch module to a graph file."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from nirbridge.cli.common import PATH, require_output
from nirbridge.cli.output import echo
from nirbridge.errors import InputError


def parse_shape(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers with commas between, as 2,34,34.

    Raises:
        InputError: it is anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,9}", part) and int(part) > 0 for part in parts):
        found = f"'{text}' is not positive whole numbers with commas between"
        raise InputError(f"option '{option}'", found, "Give the shape of one frame, as 2,34,34")
    return tuple(int(part) for part in parts)


def parse_shapes(
    _context: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """One shape, or one for each argument of forward, as left=4.

    Raises:
        InputError: a shape is no shape, a name stands twice, or is missing beside others.
    """
    option = param.opts[0]
    if len(values) == 1 and "=" not in values[0]:
        return parse_shape(values[0], option)
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        name, equals, numbers = value.partition("=")
        if not equals or not name or name in shapes:
            found = f"'{value}' is one of several without a name of its own"
            raise InputError(f"option '{option}'", found, "Give NAME=N,.. once for each argument of forward")
        shapes[name] = parse_shape(numbers, option)
    return shapes


@click.command("export")
@click.argument("spec")
@click.option("-o", "--output", type=PATH, required=True, metavar="F.nir", help="The graph to write.")
@click.option(
    "--input-shape",
    required=True,
    multiple=True,
    metavar="[NAME=]N,..",
    callback=parse_shapes,
    help="Shape of one frame, without time and batch, as 2,34,34; for a forward of several tensors one for each, by "
    "the names of its arguments.",
)
@click.option(
    "--weights",
    type=PATH,
    metavar="CKPT",
    help="Weights to load first: .safetensors, or .pt with plain tensors.",
)
@click.option(
    "--dt", type=float, help="Seconds per step of the graph, for neurons with time constants; 1e-3 if not given."
)
def command(
    spec: str,
    output: Path,
    input_shape: tuple[int, ...] | dict[str, tuple[int, ...]],
    weights: Path | None,
    dt: float | None,
) -> None:
    """Turn a torch module into a graph file.

    SPEC names the module: package.module:callable or file.py:callable.  The callable is a function or class that
    takes no arguments and gives an nn.Module, or an nn.Module itself.  Its code is run; the weights' is not.
    Its neurons are nirbridge's own, or those of Norse, snnTorch, spikingjelly or sinabs.

    \b
    Example:
      nirbridge export model.py:Net -o model.nir --input-shape 2,34,34 --weights model.safetensors
      nirbridge export model.py:Fusion -o model.nir --input-shape left=2,34,34 --input-shape right=2,34,34
    """
    require_output(output, ".nir", weights)
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
    given = ", ".join(map(str, input_shape.values())) if isinstance(input_shape, dict) else input_shape
    echo(f"{output}: {counts}, {given} -> {shapes}", err=True)
