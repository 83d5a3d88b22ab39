"""Data to calibrate on, and what an analog network does with them: the same as its module, constants, dead layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, Relu
from nirbridge.converting.samples import WHERE, as_numbers
from nirbridge.errors import ExportError, InputError, Problem
from nirbridge.exporting.tracing import evaluation
from nirbridge.exporting.user_code import describe, user_code
from nirbridge.ir.topology import reached

BATCH = 64


def checked_data(data: Any) -> Array:
    """Samples as [N, *shape].

    Raises:
        InputError: it is no such array of numbers, empty, or not finite.
    """
    array = as_numbers(data, "Give samples [N, *shape]")
    if array.ndim < 2 or not array.size:
        raise InputError(WHERE, f"has shape {array.shape}, expected [N, *shape]", "Give at least one sample")
    if not np.isfinite(array).all():
        raise InputError(WHERE, "holds NaN or infinity", "Calibrate on samples as the network was trained on")
    return array


def module_dtype(module: nn.Module) -> torch.dtype:
    """The dtype in which the module computes."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.get_default_dtype()


def module_device(module: nn.Module) -> torch.device:
    """Where the module's parameters are."""
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))


def batches(data: Array, dtype: torch.dtype, transform: Callable[[Array], Array]) -> list[Tensor]:
    """The data in batches as the analog network takes them."""
    parts = (data[start : start + BATCH].astype(np.float64, order="C") for start in range(0, len(data), BATCH))
    return [torch.as_tensor(transform(part)).to(dtype) for part in parts]


def require_same(module: nn.Module, graph: AnalogGraph, x: Tensor) -> None:
    """Runs the module itself and the graph that was read from it on one batch.

    Raises:
        ExportError: they differ, as where an in-place operation changes a tensor that is read again.
    """
    where = f"module {type(module).__name__}"
    try:
        with evaluation(module), user_code():
            expected = module(x.to(module_device(module))).cpu()
    except Exception as error:
        raise ExportError(where, f"raises {describe(error)} on the data", "Run it yourself") from error
    with torch.no_grad():
        found = next(y for name, _, y in values(graph, functions(graph, x.dtype), x) if name == graph.output)
        for final in graph.finals:
            found = final.run(found)
    scale = float(expected.abs().max())
    if expected.shape != found.shape or float((expected - found).abs().max()) > 1e-3 * scale + 1e-6:
        what = "computes something else than its traced code, as an in-place change of a tensor read again can cause"
        raise ExportError(where, what, "Use inplace=False, and no state that changes between calls")


def constant_inputs(graph: AnalogGraph, offset: Array) -> dict[str, Array]:
    """What constants alone bring to the input of every ReLU and of the output, per place.

    Biases travel through whatever lies between them and the neuron, zero padding included, so the result may differ
    from place to place.

    Args:
        graph: the network.
        offset: the network's input where the input code is silent, broadcastable to it.
    """
    shape = graph.shapes[graph.input]
    x = torch.tensor(np.broadcast_to(offset, shape).copy())[None]
    run = functions(graph, torch.float64, zero_codes=True)
    with torch.no_grad():
        return {
            name: total[0].numpy()
            for name, total, _ in values(graph, run, x)
            if type(graph.nodes[name]) in (Relu, nir.Output)
        }


def drop_silent_halves(graph: AnalogGraph, scales: dict[str, Array]) -> tuple[AnalogGraph, list[Problem]]:
    """Leaves out neurons for a sign that no value has on the calibration data, and the aggregations behind them.

    Args:
        graph: the network.
        scales: λ of every ReLU.
    """
    notes = []
    for name in graph.of_type(Relu):
        other = graph.nodes[name].opposite
        if not other or scales[name].any() or not scales[other].any():
            continue
        graph = _without(graph, name).changed({other: replace(graph.nodes[other], opposite="")})
        text = f"no value is of this sign on the calibration data, so '{other}' alone carries them"
        notes.append(Problem(f"layer '{name}' (ReLU)", text, "More data may show some", rule="one_sign"))
    return graph, notes


def _without(graph: AnalogGraph, name: str) -> AnalogGraph:
    """The graph without a node's values, nor those that are made of nothing else."""
    gone = {name}
    left: dict[str, tuple[str, ...]] = {}
    for user in graph.order:
        kept = tuple(source for source in graph.incoming[user] if source not in gone)
        if kept != graph.incoming[user]:
            if kept:
                left[user] = kept
            else:
                gone.add(user)
    return graph.changed({}, left)


def alive(
    graph: AnalogGraph, scales: dict[str, Array], inserted: frozenset[str]
) -> tuple[dict[str, Array], dict[str, int]]:
    """λ above 0 everywhere: a channel that was never active gets the layer's largest, so that it stays silent.

    A dead layer behind a dead layer does not count as another fault.

    Args:
        graph: the arranged network.
        scales: λ of every ReLU.
        inserted: nodes that the network itself does not have; errors name the layer that they belong to.

    Returns:
        The factors of the graph's ReLUs and how many such channels each has.  Of two ReLUs for opposite signs one may
        well be silent in a channel.

    Raises:
        InputError: no neuron of a layer was ever active.
    """
    found: dict[str, Array] = {}
    silent: dict[str, int] = {}
    dead_layers: list[Problem] = []
    whole = [name for name in graph.of_type(Relu) if not (scales[name] > 0).any()]
    behind_dead = reached((user for name in whole for user in graph.consumers[name]), graph.consumers.__getitem__)
    for name in graph.of_type(Relu):
        scale, other = scales[name], graph.nodes[name].opposite
        dead = (scale <= 0) & (scales[other] <= 0) if other else scale <= 0
        where = users_layer(graph, name, inserted)
        if dead.all():
            if name not in behind_dead and where not in {problem.where for problem in dead_layers}:
                next_step = "Calibrate on real samples, or look whether training left the layer dead"
                found_dead = "no neuron is ever active on the calibration data (λ = 0)"
                dead_layers.append(Problem(where, found_dead, next_step))
            continue
        silent[name] = int(dead.sum())
        found[name] = np.where(scale <= 0, scale.max(), scale)
    if dead_layers:
        raise InputError.from_problems(dead_layers)
    return found, silent


def users_layer(graph: AnalogGraph, name: str, inserted: frozenset[str]) -> str:
    """A neuron that conversion inserted is called after the layer that it was inserted at."""
    owner = name.rpartition(".")[0]
    if name not in inserted or owner not in graph.nodes:
        return f"layer '{name}' (ReLU)"
    return f"layer '{owner}' ({type(graph.nodes[owner]).__name__})"
