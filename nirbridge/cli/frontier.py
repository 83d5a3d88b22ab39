"""``nirbridge frontier``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import (
    PATH,
    energy_options,
    input_shapes,
    json_option,
    naming,
    note_precision,
    read_data,
    read_graph,
    require_output,
)
from nirbridge.cli.jobs_options import jobs_options
from nirbridge.cli.output import echo, echo_text, print_json
from nirbridge.cli.progress import adding, progress_of
from nirbridge.cli.quantities import scale_option
from nirbridge.cli.runtime_options import calculation_options, given
from nirbridge.errors import InputError, NirbridgeError, Problem, placing

if TYPE_CHECKING:
    import nir

    from nirbridge.evaluating import Candidate, NetworkFile


def parse_steps(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Whole numbers with commas between, as 1,2,4.

    Raises:
        InputError: it is anything else.
    """
    parts = [part.strip() for part in value.split(",")] if value is not None else []
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        found = f"'{value}' is not whole numbers from 1 on with commas between"
        raise InputError("option '--steps'", found, "Give one for all, or one for each network, as 1,2,4")
    return tuple(map(int, parts))


@click.command()
@click.argument("networks", type=PATH, nargs=-1, required=True, metavar="A.nir B.nir ...")
@click.option(
    "-i",
    "--input",
    "sources",
    type=PATH,
    multiple=True,
    metavar="X.npy",
    help="Data: frames [T, B, *shape], or still images [B, *shape]. Once for all networks, or once for each in their "
    "order.",
)
@click.option("--labels", type=PATH, required=True, metavar="Y.npy", help="The class of each sample, [B].")
@click.option(
    "--steps",
    callback=parse_steps,
    metavar="T[,T..]",
    help="Steps for which still images are shown: one for all, or one for each network; rows of a .csv that state "
    "their own keep them. Phase codes, LM-HT graphs and those of 'convert --method qcfs' say it themselves.",
)
@scale_option
@click.option("-o", "--output", type=PATH, metavar="OUT.png", help="Draw the frontier.")
@energy_options
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Use only the first N samples.")
@click.option("--runtime", default="reference", show_default=True, metavar="NAME", help="Runs the networks.")
@jobs_options
@calculation_options
@json_option
def command(
    networks: tuple[Path, ...],
    sources: tuple[Path, ...],
    labels: Path,
    steps: tuple[int, ...],
    scale: float,
    output: Path | None,
    samples: int | None,
    jobs: int,
    cluster: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare networks by accuracy, energy and latency, and draw the frontier.

    Every network runs on the labelled data. Its decision is the class of the largest mean score over the steps, of a
    phase code at the end of the window; its energy that of the recorded activity; its latency T, of a phase code T and
    the waits of its layers, which is also the latency of an image when they are pipelined. A network is dominated when
    another is as accurate, cheap and fast, and better in one of the three.

    In place of graphs a .csv file may name them, with the columns graph, input, steps, label and group, of which all
    but the first may be missing: 'examples/sweep.py' writes one.

    \b
    Example:
      nirbridge frontier t1.nir t2.nir t4.nir -i images.npy --steps 1,2,4 --labels y.npy -o frontier.png
      nirbridge frontier a.nir b.nir -i frames3.npy -i frames10.npy --labels y.npy --input-kind events --model memory
      nirbridge frontier sweep/networks.csv --labels sweep/labels.npy --runtime norse --json
    """
    from nirbridge.evaluating import collected, judge, listed
    from nirbridge.workers import crew

    files = listed(networks, sources, steps)
    require_output(output, ".png", labels, *networks, *(path for one in files for path in (one.graph, one.input)))
    candidates = _candidates(files, labels, {"samples": samples, "dt": options["dt"], "scale": scale})
    for file, one in zip(files, candidates, strict=True):
        note_precision(file.graph, one.graph, options["precision"], options["dt"])
    outcomes = []
    total = sum(one.samples for one in candidates)
    with crew(jobs, cluster) as workers, progress_of("running") as progress:
        count = adding(progress, total)
        for line in workers.remarks:
            echo(line, err=True)
        for file, one in zip(files, candidates, strict=True):
            with _naming(file, labels):
                outcomes.append(judge(one, workers, progress=count, **given(options)))
    found = collected(outcomes)
    if output is not None:
        found.draw(output)
        echo(f"wrote {output}", err=True)
    if as_json:
        rows = found.to_dict()
        for file, row in zip(files, rows["networks"], strict=True):
            row["file"] = str(file.graph)
        print_json(rows)
    else:
        echo_text(found.table())


def _candidates(files: tuple[NetworkFile, ...], labels: Path, how: dict[str, Any]) -> list[Candidate]:
    """All networks with their data; an error names every file that does not fit."""
    from nirbridge.evaluating import candidate, distinct_names
    from nirbridge.evaluating.opening import labels_of

    classes = labels_of(labels)
    problems: list[Problem] = []
    found = []
    known: dict[Any, Any] = {}
    for file, name in zip(files, distinct_names([file.graph for file in files]), strict=True):
        with _gathering(problems), _naming(file, labels):
            graph = read_graph(file.graph)
            made = candidate(
                name,
                graph,
                _data(file, graph, how["dt"], known, classes.size),
                classes,
                steps=file.steps,
                label=file.label,
                group=file.group,
                **how,
            )
            found.append(made)
    if problems:
        raise NirbridgeError.from_problems(list(dict.fromkeys(problems)))
    return found


def _data(file: NetworkFile, graph: nir.NIRGraph, dt: float | None, known: dict[Any, Any], samples: int) -> Any:
    """The data of a network; a file of arrays that several take is kept once."""
    from nirbridge.nir_data import SUFFIX

    assert file.input is not None, "a listed network has data"
    if file.input.suffix.lower() == SUFFIX:
        return read_data(file.input, graph, dt, samples)
    key = file.input, *input_shapes(graph).values()
    if key not in known:
        known[key] = read_data(file.input, graph, dt, samples)
    return known[key]


@contextmanager
def _gathering(problems: list[Problem]) -> Iterator[None]:
    """Keeps the problems of one network, so that those of the others are found too."""
    try:
        yield
    except NirbridgeError as error:
        problems += error.problems


@contextmanager
def _naming(file: NetworkFile, labels: Path) -> Iterator[None]:
    """Names the files in errors: of data also the network that they do not fit."""

    def place(where: str) -> str:
        if where == "labels":
            return f"file '{labels}'"
        return where.replace(f"file '{file.input}', ", f"file '{file.input}' for '{file.graph}', ", 1)

    with placing(place), naming(file.graph, file.input):
        yield
