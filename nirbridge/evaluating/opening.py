"""DATA → samples: by what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nirbridge.arrays import as_array, one_array, read_arrays
from nirbridge.errors import FileError, InputError
from nirbridge.evaluating import recordings
from nirbridge.evaluating.array_samples import ArraySamples, array_samples
from nirbridge.evaluating.array_sources import ArraySource, given_arrays, source_of, take_labels
from nirbridge.evaluating.recordings import EncodedSet, Labelled
from nirbridge.evaluating.samples import Samples
from nirbridge.ir import Graph
from nirbridge.nir_data import SUFFIX, read_nir_data
from nirbridge.runtime import Array, Plan

_ARRAYS = (".npy", ".npz")
ARRAY_OPTIONS = ("order", "scale")
RECORDING_OPTIONS = ("encoding", "reading", "train", "root")


def open_samples(
    data: Any, labels: Any, graph: Graph, plan: Plan, steps: int | None, options: Mapping[str, Any]
) -> Samples:
    """A data set for the graph of ``plan``.

    Args:
        data: an array or a dictionary of arrays by input name; the path of an .npy, .npz or .nird file, of a folder
            of recordings, or of a .csv of their files and labels; the name of a data set of
            ``nirbridge_events.datasets``, or such a data set; or ``Labelled`` recordings.
        labels: an array, or the path of one; None for those that the data bring along.
        graph: the graph.
        plan: of the graph.
        steps: that a sample has; see ``nirbridge.evaluate``.
        options: those of ``nirbridge.evaluate`` about data; what is None, empty or a factor of 1 asks for nothing.

    Raises:
        InputError, FileError: data, labels or options do not fit.
    """
    given = None if labels is None else labels_of(labels)
    if isinstance(data, (str, os.PathLike)):
        found = _open_path(Path(data), str(data), given, graph, plan, steps, options)
    elif isinstance(data, Labelled):
        found = _recordings(data, given, plan, steps, options)
    elif isinstance(data, EncodedSet):
        _refuse("a data set of encoded recordings", options, ("encoding", "reading", *ARRAY_OPTIONS))
        found = recordings.encoded_samples(data, plan, labels=given, steps=steps)
    else:
        found = _arrays("data", given_arrays(data), given, graph, plan, steps, options)
    if not len(found):
        raise InputError("data", "hold no sample", "Give at least one")
    return found


def _open_path(
    path: Path, name: str, labels: Array | None, graph: Graph, plan: Plan, steps: int | None, options: Mapping[str, Any]
) -> Samples:
    if path.is_dir():
        _refuse(f"folder '{path}', which is no data set by name", options, ("train", "root"))
        return _recordings(recordings.open_folder(path), labels, plan, steps, options)
    if path.suffix.lower() == ".csv" and path.is_file():
        _refuse(f"table '{path}'", options, ("train", "root"))
        return _recordings(recordings.open_table(path), labels, plan, steps, options)
    if name in recordings.DATA_SETS and not path.exists():
        root = options.get("root")
        if root is None:
            raise InputError(f"data set '{name}'", "needs the folder where its files are", "Give it with --root")
        labelled = recordings.from_tonic(name, root, bool(options.get("train", False)))
        return _recordings(labelled, labels, plan, steps, options)
    if path.suffix.lower() == SUFFIX:
        if options.get("order") == "nt":
            raise InputError("option 'order'", f"'nt' is not how file '{path}' holds its steps", "Leave it out")
        sources = {key: ArraySource(array) for key, array in read_nir_data(path, plan).items()}
        return _arrays(f"file '{path}'", sources, labels, graph, plan, steps, {**options, "order": "tn"})
    if path.suffix.lower() in _ARRAYS:
        sources = source_of(path)
        taken = take_labels(sources, plan.inputs)
        given = taken[1] if labels is None and taken is not None else labels
        found = _arrays(f"file '{path}'", sources, given, graph, plan, steps, options)
        if taken is None:
            return found
        what = "holds the labels" if labels is None else "is not used, as labels are given"
        return found.noted(f"file '{path}': its array '{taken[0]}' {what}.")
    if path.exists():
        found_text = "is no .npy, .npz or .nird file, no folder of recordings and no .csv of their labels"
        raise FileError(f"file '{path}'", found_text, "Put recordings into a folder with labels.csv (file,label)")
    known = ", ".join(recordings.DATA_SETS)
    raise FileError(f"file '{path}'", "does not exist", f"Check the path, or name a data set: {known}")


def _arrays(
    where: str,
    sources: dict[str, ArraySource],
    labels: Array | None,
    graph: Graph,
    plan: Plan,
    steps: int | None,
    options: Mapping[str, Any],
) -> ArraySamples:
    _refuse(where, options, RECORDING_OPTIONS)
    order = options.get("order")
    scale = options.get("scale", 1.0)
    found = array_samples(where, sources, graph, plan, labels=labels, steps=steps, order=order, scale=scale)
    if order is None or not found.still:
        return found
    return found.noted(f"{where}: still images have no time axis, so --order {order} says nothing about them.")


def _recordings(
    labelled: Labelled, labels: Array | None, plan: Plan, steps: int | None, options: Mapping[str, Any]
) -> Samples:
    _refuse("recordings", options, ARRAY_OPTIONS)
    encoding, reading = options.get("encoding"), options.get("reading")
    return recordings.recording_samples(labelled, plan, labels=labels, steps=steps, options=encoding, reading=reading)


def _refuse(where: str, options: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        given = options.get(name)
        if given and not (name == "scale" and given == 1):
            told = next(iter(given)) if isinstance(given, Mapping) else name
            raise InputError(f"option '{told}'", f"does not go with {where}", "Leave it out")


def labels_of(labels: Any) -> Array:
    """The classes of samples, given as numbers or as the path of a file of them."""
    if not isinstance(labels, (str, os.PathLike)):
        return as_array("labels", labels)
    found = read_arrays(labels, "[N]")
    named = {name: ArraySource(array) for name, array in found.items()} if isinstance(found, dict) else {}
    taken = take_labels(named)
    return one_array(labels, found, "Save the classes alone as .npy") if taken is None else taken[1]
