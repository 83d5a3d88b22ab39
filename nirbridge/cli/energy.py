"""``nirbridge energy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nirbridge.cli.common import (
    PATH,
    energy_options,
    graph_argument,
    json_option,
    naming,
    read_inputs,
    read_network,
    require_output,
)
from nirbridge.cli.inputs import Inputs, input_option
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.runtime_options import calculation_options, given


@click.command()
@graph_argument
@input_option
@energy_options
@click.option(
    "--inferences",
    type=click.IntRange(1),
    help="Inferences that the steps of X.npy hold; by default the windows of the graph's phase code, or one a frame "
    "where 'convert --method qcfs' made the graph, else 1.",
)
@click.option("--runtime", default="reference", show_default=True, metavar="NAME", help="Records the activity.")
@calculation_options
@json_option
@click.option("--plot", type=PATH, metavar="OUT.png", help="Draw energy and rate of every layer.")
def command(graph: Path, source: Inputs, as_json: bool, plot: Path | None, **options: Any) -> None:
    """Estimate the energy of every layer, and of the same network as an ANN.

    Runs the graph on X.npy and counts what its layers receive and send. All numbers are means of one inference of one
    sample: inputs other than 0 for each input neuron (rate), the same (events), with levels (values), operations, pJ,
    and how many times that the ANN with the same synapses takes. What is not counted is listed with the reason.

    \b
    Example:
      nirbridge energy model.nir -i frames.npy --input-kind events
      nirbridge energy model.nir -i frames.npy --model memory --plot energy.png
      nirbridge energy model.nir -i frames.npy --json | jq .total
    """
    from nirbridge.costing import draw_report, energy

    require_output(plot, ".png", graph, *source.paths)
    network = read_network(graph, options["precision"], options["dt"])
    with naming(graph, source):
        data = read_inputs(source, network, options["dt"])
        report = energy(network, data, **given(options))
    if plot is not None:
        draw_report(report, plot)
        echo(f"wrote {plot}", err=True)
    if as_json:
        print_json({"file": str(graph), **report.to_dict()})
    else:
        echo_text(report.table())
