"""``nirbridge.plot`` and ``program.plot``: one sample's way through a network as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nirbridge.ir import Graph
from nirbridge.pictures import require_libraries
from nirbridge.plotting.activity import Activity, record_activity
from nirbridge.plotting.choosing import MOST_NODES, default_record, spiking_nodes, split_names
from nirbridge.plotting.picture import Picture, draw_picture, picture_suffix
from nirbridge.plotting.score import running_score
from nirbridge.reports import counted, drawable, seconds_text, shape_text
from nirbridge.runtime import Data, Program, compile


def plot(
    graph: Graph,
    x: Data,
    record: Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
    *,
    runtime: str = "reference",
    sample: int = 0,
    neurons: Sequence[int] | None = None,
    title: str = "",
    **options: Any,
) -> Picture:
    """Runs one sample and draws what the nodes send, membranes with their thresholds, rates and the decision.

    Rasters are coloured by level; rates are those of all neurons, also where a panel draws some.  The time axis counts
    the steps of the fastest node, and seconds by the plan's dt.

    Args:
        graph: the network.
        x: [T, B, *shape], or such arrays by input name.
        record: nodes, and neurons with ":v" for their membranes; by default the spiking nodes, at most six of them.
        path: where the picture goes: .png, .svg, .pdf, or animated as .gif or .mp4; None for nowhere.
        runtime: runs it.
        sample: which of the B samples.
        neurons: numbers in C order that panels draw; by default all, at most 240 spread evenly, and the membranes of
            three that fire.
        title: of the picture.
        options: as for :func:`nirbridge.compile`.

    Returns:
        The picture; its ``figure`` is matplotlib's, its ``notes`` say what was left out.

    Raises:
        InputError: a node, sample or suffix does not exist, or a library is missing.
        GraphError, UnsupportedError, RuntimeUnavailableError: as :func:`nirbridge.compile`.
        FileError: the file cannot be written.
    """
    _require(path)
    with compile(graph, runtime, **options) as program:
        return plot_program(program, x, record, path, sample=sample, neurons=neurons, title=title)


def plot_program(
    program: Program,
    x: Data,
    record: Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
    *,
    sample: int = 0,
    neurons: Sequence[int] | None = None,
    title: str = "",
) -> Picture:
    """As :func:`plot`, with a compiled program, which starts from fresh states as ``run`` does."""
    _require(path)
    plan = program.plan
    names = split_names(record, plan) or default_record(plan)
    activity = record_activity(program, x, names, sample)
    words = _heading(activity, title, program.runtime)
    picture = draw_picture(activity, names, neurons, words, _notes(activity, names, default=not record))
    if path is not None:
        picture.save(path)
    return picture


def _require(path: str | os.PathLike[str] | None) -> None:
    """Before anything runs for minutes."""
    if path is None:
        require_libraries("a picture", "matplotlib")
    else:
        picture_suffix(path)


def _heading(activity: Activity, title: str, runtime: str) -> str:
    of = f" of {activity.samples}" if activity.samples > 1 else ""
    steps = counted(len(next(iter(activity.inputs.values()))), "step")
    parts = [
        f"sample {activity.sample}{of}",
        f"runtime {runtime}" if runtime else "",
        f"precision {'fixed' if activity.fixed else 'float'}",
        f"{steps} of {seconds_text(activity.plan.dt)}",
    ]
    return "\n".join(filter(None, [drawable(title), drawable(", ".join(filter(None, parts)))]))


def _notes(activity: Activity, names: Sequence[str], default: bool) -> list[str]:
    notes = []
    if activity.samples > 1:
        notes.append(f"sample {activity.sample} of {activity.samples} is drawn; another by its number")
    spiking = [name for name in spiking_nodes(activity.plan) if name not in activity.plan.inputs]
    if default and len(spiking) > MOST_NODES:
        notes.append(f"{len(names)} of {counted(len(spiking), 'spiking node')} are drawn, record names others")
    for name in activity.plan.outputs:
        if running_score(activity, name) is None:
            shape = shape_text(activity.plan[name].output_shape)
            notes.append(f"output '{name}' of shape {shape} is no vector of classes, so it has no panel of scores")
    return notes
