"""``nirbridge run``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import (
    PATH,
    dt_option,
    graph_argument,
    meaning_options,
    naming,
    precision_option,
    read_inputs,
    read_network,
    require_output,
)
from nirbridge.cli.inputs import Inputs, input_option
from nirbridge.cli.output import echo, echo_text
from nirbridge.cli.runtime_options import given, runtime_options
from nirbridge.errors import InputError
from nirbridge.reports import count_text, counted, seconds_text, shape_text, table

if TYPE_CHECKING:
    from nirbridge.ir import FlatGraph
    from nirbridge.runtime import Array, Plan, Recording

OUTPUT = "output"


@click.command()
@graph_argument
@input_option
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="OUT.npz",
    help="File for 'output' (several outputs: one array by name) and one array for each recorded node; with the "
    "suffix .nird in NIR's data format, graded spikes as valued events.",
)
@click.option("--runtime", default="reference", show_default=True, metavar="NAME", help="See 'nirbridge runtimes'.")
@precision_option
@click.option(
    "--record",
    multiple=True,
    metavar="NODE",
    help="Also keep what this node sends, with NODE:v a neuron's membrane; may be repeated.",
)
@dt_option
@meaning_options
@runtime_options
def command(
    graph: Path,
    source: Inputs,
    output: Path | None,
    runtime: str,
    precision: str | None,
    record: tuple[str, ...],
    dt: float | None,
    **options: Any,
) -> None:
    """Run a graph on data with one runtime.

    X.npy holds [T, B, *shape] numbers, X.nird NIR's events or values on a grid of time.  Without -o a summary of
    the output goes to stdout.

    \b
    Example:
      nirbridge run model.nir -i frames.npy -o out.npz
      nirbridge run model.nir -i frames.npy -o out.npz --runtime norse --record conv1.act
      nirbridge run model.nir -i events.nird -o spikes.nird
      nirbridge run two_inputs.nir -i left=x.npy -i right=y.npy -o out.npz
      nirbridge run model.nir -i frames.npy --runtime lava --mapping fused
    """
    from nirbridge.arrays import write_arrays
    from nirbridge.nir_data import SUFFIX, write_nir_data
    from nirbridge.runtime import compile

    require_output(output, (".npz", SUFFIX), graph, *source.paths)
    network = read_network(graph, precision, dt)
    with naming(graph, source), compile(network, runtime, dt=dt, precision=precision, **given(options)) as program:
        data = read_inputs(source, network, dt)
        started = time.perf_counter()
        result = program.run(data, record=record)
        seconds = time.perf_counter() - started
    outputs = program.plan.output_by_name(result.output)
    _note_inferences(graph, network, outputs)
    arrays = _named(result, program.plan.outputs)
    if output is not None and output.suffix.lower() == SUFFIX:
        write_nir_data(output, {**result.records, **outputs}, program.plan)
        echo(f"wrote {output}", err=True)
    elif output is not None:
        write_arrays(output, arrays)
        echo(f"wrote {output}", err=True)
    else:
        echo_text(_summary(arrays))
    echo(_line(runtime, outputs, program.plan, seconds), err=True)


def _note_inferences(path: Path, graph: FlatGraph, outputs: dict[str, Array]) -> None:
    """Says on stderr that frames follow one another in a graph that conversion made for fewer of them."""
    from nirbridge.ir import frames_of_inference

    frames = frames_of_inference(graph)
    steps = len(next(iter(outputs.values())))
    if frames is not None and steps > frames:
        found = f"was converted for {counted(frames, 'frame')} an inference, and {steps} followed one another"
        echo(f"Note: file '{path}': {found}, membranes carried over.", err=True)


def _named(result: Recording, names: tuple[str, ...]) -> dict[str, Array]:
    """The arrays of the file, by name; ``names`` are those of the output nodes.

    Raises:
        InputError: a recorded node has the name under which the file keeps the output.
    """
    outputs = result.output if isinstance(result.output, dict) else {OUTPUT: result.output}
    for name in result.records:
        if name in outputs and name not in names:
            found = "the file keeps the graph's output under this name"
            raise InputError(f"record '{name}'", found, "Rename the node")
    return {**result.records, **outputs}


def _summary(arrays: dict[str, Array]) -> str:
    rows = [
        (
            name,
            shape_text(array.shape),
            count_text(int((array != 0).sum())),
            f"{array.mean():.4g}",
            f"{array.min():.4g}",
            f"{array.max():.4g}",
        )
        for name, array in arrays.items()
    ]
    headers = ("array", "shape", "nonzero", "mean", "min", "max")
    return table(headers, rows, right=headers[2:])


def _line(runtime: str, outputs: dict[str, Array], plan: Plan, seconds: float) -> str:
    from nirbridge.runtime import sends_spikes

    counts: dict[str, list[int]] = {"spike": [], "nonzero analog value": []}
    for name, array in outputs.items():
        word = "spike" if sends_spikes(plan, name) else "nonzero analog value"
        counts[word].append(int((array != 0).sum()))
    texts = [counted(sum(found), word) for word, found in counts.items() if found]
    arrays = list(outputs.values())
    steps, batch = arrays[0].shape[:2]
    shapes = ", ".join(shape_text(array.shape) for array in arrays)
    return (
        f"{runtime}: {counted(steps, 'step')}, {counted(batch, 'sample')}, output {shapes}, "
        f"{', '.join(texts)}, {seconds_text(seconds)}"
    )
