"""``nirbridge convert``: a trained analog network to a spiking graph file."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nirbridge.cli.common import PATH, require_output
from nirbridge.cli.output import echo
from nirbridge.cli.quantities import parsed
from nirbridge.cli.runtime_options import NAMES, given, runtime_options, take_runtime_options
from nirbridge.errors import InputError, UnsupportedError, placing
from nirbridge.reports import span

if TYPE_CHECKING:
    from nirbridge.converting import Conversion, Report


DATA = "argument 'data'"
"""How the library calls the samples."""


@parsed
def parse_numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers with commas between, as 0.485,0.456,0.406."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        found = f"'{text}' is not numbers with commas between"
        raise InputError(f"option '{option}'", found, "Give one, or one a channel, as 0.5,0.5,0.5") from None


_MOST_JUDGED = 64


@click.command("convert")
@click.argument("spec")
@click.option("--data", type=PATH, required=True, metavar="X.npy", help="Calibration samples [N, *shape].")
@click.option("-o", "--output", type=PATH, required=True, metavar="F.nir", help="The graph to write.")
@click.option(
    "--method",
    type=click.Choice(["one-spike", "qcfs"]),
    default="one-spike",
    show_default=True,
    help="one-spike for ReLU networks, qcfs for networks trained with QCFS.",
)
@click.option("--weights", type=PATH, metavar="CKPT", help="Weights: .safetensors, or .pt with plain tensors.")
@click.option("--phases", type=int, help="one-spike: T, steps a window; 16 if not given.")
@click.option("--wait", type=int, help="one-spike: steps a layer waits, 0 to T; T, which is exact, if not given.")
@click.option(
    "--base", metavar="Q|auto", help="one-spike: base of the code; auto, which fits it to the data, if not given."
)
@click.option("--spikes", type=int, help="one-spike: spikes of a neuron in a window, at most; 1 if not given.")
@click.option(
    "--calibrate",
    type=click.Choice(["auto", "margin", "error", "paper"]),
    help="one-spike: ranges with room for unseen data (margin), of least error, or the paper's; the first two set "
    "biases too. If not given auto: error for one spike of fewer than 12 phases, else margin.",
)
@click.option(
    "--margin",
    type=float,
    help="one-spike: how far codes reach, times the largest activation; if not given, as one half of the data needs "
    "for the other.",
)
@click.option("--first-phase", type=int, help="one-spike: exponent of the first phase; 1 if not given.")
@click.option(
    "--bn",
    type=click.Choice(["threshold", "weights"]),
    help="one-spike: where batch normalisation goes; threshold if not given.",
)
@click.option(
    "--averages",
    type=click.Choice(["spike", "linear"]),
    help="one-spike: averages get neurons, or none; spike if not given.",
)
@click.option("--weight-bits", type=int, help="one-spike: round weights to 2 to 16 bits; not rounded if not given.")
@click.option(
    "--weight-rounding",
    type=click.Choice(["nearest", "gptq"]),
    help="one-spike: gptq rounds so that a layer's sums on the data change least; nearest if not given.",
)
@click.option(
    "--percentile", type=float, help="one-spike: λ is this percentile of the activations above 0; 100 if not given."
)
@click.option(
    "--input-scale", type=float, help="one-spike: the largest input magnitude; that of the data if not given."
)
@click.option(
    "--mean", callback=parse_numbers, metavar="N,..", help="one-spike: the ANN takes (x - mean)/std, the graph x."
)
@click.option("--std", callback=parse_numbers, metavar="N,..", help="one-spike: see --mean.")
@click.option("--steps", type=int, help="qcfs: T; each neuron gets Q/T levels; 1 if not given.")
@click.option("--report", type=PATH, metavar="OUT.json", help="Errors of every layer, latency and warnings.")
@click.option("--plot", type=PATH, metavar="OUT.png", help="The same as a picture.")
@click.option("--labels", type=PATH, metavar="Y.npy", help="Classes of the samples [N], for accuracies.")
@click.option(
    "--samples",
    type=int,
    help="Held back from calibration for the report; a quarter, at most 64, if not given.",
)
@click.option("--runtime", default="norse", show_default=True, metavar="NAME", help="Runs the graph for the report.")
@runtime_options
def command(
    spec: str,
    data: Path,
    output: Path,
    method: str,
    weights: Path | None,
    report: Path | None,
    plot: Path | None,
    labels: Path | None,
    samples: int | None,
    runtime: str,
    **options: Any,
) -> None:
    """Turn a trained analog network into a spiking graph, without training it again.

    SPEC names the module: package.module:callable or file.py:callable.  Warnings that name a layer, such as channels
    that the data never activate, go to stderr.

    \b
    Example:
      nirbridge convert model.py:Net --data x.npy -o snn.nir --weights model.safetensors --phases 16 --report r.json
      nirbridge convert model.py:QcfsNet --data x.npy -o snn.nir --method qcfs --steps 2
    """
    for path, suffix in ((output, ".nir"), (report, ".json"), (plot, ".png")):
        require_output(path, suffix, data, weights, labels)
    how = take_runtime_options(options)
    reported = report is not None or plot is not None
    _require_report_options(reported, runtime, how)
    from nirbridge.converting import convert_in_full, measure
    from nirbridge.exporting import load_module, load_weights
    from nirbridge.ir import write

    with _naming(data):
        values, judged, classes = _divided(_samples(data), labels, samples, reported)
    with _naming(data), redirect_stdout(sys.stderr):  # data go to stdout, and what the user's code prints is none
        module = load_module(spec)
        if weights is not None:
            load_weights(module, weights)
        conversion = convert_in_full(module, values, method, progress=_say, **given(options))
    for note in conversion.notes:
        echo(f"Warning: {note}", err=True)
    if reported:
        _say(f"measuring {len(judged)} samples that were held back, on {runtime}")
        with _naming(data):
            _write_report(measure(conversion, judged, runtime, classes, **how), report, plot)
    write(output, conversion.graph)
    latency = conversion.latency
    _say(f"{output}: {len(conversion.graph.nodes)} nodes, {latency.depth} spiking layers, {_options(conversion)}")
    _say(f"latency: {latency.pipelined()} steps an image, one every {latency.phases} steps when pipelined")


def _naming(data: Path) -> AbstractContextManager[None]:
    """Names the file in errors about the samples."""
    return placing(lambda where: f"file '{data}'" if where == DATA else where)


def _say(text: str) -> None:
    echo(text, err=True)


def _options(conversion: Conversion) -> str:
    shown = ("phases", "wait", "base", "spikes", "weight_bits", "steps")
    told = {name: f"{value:g}" for name in shown if (value := conversion.options.get(name)) is not None}
    if "base" in told and conversion.layers:
        told["base"] = span(layer.base_out for layer in conversion.layers)
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _require_report_options(reported: bool, runtime: str, how: dict[str, Any]) -> None:
    """Looks at what only the report uses, before a long conversion.

    Raises:
        InputError: such an option is out of range, or given without a report.
        RuntimeUnavailableError: the runtime that shall run the graph for it cannot be used.
        UnsupportedError: that runtime does not know an option.
    """
    context = click.get_current_context()
    for name in ("samples", "labels", "runtime", *NAMES):
        if not reported and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            found = "is for the report, which is not asked for"
            raise InputError(f"option '--{name}'", found, f"Give --report or --plot too, or leave --{name} away")
    if reported:
        from nirbridge.runtime.discovery import usable_runtime

        known = usable_runtime(runtime).options
        for name in sorted(set(how) - known):
            listed = ", ".join(sorted(known)) or "none of that kind"
            raise UnsupportedError(f"runtime '{runtime}'", f"option '{name}' is unknown", f"It knows {listed}")


def _divided(data: Any, labels: Path | None, held_back: int | None, reported: bool) -> tuple[Any, Any, Any]:
    """Samples to calibrate on, others to judge by, spread over the data, and the classes of those.

    Raises:
        InputError: too few samples to hold some back, bad ones, or labels that are not one for each sample.
    """
    import numpy as np

    from nirbridge.converting.calibration_data import checked_data

    if not reported:
        return data, None, None
    data = checked_data(data)  # before they are divided, and before a long conversion
    classes = None if labels is None else _classes(labels, len(data))
    count = min(len(data) // 4, _MOST_JUDGED) if held_back is None else held_back
    if not 1 <= count < len(data):
        found = f"{count} of {len(data)} samples would be held back from calibration"
        raise InputError("option '--samples'", found, "Hold back one at least, and leave some to calibrate on")
    judged = np.linspace(0, len(data) - 1, count).round().astype(int)
    rest = np.setdiff1d(np.arange(len(data)), judged)
    return data[rest], data[judged], None if classes is None else classes[judged]


def _classes(path: Path, count: int) -> Any:
    import numpy as np

    from nirbridge.arrays import read_arrays

    found = read_arrays(path, "[N]")
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.shape != (count,):
        what = f"array of shape {found.shape} and dtype {found.dtype}" if isinstance(found, np.ndarray) else "archive"
        raise InputError(f"file '{path}'", f"holds an {what}, expected {count} whole numbers", "Give a class a sample")
    return found


def _samples(path: Path) -> Any:
    from nirbridge.arrays import one_array, read_arrays

    return one_array(path, read_arrays(path, "[N, *shape]"), "Save the samples alone as .npy")


def _write_report(found: Report, report: Path | None, plot: Path | None) -> None:
    from nirbridge.files import write_whole

    if plot is not None:
        from nirbridge.converting.plotting import draw

        draw(found, plot)
        _say(f"wrote {plot}")
    if report is not None:
        write_whole(report, json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n")
        _say(f"wrote {report}")
    for line in found.table().splitlines():
        _say(line)
    _say(
        f"{found.samples} samples: same answer for {found.agreement:.2%} of the decisions, "
        f"correlation of the outputs {found.correlation:.3f}"
    )
    if found.accuracy is not None:
        _say(f"accuracy {found.accuracy:.2%}, of the network {found.network_accuracy:.2%}")
