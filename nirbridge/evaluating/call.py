"""graph, data set → evaluation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir

from nirbridge.errors import FileError, InputError, UnsupportedError
from nirbridge.evaluating.arguments import require_counts, require_energy, require_reading
from nirbridge.evaluating.collecting import gathered
from nirbridge.evaluating.evaluation import Evaluation, require_known
from nirbridge.evaluating.journal import Journal, open_journal
from nirbridge.evaluating.judges import GraphJudge, Judge, require_scores
from nirbridge.evaluating.module_judge import ModuleJudge
from nirbridge.evaluating.opening import open_samples
from nirbridge.evaluating.predictions import SUFFIXES, require_parquet, write_predictions
from nirbridge.evaluating.recordings import LABELS
from nirbridge.evaluating.running import Run, finished, prepared
from nirbridge.evaluating.samples import Samples
from nirbridge.files import require_target
from nirbridge.ir import FlatGraph, Graph, flatten
from nirbridge.pictures import require_libraries, require_named
from nirbridge.reports import counted
from nirbridge.runtime import Plan, require_option, usable_runtime
from nirbridge.workers import Crew, crew

BASELINE = "baseline"
Told = Callable[[str], None]
Progress = Callable[[int, int], None]


def evaluate(
    graph: Graph,
    data: Any,
    labels: Any = None,
    runtime: str = "reference",
    steps: int | None = None,
    batch: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    *,
    others: Sequence[str] = (),
    baseline: Any = None,
    baseline_weights: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    plot: str | os.PathLike[str] | None = None,
    restart: bool = False,
    bad: str = "count",
    activity: bool = True,
    energy: Mapping[str, Any] | None = None,
    order: str | None = None,
    scale: float = 1.0,
    encoding: Mapping[str, Any] | None = None,
    reading: Mapping[str, Any] | None = None,
    root: str | None = None,
    train: bool = False,
    samples: int | None = None,
    tell: Told | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Runs a graph on a whole data set, a few samples at a time, and judges its decisions.

    A decision is the class of the largest mean output over the steps, of a phase code of the largest output at the
    end of its window.  Samples start from fresh states.  What a sample gives depends neither on the jobs nor on the
    samples beside it, but for the rounding of sums that a runtime makes in batches of another size.

    Args:
        graph: a network with one output of one score for each class.
        data: still images [N, *shape], shown at each of ``steps`` steps; frames [N, T, *shape], or [T, N, *shape]
            where the labels tell so; a dictionary of such arrays by input name.  Or a path: .npy, .npz (whose array
            "labels" holds the classes), .nird, a folder of recordings, one folder for each class or with a
            labels.csv (file, label), or such a table by another name; a data set of ``nirbridge_events.datasets`` by
            name, with ``root``; ``Labelled`` recordings.  The graph's EventInput, or ``encoding``, says how recordings
            become frames.
        labels: [N], the class of each sample, or the path of an .npy file of them.
        runtime: what decides.
        steps: T.  Still images: not needed where the graph says it.  Recordings are cut to it or filled with empty
            frames; without it each has as many as its events make.
        batch: samples that run together; by default as many as take about 64 MB.
        jobs: processes, each with one thread; 1 works in this process.
        cluster: a Dask cluster in their place: "tcp://HOST:PORT", or "local" for one of ``jobs`` processes here.
        others: further runtimes that decide too; the evaluation says how many decisions differ.
        baseline: the network that the graph came from, a graph or ``file.py:callable`` of a torch module, which decides
            too, on the same data.
        baseline_weights: a checkpoint for the module.
        output: a .csv or .parquet file for one row a sample.  What is finished is kept in a file beside it, with
            ".partial" behind the name, from which the same call goes on after an interruption.
        plot: a .png file for the confusion matrix and the accuracy over the steps; needs labels.
        restart: begin anew instead.
        bad: a sample that cannot be read is counted and named, "count", or ends the evaluation, "error".
        activity: record what neurons send, for spikes and energy; without it runs take less time and memory.
        energy: options of :func:`nirbridge.energy`: ``model``, ``bits``, ``input_kind``.
        order: "nt" or "tn", where the axes of an array do not say.
        scale: a factor on the values of arrays, as 1/255.
        encoding: arguments of ``nirbridge_events.encode``, for a graph without EventInput.
        reading: arguments of ``nirbridge_events.open_recording``.
        root: the folder of a named data set.
        train: its training part instead of the test part.
        samples: only the first so many.
        tell: gets what a user should know before the work begins, a line at a time.
        progress: gets (samples done, samples in all) whenever a piece is.
        options: as for :func:`nirbridge.compile`: ``dt``, ``precision``, ...

    Raises:
        InputError: data, labels or an option do not fit, every sample is bad, or one is and ``bad`` is "error".
        FileError: a file is missing or damaged, cannot be written, or would overwrite a file of the data.
        GraphError: the graph is not valid.
        UnsupportedError: a runtime does not run the graph.
        RuntimeUnavailableError: a runtime is missing.
        ExecutionError: a worker was lost again and again at the same samples.
    """
    say = tell or (lambda line: None)
    require_option("bad", bad, ("count", "error"))
    require_counts(steps=steps, batch=batch, samples=samples, jobs=jobs)
    require_reading(order, scale)
    require_energy(energy, activity)
    others = (others,) if isinstance(others, str) else others
    if restart and output is None:
        raise InputError("option 'restart'", "goes with an output, beside which a run is kept", "Leave it out")
    place = None if output is None else _output(output)
    picture = None if plot is None else _picture(plot)
    flat = flatten(graph)
    about = {"order": order, "scale": scale, "encoding": encoding, "reading": reading, "root": root, "train": train}
    with ExitStack() as stack:
        first, judges = _judges(flat, runtime, others, options, dict(energy or {}) if activity else None)
        judges += _baseline(baseline, baseline_weights, runtime, options)
        for judge in judges:
            stack.callback(judge.close)
        plan = _opened(judges)
        found = open_samples(data, labels, flat, plan, steps, about)
        if picture is not None:
            require_known(found.labels)
        for target in (place, picture):
            if target is not None:
                _require_no_data(target, data, labels, found)
        if first.energy is not None and found.input_kind is not None:
            first.energy.setdefault("input_kind", found.input_kind)
        workers = stack.enter_context(crew(jobs, cluster))
        run = prepared(found, plan, first, judges, batch, samples)
        unpriced = [f"No energy is counted: {first.unpriced.problems[0]}"] if first.unpriced else []
        notes = [*found.notes, *run.of_the_part(), *unpriced]
        for line in (*notes, *run.notes(workers.size), *workers.remarks):
            say(line)
        journal = Journal() if place is None else stack.enter_context(open_journal(place, run.identity(), restart))
        if resumed := journal.samples:
            say(f"file '{journal.path}': goes on behind {counted(resumed, 'sample')} that an earlier run finished.")
        seconds = _judge_all(run, workers, journal, bad, say, progress or (lambda done, total: None))
        result = gathered(run, journal.done, seconds, resumed)
        result = replace(result, notes=(*notes, *result.notes))
        if place is not None:
            write_predictions(place, result)
        if picture is not None:
            result.draw(picture)
        journal.remove()
    return result


