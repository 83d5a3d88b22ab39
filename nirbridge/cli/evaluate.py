"""``nirbridge evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nirbridge.cli.common import (
    PATH,
    energy_options,
    graph_argument,
    json_option,
    naming,
    read_flat_graph,
    read_network,
    require_output,
)
from nirbridge.cli.encoder_options import encoder_flags, encoder_options, reading
from nirbridge.cli.filter_options import filter_option
from nirbridge.cli.grid_options import grid, grid_options
from nirbridge.cli.jobs_options import jobs_options
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.progress import progress_of
from nirbridge.cli.quantities import order_option, scale_option
from nirbridge.cli.reader_options import reader_options
from nirbridge.cli.runtime_options import calculation_options, preferred_runtime, take_runtime_options
from nirbridge.errors import InputError

if TYPE_CHECKING:
    from nirbridge.ir import FlatGraph


@click.command()
@graph_argument
@click.argument("data", metavar="DATA")
@click.option("--labels", type=PATH, metavar="Y.npy", help="The class of each sample, [N]; else those of DATA.")
@click.option("--steps", type=click.IntRange(1), metavar="T", help="Steps for still images; of recordings, frames.")
@click.option("--runtime", metavar="NAME", help="What decides; norse where it runs the graph, else reference.")
@click.option("--runtimes", metavar="A,B,..", help="Several: the first decides, and decisions that differ are counted.")
@click.option(
    "--baseline",
    metavar="SPEC|B.nir",
    help="The network it came from, file.py:callable as of 'export' or a graph: its accuracy on the same data.",
)
@click.option("--baseline-weights", type=PATH, metavar="CKPT", help="Weights of a baseline SPEC.")
@click.option("-o", "--output", type=PATH, metavar="P.csv", help="A row a sample: .csv or .parquet.")
@click.option("--restart", is_flag=True, help="Begin anew where an interrupted run of the same output left off.")
@click.option("--plot", type=PATH, metavar="P.png", help="Draw the confusion matrix and the accuracy over steps.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="B",
    help="Samples that run together; if not given, what takes 64 MB, at most 256.",
)
@jobs_options
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Only the first N.")
@click.option(
    "--bad",
    type=click.Choice(["count", "error"]),
    default="count",
    show_default=True,
    help="A sample that cannot be read is counted and named, or ends the evaluation.",
)
@click.option(
    "--activity/--no-activity",
    default=True,
    help="Record what neurons send, for spikes and energy, or not, for less time and memory; recorded if not given.",
)
@order_option
@scale_option
@click.option("--root", metavar="DIR", help="Folder of a data set that DATA names.")
@click.option("--train", is_flag=True, help="Its training part instead of the test part.")
@energy_options
@encoder_options
@filter_option
@grid_options
@reader_options
@calculation_options
@json_option
def command(graph: Path, data: str, plot: Path | None, output: Path | None, as_json: bool, **flags: Any) -> None:
    """Run a graph on a whole data set: accuracy, decisions, spikes, energy.

    DATA is an .npy or .npz file of still images [N, *shape], shown at each of --steps steps, or of frames
    [N, T, *shape]; a .nird file; a folder of recordings, one folder for each class or with a labels.csv (file,label);
    such a table by another name, as test.csv; or the name of a data set (nmnist, dvs_gesture, ..) with --root. An .npz
    may hold the classes as 'labels'. The graph's EventInput says how recordings become frames, else --window and
    --coding do.

    It runs in batches, so that memory does not grow with the data. With -o it writes a row a sample, and the same
    command goes on after an interruption. Exit code 0 whatever the accuracy.

    \b
    Example:
      nirbridge evaluate model.nir mnist.npz --scale 1/255 --steps 8 -o predictions.csv --plot confusion.png
      nirbridge evaluate model.nir recordings/ --jobs 4
      nirbridge evaluate integers.nir x.npy --labels y.npy --runtimes norse,lava --baseline model.nir
    """
    from nirbridge.evaluating import evaluate

    require_output(output, (".csv", ".parquet"), graph)
    require_output(plot, ".png", graph)
    network = read_network(graph, flags["precision"], flags["dt"])
    runtime, others = _runtimes(flags.pop("runtime"), flags.pop("runtimes"), network)
    options = _options(flags)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        echo(line, err=True)

    with naming(graph, Path(data)), progress_of("evaluated") as progress:
        found = evaluate(
            network,
            data,
            runtime=runtime,
            others=others,
            output=output,
            plot=plot,
            tell=tell,
            progress=progress,
            **options,
        )
    for line in found.notes:
        if line not in told:
            echo(line, err=True)
    for path in (output, plot):
        if path is not None:
            echo(f"wrote {path}", err=True)
    if as_json:
        print_json({"file": str(graph), "data": data, **found.to_dict()})
    else:
        echo_text(found.table())


def _runtimes(one: str | None, several: str | None, network: FlatGraph) -> tuple[str, tuple[str, ...]]:
    """Who decides, and who does besides."""
    if several is None:
        return one or preferred_runtime(network), ()
    if one is not None:
        raise InputError("option --runtimes", "does not go with --runtime: both say what decides", "Give one of them")
    first, *others = [name.strip() for name in several.split(",")]
    return first, tuple(others)


def _options(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``nirbridge.evaluate`` that the options give."""
    encoding = encoder_flags(flags) | grid(flags)
    asked = click.get_current_context().get_parameter_source
    energy = {
        name: flags[name]
        for name in ("model", "bits", "input_kind")
        if flags[name] is not None and (flags["activity"] or asked(name) is not ParameterSource.DEFAULT)
    }
    named = flags["baseline"]
    names = (
        "labels", "steps", "restart", "batch", "jobs", "cluster", "samples", "bad", "activity", "order", "scale",
        "root", "train", "baseline_weights", "dt", "precision", "integrator", "reset",
    )  # fmt: skip
    return {
        **{name: flags[name] for name in names},
        **take_runtime_options(flags),
        "baseline": read_flat_graph(Path(named)) if named and Path(named).suffix.lower() == ".nir" else named,
        "encoding": encoding or None,
        "reading": reading(flags) or None,
        "energy": energy,
    }
