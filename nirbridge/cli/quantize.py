"""``nirbridge quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import (
    PATH,
    dt_option,
    graph_argument,
    json_option,
    naming,
    read_data,
    read_flat_graph,
    require_output,
)
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.quantities import order_option, scale_option
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge.ir import FlatGraph

_SAMPLES = 64


@click.command()
@graph_argument
@click.option("-o", "--output", type=PATH, required=True, metavar="Q.nir", help="The result.")
@click.option("--weight-bits", type=int, default=8, show_default=True, help="Bits of a weight with its sign, 1 to 8.")
@click.option(
    "--per",
    type=click.Choice(["layer", "channel"]),
    default="layer",
    show_default=True,
    help="What has a weight step of its own; the step of a channel goes into its neurons' thresholds and biases.",
)
@click.option(
    "--rounding",
    type=click.Choice(["nearest", "gptq"]),
    default="nearest",
    show_default=True,
    help="gptq: weights are rounded so that what a layer computes on --data changes least.",
)
@click.option(
    "--data",
    "source",
    type=PATH,
    metavar="X.npy",
    help="Calibration data [T, B, *shape]: a step for inputs that are no integers, states within 24 bits. With "
    "--samples, --steps, --scale or --order: a file or folder as 'evaluate' takes it.",
)
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="The first N of a data set calibrate.  [default: 64]"
)
@click.option("--steps", type=click.IntRange(1), metavar="T", help="Steps for the still images of a data set.")
@scale_option
@order_option
@click.option(
    "--input",
    "form",
    type=click.Choice(["data", "integers"]),
    default="data",
    show_default=True,
    help="What Q.nir takes: the data that F.nir takes, rounded by a Quantize node behind each input, or integers. With "
    "integers it has no such node and runs in floating point unless --precision fixed is given.",
)
@dt_option
@json_option
def command(
    graph: Path,
    output: Path,
    weight_bits: int,
    per: str,
    rounding: str,
    source: Path | None,
    samples: int | None,
    steps: int | None,
    scale: float,
    order: str | None,
    form: str,
    dt: float | None,
    as_json: bool,
) -> None:
    """Turn a graph into integers for Loihi-style execution.

    The weights of a layer get the power of two with the least squared error as their step; with --per channel each
    output channel has a step of its own, any number, at no cost before a neuron.  Thresholds and resets become
    integers, decays multiples of 1/4096.  The result takes the data of F.nir, rounded to multiples of a step (1
    without --data), and gives what F.nir gives: a Scale before an output holds what its integer 1 stands for.  It runs
    in precision 'fixed', with the same integers on every runtime.  The table says for each layer what the integer 1
    stands for, the rounding error, how many weights were cut to the end of their bits, and the bits that states take
    on the data.

    \b
    Example:
      nirbridge quantize model.nir -o q.nir
      nirbridge quantize model.nir -o q.nir --data mnist.npz --scale 1/255 --steps 8
      nirbridge quantize model.nir -o q.nir --weight-bits 4 --data frames.npy --per channel --rounding gptq
    """
    import nir

    from nirbridge.ir import write
    from nirbridge.quantizing import quantize_with_report

    require_output(output, ".nir", graph, source)
    network = read_flat_graph(graph)
    with naming(graph, source):
        data = _calibration(source, network, samples, {"steps": steps, "scale": scale, "order": order, "dt": dt})
        integers, report = quantize_with_report(
            network, data, weight_bits=weight_bits, per=per, rounding=rounding, input=form, dt=dt
        )
    write(output, integers)
    if as_json:
        print_json({"file": str(graph), "output": str(output), **report.to_dict()})
    else:
        echo_text(report.table())
        for name, scale in report.input_scale.items():
            echo(f"input '{name}': 1 stands for {scale:g}, {_rounding(form, report.input_limit)}")
        for name, unit in report.output_scale.items():
            units = f"{unit.min():g}" if unit.min() == unit.max() else f"{unit.min():g} to {unit.max():g}"
            echo(f"output '{name}': {_meaning(form, units, graph)}")
    for note in report.notes:
        echo(f"Note: {note}", err=True)
    echo(f"wrote {output}: {len(integers.nodes)} nodes, {weight_bits}-bit weights", err=True)
    plain = {name for name, step in report.input_scale.items() if type(network.nodes[name]) is nir.Input and step == 1}
    if source is None and form == "data" and plain:
        echo("Without --data the step is 1: values that are no whole numbers are rounded, and said.", err=True)
    if form == "integers":
        echo(f"Give it round(x / step) and --precision fixed: nothing in {output.name} says either.", err=True)


def _calibration(source: Path | None, network: FlatGraph, samples: int | None, how: dict[str, Any]) -> Any:
    """The arrays of --data; those of a data set with what was understood of it on stderr."""
    from nirbridge.evaluating import first_samples

    asked = (samples, how["steps"], how["order"]) != (None, None, None) or how["scale"] != 1
    if source is None and asked:
        found = "is missing; --samples, --steps, --scale and --order say how it is read"
        raise InputError("option '--data'", found, "Give it")
    if source is None or not asked:
        return None if source is None else read_data(source, network, how["dt"])
    data, notes = first_samples(network, str(source), samples or _SAMPLES, **how)
    for note in notes:
        echo(note, err=True)
    return data


def _meaning(form: str, units: str, graph: Path) -> str:
    """What an output says."""
    if form == "data":
        return f"what {graph.name} gives, in units of {units}"
    return f"1 stands for {units}"


def _rounding(form: str, limit: int) -> str:
    """What becomes of the data of an input."""
    if form == "data":
        return f"data are rounded to it and cut at ±{limit:,} of it"
    return f"give integers up to ±{limit:,}"
