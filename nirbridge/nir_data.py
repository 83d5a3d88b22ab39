"""NIR's own data format: inputs and recordings as events, graded events or values on a grid of time."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from nirbridge.errors import FileError, InputError, NirbridgeError, reason_of
from nirbridge.files import write_whole
from nirbridge.ir.guard import SIGNATURE, guard
from nirbridge.ir.sources import Origin, opened
from nirbridge.runtime import Array, Plan, sends_spikes

SUFFIX = ".nird"
_OBSERVABLES = ("spikes", "input", "output", "values")
"""Which observable of a node is its input to a graph, where it has several."""
_COLUMNS = {"data": ("biuf", 3), "idx": ("iu", 2), "time": ("iuf", 2), "value": ("biuf", 2)}
"""What the arrays of an observable hold, by their kind in NumPy, and their number of axes."""
_LARGEST = 2**31
_ROUNDING = 1e-6
"""Share of a step by which an event may lie before the step it belongs to: times are products of floats."""
_ULPS = 2
"""Likewise in units of the last place of the stored times, which may be of single precision."""


def write_nir_data(path: str | os.PathLike[str], arrays: Mapping[str, Array], plan: Plan) -> None:
    """Writes [T, B, *shape] arrays by node name as NIR's data format, whole or not at all.

    Spikes become events: ``EventData`` where all are 1, else ``ValuedEventData`` with their levels; what is not
    spikes becomes ``TimeGriddedData``.  Neurons are numbered in C order of the node's shape; an event of step t
    has time t·dt.

    Args:
        path: the file.
        arrays: what each node sent.
        plan: of the graph; it says which nodes spike, and how long their steps are.

    Raises:
        FileError: the file cannot be written.
        InputError: a name is no node of the graph, or holds a '/', which HDF5 cannot.
    """
    nodes = {}
    for name, array in arrays.items():
        if name not in plan.names or "/" in name:
            raise InputError(f"array '{name}'", "is no node of the graph, or not a name that HDF5 takes", "Rename it")
        dt = plan.dt / float(plan[name].rate)
        flat = np.asarray(array).reshape(*np.shape(array)[:2], -1).swapaxes(0, 1)
        spiking = sends_spikes(plan, name)
        data = _events(flat, dt) if spiking else nir.TimeGriddedData(np.ascontiguousarray(flat), dt)
        nodes[name] = nir.NIRNodeData({"spikes" if spiking else "values": data})
    image = io.BytesIO()  # HDF5 crashes the process where the disk is full
    nir.write_data(image, nir.NIRGraphData(nodes))
    with image.getbuffer() as content:  # an error that held on to it would keep the image from being freed
        write_whole(path, content)


def _events(flat: Array, dt: float) -> nir.EventData:
    """[B, T, n] → events sorted by sample, time and neuron; -1 and infinity fill the shorter samples."""
    samples, steps, neurons = flat.shape
    sample, step, neuron = np.nonzero(flat)
    counts = np.bincount(sample, minlength=samples)
    place = np.arange(len(sample)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = (samples, max(1, int(counts.max(initial=0))))
    idx, time, value = np.full(size, -1), np.full(size, np.inf), np.zeros(size)
    idx[sample, place], time[sample, place] = neuron, step * dt
    value[sample, place] = flat[sample, step, neuron]
    if (value[sample, place] == 1).all():
        return nir.EventData(idx, time, neurons, steps * dt)
    return nir.ValuedEventData(idx=idx, time=time, value=value, n_neurons=neurons, t_max=steps * dt)


def read_nir_data(path: str | os.PathLike[str], plan: Plan) -> dict[str, Array]:
    """The inputs of a graph from a file of NIR's data format, as [T, B, *shape] arrays by input name.

    A graph with one input takes the file's only node, whatever its name.  Events that fall on one neuron in one step
    add up.

    Args:
        path: the file.
        plan: of the graph; it says the shapes and the length of a step.

    Raises:
        FileError: the file is missing, damaged or of another format.
        InputError: an input is missing in it, or its neurons or steps do not fit the graph.
    """
    where = f"file '{path}'"
    stored = _load(Path(path), where).nodes
    names = list(plan.inputs)
    found = {name: stored[name] for name in names if name in stored}
    if not found and len(names) == len(stored) == 1:
        found = {names[0]: next(iter(stored.values()))}
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(where, f"holds no data for input '{missing[0]}'", f"It holds {', '.join(sorted(stored))}")
    return {name: _array(f"{where}, node '{name}'", node, plan, name) for name, node in found.items()}


def read_all_nir_data(path: str | os.PathLike[str], plan: Plan) -> dict[str, Array]:
    """Every node's data that a file holds, as [T, B, *shape]; the counterpart of :func:`write_nir_data`."""
    where = f"file '{path}'"
    nodes = _load(Path(path), where).nodes
    unknown = sorted(set(nodes) - set(plan.names))
    if unknown:
        raise InputError(where, f"holds node '{unknown[0]}', which the graph lacks", "Give the graph it belongs to")
    return {name: _array(f"{where}, node '{name}'", node, plan, name) for name, node in nodes.items()}