def _judge_all(run: Run, workers: Crew, journal: Journal, bad: str, say: Told, progress: Progress) -> float:
    """Judges what no earlier run did, and says where an interruption leaves it; the seconds that it took."""
    started = time.perf_counter()
    progress(journal.samples, run.count)
    try:
        for _ in finished(run, workers, journal, bad):
            progress(journal.samples, run.count)
    except BaseException:
        if journal.path is not None and journal.samples:
            kept = f"keeps {counted(journal.samples, 'sample')} of {run.count:,}"
            say(f"file '{journal.path}': {kept}; the same call goes on from there.")
        raise
    return time.perf_counter() - started


def _output(output: str | os.PathLike[str]) -> Path:
    place = require_target(output)
    if place.suffix.lower() not in SUFFIXES:
        found = f"ends with '{place.suffix}', expected {' or '.join(SUFFIXES)}"
        raise InputError(f"file '{place}'", found, "Rename the output")
    if place.suffix.lower() == SUFFIXES[1]:
        require_parquet()
    return place


def _picture(plot: str | os.PathLike[str]) -> Path:
    place = require_target(plot)
    require_named(place)
    require_libraries("a picture", "matplotlib")
    return place


def _require_no_data(target: Path, data: Any, labels: Any, samples: Samples) -> None:
    """Refuses to overwrite what is evaluated: arrays, labels, recordings and the table of their classes.

    Raises:
        FileError: so.
    """
    if not target.is_file():
        return
    named = [Path(path) for path in (data, labels) if isinstance(path, (str, os.PathLike))]
    real = target.resolve()
    files = {path.resolve() for path in (*named, *(folder / LABELS for folder in named if folder.is_dir()))}
    if real in files or any(Path(samples.name(number)).resolve() == real for number in range(len(samples))):
        raise FileError(f"file '{target}'", "is part of the data and would be overwritten", "Choose another output")


def _judges(
    graph: FlatGraph,
    runtime: str,
    others: Sequence[str],
    options: Mapping[str, Any],
    energy: dict[str, Any] | None,
) -> tuple[GraphJudge, list[Judge]]:
    """The graph on its runtime, which decides, and on others; each gets the options that it knows."""
    names = (runtime, *others)
    if len(set(names)) != len(names):
        raise InputError("runtimes", f"{', '.join(names)} name one twice", "Name each once")
    own = {name: _known_to(name, options) for name in names}
    strange = [key for key in options if not any(key in known for known in own.values())]
    if strange:
        raise UnsupportedError(f"option '{strange[0]}'", f"no runtime of {', '.join(names)} knows it", "Leave it out")
    first = GraphJudge(runtime, graph, runtime, own[runtime], energy)
    return first, [first, *(GraphJudge(name, graph, name, own[name]) for name in others)]


def _known_to(runtime: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that every runtime has, or this one."""
    known = {"dt", "precision", "integrator", "reset", *usable_runtime(runtime).options}
    return {name: value for name, value in options.items() if name in known}


def _baseline(
    baseline: Any, weights: str | os.PathLike[str] | None, runtime: str, options: Mapping[str, Any]
) -> list[Judge]:
    """The network that the graph came from: a torch module, or another graph on the same runtime."""
    if weights is not None and not isinstance(baseline, str):
        raise InputError("option 'baseline_weights'", "goes with a baseline file.py:callable", "Leave it out")
    if baseline is None:
        return []
    if isinstance(baseline, str):
        return [ModuleJudge(BASELINE, baseline, None if weights is None else str(weights))]
    if not isinstance(baseline, (nir.NIRGraph, FlatGraph)):
        found = f"is a {type(baseline).__name__}, expected a graph or file.py:callable that makes a torch module"
        raise InputError("baseline", found, "Give one of them")
    own = {name: value for name, value in _known_to(runtime, options).items() if name != "precision"}
    return [GraphJudge(BASELINE, flatten(baseline), runtime, own)]


def _opened(judges: Sequence[Judge]) -> Plan:
    """The plan of the graph, after what is wrong with any of the graphs was raised, and warnings were given."""
    plans = []
    for judge in judges:
        if isinstance(judge, GraphJudge):
            plans.append(judge.program(warn=True).plan)
            with judge.named():
                require_scores(plans[-1])
    return plans[0]
