"""``nirbridge plot``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from nirbridge.cli.common import PATH, graph_argument, naming, read_inputs, read_network, require_output
from nirbridge.cli.inputs import Inputs, input_option
from nirbridge.cli.output import echo
from nirbridge.cli.progress import bar_of
from nirbridge.cli.quantities import parsed
from nirbridge.cli.runtime_options import calculation_options, given
from nirbridge.errors import InputError

_RANGE = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")
_MOST_NEURONS = 1000
"""So many rows a panel has pixels for."""


@parsed
def parse_neurons(text: str, option: str) -> list[int]:
    """The neurons of ``0:100,512``, at most as many as a panel has rows for."""
    found: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise InputError(f"option {option}", f"'{part.strip()[:40]}' is no number and no A:B", "As 0:100,512")
        first = int(match[1])
        stop = first + 1 if match[2] is None else int(match[2])
        if not first < stop <= first + _MOST_NEURONS:
            words = f"'{part.strip()}' holds {stop - first} neurons, from 1 to {_MOST_NEURONS} can be drawn"
            raise InputError(f"option {option}", words, "Give a shorter range")
        found += range(first, stop)
    if len(found) > _MOST_NEURONS:
        raise InputError(f"option {option}", f"{len(found)} exceed the {_MOST_NEURONS} that can be drawn", "Give fewer")
    return found


@click.command()
@graph_argument
@input_option
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    metavar="PICTURE",
    help="A still as .png, .svg or .pdf; a film of the input's frames beside panels that grow as .gif or .mp4.",
)
@click.option(
    "--record",
    multiple=True,
    metavar="NODE,NODE:v",
    help="A panel for what each node sends, with NODE:v for membranes of a neuron; may be repeated. By default the "
    "spiking nodes, at most six.",
)
@click.option("--sample", type=click.IntRange(0), default=0, show_default=True, help="Which sample of X.npy.")
@click.option(
    "--neurons",
    metavar="A:B,C",
    callback=parse_neurons,
    help="Neurons that panels draw, from A up to but without B, and C; by default up to 240 spread evenly, and the "
    "membranes of three that fire. Rates and counts are always those of all.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0.1, 60),
    help="Pictures a second of a film, of a .gif more than 50 count as 50; 10 if not given.",
)
@click.option("--runtime", default="reference", show_default=True, metavar="NAME", help="See 'nirbridge runtimes'.")
@calculation_options
def command(
    graph: Path,
    source: Inputs,
    output: Path,
    record: tuple[str, ...],
    sample: int,
    neurons: list[int] | None,
    fps: float | None,
    runtime: str,
    **options: Any,
) -> None:
    """Draw spikes, membranes, rates and the decision of one sample over time.

    Spikes are coloured by their level; membranes stand beside all thresholds and the reset. Rates are spikes per
    neuron and step of every spiking node, scores the mean output so far, or of a phase code the sum within a window.

    \b
    Example:
      nirbridge plot model.nir -i frames.npy -o activity.png
      nirbridge plot model.nir -i frames.npy --record conv1.act,act2:v --neurons 0:100 -o activity.svg
      nirbridge plot model.nir -i frames.npy -o activity.gif
    """
    from nirbridge.plotting import FRAMES_A_SECOND, SUFFIXES, picture_suffix, plot

    require_output(output, SUFFIXES, graph, *source.paths)
    animated = picture_suffix(output) in (".gif", ".mp4")
    if fps is not None and not animated:
        raise InputError("option --fps", f"is of films, and '{output}' is a still", "Leave it out, or write a .gif")
    network = read_network(graph, options["precision"], options["dt"])
    with naming(graph, source):
        data = read_inputs(source, network, options["dt"])
        picture = plot(
            network, data, record, runtime=runtime, sample=sample, neurons=neurons, title=graph.name, **given(options)
        )
    for note in (*picture.notes, *(picture.film_notes() if animated else ())):
        echo(f"Note: {note}", err=True)
    picture.save(output, fps or FRAMES_A_SECOND, _drawing)
    echo(f"wrote {output}", err=True)


def _drawing(steps: Iterable[int]) -> Iterable[int]:
    with bar_of("drawing", steps) as bar:
        yield from bar