def _load(path: Path, where: str) -> nir.NIRGraphData:
    if not path.is_file():
        raise FileError(where, "does not exist" if not path.exists() else "is no file", "Check the path")
    try:
        with opened(Origin(path, "read"), SIGNATURE) as data, h5py.File(path, "r") as file:
            guard(file, where, data)
        return nir.read_data(path)
    except NirbridgeError:
        raise
    except Exception as error:  # h5py and nir raise a dozen types on files that are damaged or of another kind
        raise FileError(
            where, f"is no file of NIR data ({reason_of(error)})", "Write it with nir.write_data"
        ) from error


def _array(where: str, node: Any, plan: Plan, name: str) -> Array:
    if not isinstance(node, nir.NIRNodeData) or not node.observables:
        raise InputError(where, "holds no observable", "Write it with nir.write_data")
    choice = [key for key in _OBSERVABLES if key in node.observables] or sorted(node.observables)
    if len(node.observables) > 1 and choice[0] not in _OBSERVABLES:
        raise InputError(where, f"holds {', '.join(choice)}", "Call the one that is meant 'spikes' or 'values'")
    data, planned = node.observables[choice[0]], plan[name]
    for column, (kinds, axes) in _COLUMNS.items():
        values = getattr(data, column, None)
        if values is not None and (values.dtype.kind not in kinds or values.ndim != axes):
            found = f"its {column} is {values.dtype} {values.shape}"
            raise InputError(where, found, f"Store it as nir.{type(data).__name__} says")
    dt = plan.dt / float(planned.rate)
    neurons = int(np.prod(planned.output_shape))
    count = data.data.shape[2] if isinstance(data, nir.TimeGriddedData) else data.n_neurons
    if count != neurons:
        found = f"has {count} neurons, the node has {neurons} of shape {planned.output_shape}"
        raise InputError(where, found, "Number neurons in C order of the shape")
    grid = _from_grid(where, data, dt) if isinstance(data, nir.TimeGriddedData) else _from_events(where, data, dt)
    return np.ascontiguousarray(grid.swapaxes(0, 1)).reshape(*grid.shape[1::-1], *planned.output_shape)


def _from_grid(where: str, data: nir.TimeGriddedData, dt: float) -> Array:
    if not np.isclose(data.dt, dt, rtol=1e-6, atol=0):
        raise InputError(where, f"has steps of {data.dt:g} s, the graph runs in steps of {dt:g} s", "Give --dt")
    return np.asarray(data.data)


def _from_events(where: str, data: nir.EventData, dt: float) -> Array:
    steps = round(data.t_max / dt) if np.isfinite(data.t_max / dt) else -1
    samples, neurons = data.idx.shape[0], data.n_neurons
    if not 0 < steps * max(1, samples) * max(1, neurons) <= _LARGEST:
        found = f"t_max {data.t_max:g} s gives {steps} steps of {dt:g} s for {samples} samples of {neurons} neurons"
        raise InputError(where, found, "Give --dt, or cut the recording")
    sample, place = np.nonzero(data.idx != -1)
    neuron, time = data.idx[sample, place], data.time[sample, place]
    if neuron.size and (neuron.min() < 0 or neuron.max() >= neurons):
        raise InputError(where, f"an event is of neuron {neuron.max()}, there are {neurons}", "Check the file")
    with np.errstate(invalid="ignore"):
        late = time.astype(np.float64) + _ULPS * np.spacing(time)
        step = np.floor(late / dt + _ROUNDING)
    if step.size and not ((step >= 0) & (step < steps)).all():
        raise InputError(where, f"an event lies outside of 0..{data.t_max:g} s", "Set t_max to the recording's end")
    grid = np.zeros((samples, steps, neurons))
    value = data.value[sample, place] if isinstance(data, nir.ValuedEventData) else 1.0
    np.add.at(grid, (sample, step.astype(np.int64), neuron), value)
    return grid
