"""``nirbridge convert``: a trained analog network to a spiking graph file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nirbridge.cli.output import echo
from nirbridge.cli.runtime_options import NAMES, given, runtime_options, take_runtime_options
from nirbridge.errors import InputError, NirbridgeError, UnsupportedError

if TYPE_CHECKING:
    from nirbridge.converting import Report


DATA = "argument 'data'"
"""How the library calls the samples."""


def parse_numbers(_context: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Numbers with commas between, as 0.485,0.456,0.406.

    Raises:
        InputError: it is anything else.
    """
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        found = f"'{value}' is not numbers with commas between"
        raise InputError(f"option '--{param.name}'", found, "Give one, or one a channel, as 0.5,0.5,0.5") from None


_PATH = click.Path(path_type=Path)


@click.command("convert")
@click.argument("spec")
@click.option("--data", type=_PATH, required=True, metavar="X.npy", help="Calibration samples [N, *shape].")
@click.option("-o", "--output", type=_PATH, required=True, metavar="F.nir", help="The graph to write.")
@click.option(
    "--method",
    type=click.Choice(["one-spike", "qcfs"]),
    default="one-spike",
    show_default=True,
    help="one-spike for ReLU networks, qcfs for networks trained with QCFS.",
)
@click.option("--weights", type=_PATH, metavar="CKPT", help="Weights: .safetensors, or .pt with plain tensors.")
@click.option("--phases", type=int, help="one-spike: T, steps a window; 16 if not given.")
@click.option("--wait", type=int, help="one-spike: steps a layer waits, 0 to T; T, which is exact, if not given.")
@click.option(
    "--base", metavar="Q|auto", help="one-spike: base of the code; auto is the least relative error (default)."
)
@click.option("--first-phase", type=int, help="one-spike: exponent of the first phase; 1 if not given.")
@click.option("--bn", type=click.Choice(["threshold", "weights"]), help="one-spike: where batch normalisation goes.")
@click.option("--averages", type=click.Choice(["spike", "linear"]), help="one-spike: whether averages get neurons.")
@click.option("--weight-bits", type=int, help="one-spike: round weights to this many bits, as 8.")
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
@click.option("--report", type=_PATH, metavar="OUT.json", help="Errors of every layer, latency and warnings.")
@click.option("--plot", type=_PATH, metavar="OUT.png", help="The same as a picture.")
@click.option("--samples", type=int, default=64, show_default=True, help="Calibration samples that the report is from.")
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
    samples: int,
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
    inputs = [data, *([weights] if weights else [])]
    _require_outputs(output, report, plot, inputs)
    how = take_runtime_options(options)
    _require_report_options(report is not None or plot is not None, samples, runtime, how)
    from nirbridge.converting import convert_in_full, measure
    from nirbridge.exporting import load_module, load_weights
    from nirbridge.ir import write

    values = _samples(data)
    with _naming(data), redirect_stdout(sys.stderr):  # data go to stdout, and what the user's code prints is none
        module = load_module(spec)
        if weights is not None:
            load_weights(module, weights)
        conversion = convert_in_full(module, values, method, progress=_say, **given(options))
    for note in conversion.notes:
        echo(f"Warning: {note}", err=True)
    if report is not None or plot is not None:
        _say(f"measuring {min(samples, len(values))} samples on {runtime}")
        _write_report(measure(conversion, values[:samples], runtime, **how), report, plot)
    write(output, conversion.graph)
    latency = conversion.latency
    _say(
        f"{output}: {len(conversion.graph.nodes)} nodes, {latency.depth} spiking layers, {_options(conversion.options)}"
    )
    _say(f"latency: {latency.pipelined()} steps an image, one every {latency.phases} steps when pipelined")


@contextmanager
def _naming(data: Path) -> Iterator[None]:
    """Names the file in errors about the samples."""
    try:
        yield
    except NirbridgeError as error:
        problems = [
            replace(problem, where=f"file '{data}'") if problem.where == DATA else problem for problem in error.problems
        ]
        raise type(error).from_problems(problems) from error


def _say(text: str) -> None:
    echo(text, err=True)


def _options(options: dict[str, Any]) -> str:
    shown = ("phases", "wait", "base", "weight_bits", "steps")
    return ", ".join(f"{name} {options[name]:g}" for name in shown if options.get(name) is not None)


def _require_outputs(output: Path, report: Path | None, plot: Path | None, inputs: list[Path]) -> None:
    from nirbridge.cli.common import require_output

    require_output(output, ".nir", *inputs)
    for path, suffix in ((report, ".json"), (plot, ".png")):
        if path is not None:
            require_output(path, suffix, *inputs)


def _require_report_options(reported: bool, samples: int, runtime: str, how: dict[str, Any]) -> None:
    """Looks at what only the report uses, before a long conversion.

    Raises:
        InputError: such an option is out of range, or given without a report.
        RuntimeUnavailableError: the runtime that shall run the graph for it cannot be used.
        UnsupportedError: that runtime does not know an option.
    """
    if samples < 1:
        raise InputError("option '--samples'", f"{samples} is below 1", "Give for instance 64")
    context = click.get_current_context()
    for name in ("samples", "runtime", *NAMES):
        if not reported and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            found = "is for the report, which is not asked for"
            raise InputError(f"option '--{name}'", found, f"Give --report or --plot too, or leave --{name} away")
    if reported:
        from nirbridge.runtime.discovery import usable_runtime

        known = usable_runtime(runtime).options
        for name in sorted(set(how) - known):
            listed = ", ".join(sorted(known)) or "none of that kind"
            raise UnsupportedError(f"runtime '{runtime}'", f"option '{name}' is unknown", f"It knows {listed}")


def _samples(path: Path) -> Any:
    from nirbridge.arrays import read_arrays

    found = read_arrays(path, "[N, *shape]")
    if isinstance(found, dict):
        names = ", ".join(list(found)[:8])
        raise InputError(f"file '{path}'", f"holds {len(found)} arrays ({names})", "Save the samples alone as .npy")
    return found


def _write_report(found: Report, report: Path | None, plot: Path | None) -> None:
    from nirbridge.files import write_whole

    if plot is not None:
        from nirbridge.converting.plotting import draw

        draw(found, plot)
        _say(f"wrote {plot}")
    if report is not None:
        write_whole(report, json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n")
        _say(f"wrote {report}")
    _say(f"output error {found.output_error:.2%}, same answer for {found.agreement:.2%} of the decisions")
