"""torch.nn.Module → nir.NIRGraph."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from nirbridge.checking import find_problems
from nirbridge.errors import ExportError, GraphError, GraphWarning, InputError, Problem
from nirbridge.exporting.builder import GraphBuilder
from nirbridge.exporting.containers import plain
from nirbridge.exporting.foreign import readings
from nirbridge.exporting.interpreter import Interpreter
from nirbridge.exporting.norse import require_states
from nirbridge.exporting.paths import Paths, first_difference, watched
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, State, Unknown, find_all
from nirbridge.exporting.tracing import evaluation
from nirbridge.exporting.user_code import nested, user_code
from nirbridge.ir import Shape, flatten, graphs_equal, is_input, time_step
from nirbridge.ir.stated_shapes import declared_shape
from nirbridge.neurons import OverTime, PrimitiveNeuron, SpikingNeuron
from nirbridge.neurons.overtime import folded_time
from nirbridge.runtime import require_seconds

_MOST_AXES = 8
_TRIED, _ONE_STEP = (5, 7), (1, 2)
"""Steps and samples: those that no features are taken for, and a step as export reads it, with no state before it."""

Shapes = Sequence[int] | Mapping[str, Sequence[int]]


def export(
    module: nn.Module,
    input_shape: Shapes | None = None,
    *,
    dt: float | None = None,
    input_node: nir.NIRNode | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> nir.NIRGraph:
    """The graph that computes what ``module`` computes, on [T, B, *input_shape].

    The module is traced through its ``forward``; nodes are called by the paths of their modules, as "conv1.act".
    It counts as in evaluation: batch normalisation with its running statistics, folded into the layer before;
    dropout left out.  Module and parameters stay as they are, and the graph holds copies in the same dtypes.

    Where time and batch stand follows from the code: around ``OverTime`` tensors are [T, B, ...], inside of it
    [T*B, ...], around cells of one step (Norse, snnTorch, spikingjelly's step_mode "s") [B, ...], around layers of
    sinabs [B, T, ...] or [B*T, ...].  Modules of other frameworks are told by the names of their types, and taken where
    a node does exactly what they do.

    Args:
        module: the network.  Layers: Linear, Conv1d/2d, ConvTranspose1d/2d, nearest Upsample, PixelShuffle,
            BatchNorm1d/2d, max, average and adaptive pooling, Flatten, Dropout, Identity; sums, differences,
            constant factors, products, torch.cat over features, slices, chunk, permute and the like where nodes can
            move values so; nirbridge's neurons and OverTime; Norse's LIF, LI, IAF
            and box cells and layers, LIFRecurrent, Lift and SequentialState; snnTorch's Leaky, Lapicque, Synaptic,
            RLeaky and RSynaptic; spikingjelly's IFNode, LIFNode, ParametricLIFNode and layers in both step modes;
            sinabs's IAF, LIF, ExpLeak, their Squeeze and Recurrent kinds, SumPool2d and Repeat.
        input_shape: shape of one frame without time and batch; a dictionary by argument name where ``forward``
            takes several tensors.  May be left out where ``input_node`` is given.
        dt: seconds per step of the graph, for neurons with time constants; by default the window of an EventInput, else
            1e-3.
        input_node: an ``EventInput`` (or ``nir.Input``) to begin the graph with.
        metadata: kept with the graph; no runtime reads it.

    Returns:
        A graph that :func:`nirbridge.check` finds nothing wrong with.

    Raises:
        ExportError: the module holds something without a counterpart in a graph; all such places are listed.
        InputError: an argument does not fit.
        GraphError: a parameter is not valid, as NaN in a weight.

    Warns:
        GraphWarning: neurons of nirbridge run outside of ``OverTime`` in code that would mix samples of [T, B, ...]; it
            was read as code for [T*B, ...].  Or forward takes further arguments that default to None, and the graph is
            that of a call without them.
    """
    if not isinstance(module, nn.Module):
        raise InputError("argument 'module'", f"is a {type(module).__name__}, not a torch module", "Pass an nn.Module")
    inputs = _input_nodes(input_shape, input_node)
    require_seconds("dt", dt)
    step = time_step(inputs.values(), dt)
    with nested(module):
        module = plain(module)
        read = partial(_attempt, module, inputs=inputs, dt=step)
        attempts = {leading: read(leading) for leading in _readings(module)}
        graph = _agreed(attempts, read, partial(_run, module, inputs=inputs), metadata or {})
    problems = find_problems(flatten(graph))
    if problems:
        raise GraphError.from_problems(problems)
    return graph


def _input_nodes(input_shape: Shapes | None, input_node: nir.NIRNode | None) -> dict[str, nir.NIRNode]:
    """The nodes through which data enter, by the argument of ``forward``; "" stands for its first."""
    if input_node is None:
        if input_shape is None:
            raise InputError("argument 'input_shape'", "is missing", "Give the shape of one frame, as (2, 34, 34)")
        named = input_shape if isinstance(input_shape, Mapping) else {"": input_shape}
        return {name: _input(_checked_shape(shape)) for name, shape in named.items()}
    if not is_input(input_node):
        found = f"is a {type(input_node).__name__}, expected an EventInput or Input"
        raise InputError("argument 'input_node'", found, "Pass nirbridge.ir.EventInput(...)")
    shape = declared_shape(input_node)
    if isinstance(input_shape, Mapping) or (input_shape is not None and _checked_shape(input_shape) != shape):
        found = f"{input_shape} differs from the shape {shape} of the input node"
        raise InputError("argument 'input_shape'", found, "Leave it away or give the same shape")
    return {"": copy.copy(input_node)}


def _input(shape: Shape) -> nir.Input:
    return nir.Input({"input": np.array(shape, dtype=np.int64)})


def _checked_shape(shape: Any) -> Shape:
    sizes = tuple(shape) if isinstance(shape, (tuple, list, torch.Size)) else (shape,)
    good = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes)
    if not good or not 1 <= len(sizes) <= _MOST_AXES:
        found = f"{shape!r} is not 1 to {_MOST_AXES} positive whole numbers"
        raise InputError("argument 'input_shape'", found, "Give the shape of one frame, as (2, 34, 34)")
    return tuple(int(n) for n in sizes)


def _readings(module: nn.Module) -> tuple[LeadingAxes, ...]:
    """The readings of the module's own tensors that are worth a try; a wrapper over time settles it."""
    homes = {f"{type(inner).__module__}.{type(inner).__qualname__}" for inner in module.modules()}
    over_time = any(isinstance(inner, OverTime) for inner in module.modules())
    if over_time or "norse.torch.module.lift.Lift" in homes:
        return (LeadingAxes.TIME,)
    theirs = readings(module)
    if theirs:
        return theirs
    if any(home.startswith("norse.") for home in homes):
        return (LeadingAxes.STEP, LeadingAxes.TIME)
    if any(isinstance(inner, (SpikingNeuron, PrimitiveNeuron)) for inner in module.modules()):
        return (LeadingAxes.TIME, LeadingAxes.FOLDED)
    return (LeadingAxes.FOLDED, LeadingAxes.TIME)


def _attempt(module: nn.Module, leading: LeadingAxes, inputs: Mapping[str, nir.NIRNode], dt: float) -> GraphBuilder:
    """The graph, or its problems, under one reading."""
    builder = GraphBuilder(dt, module)
    builder.batch_first = leading is LeadingAxes.BATCH_FIRST
    builder.over = leading if leading is LeadingAxes.TIME else None
    signals = {
        name: builder.add_input(name or "input", copy.copy(node), _shape_of(node), leading)
        for name, node in inputs.items()
    }
    first = signals.pop("", None)
    # Of its own, since one reading must not find what another left behind.
    with evaluation(module), watched(module, builder.paths):
        result = Interpreter(builder).call_module(module, "", () if first is None else (first,), signals)
    if leading is LeadingAxes.STEP:
        require_states(builder, result, "")
    try:
        for name, signal in _outputs(result).items():
            builder.add_output(name, signal)
    except RefusalError as refusal:
        builder.refuse(f"module {type(module).__name__}", refusal)
    return builder


def _shape_of(node: nir.NIRNode) -> Shape:
    shape = declared_shape(node)
    if shape is None:
        raise InputError("argument 'input_node'", "states no shape", "Give it one")
    return shape


def _outputs(result: Any) -> dict[str, Signal]:
    """The tensors that ``forward`` returns, by the name of their output node; states are left out."""
    if find_all(Unknown, result):
        return {}
    if isinstance(result, Signal):
        return {"output": result}
    if isinstance(result, (tuple, list)):
        kept = [item for item in result if find_all(Signal, item)]
        dropped = [item for item in result if not find_all((Signal, State), item) and item is not None]
        if len(kept) == 1 and not dropped:
            return _outputs(kept[0])
        named: dict[Any, Any] = {f"output_{index}": item for index, item in enumerate(kept)}
    elif isinstance(result, dict):
        named, dropped = result, []
    elif isinstance(result, State):
        found = "returns a membrane alone, which stays inside of its node"
        raise RefusalError(found, "Return what the neurons send, and record the membrane as NODE:v")
    else:
        raise RefusalError(
            f"returns a {type(result).__name__}, not a tensor that depends on the input", "Return a tensor"
        )
    if dropped or not named or not all(isinstance(item, Signal) for item in named.values()):
        raise RefusalError("returns more than tensors that depend on the input", "Return a tensor, or several of them")
    outputs = {str(name): signal for name, signal in named.items()}
    if len(outputs) < len(named):
        raise RefusalError("returns two outputs of one name, as 1 and '1'", "Give each a name of its own")
    return outputs


def _agreed(
    attempts: Mapping[LeadingAxes, GraphBuilder],
    read: Callable[[LeadingAxes], GraphBuilder],
    run: Callable[[LeadingAxes, tuple[int, int]], Paths | None],
    metadata: Mapping[str, Any],
) -> nir.NIRGraph:
    """The graph on which all readings that succeed agree.

    Raises:
        ExportError: no reading succeeds, two give different graphs, the code runs under one that has none, or it
            changed from call to call under one, so that another may have met it as it was left, or went another way
            than on tensors.
    """
    changing = [builder for builder in attempts.values() if builder.changes]
    graphs = [builder.graph(dict(metadata)) for builder in attempts.values() if not builder.problems]
    if changing or not graphs:
        best = min(changing or attempts.values(), key=lambda builder: sum(leading for _, leading in builder.problems))
        raise ExportError.from_problems([problem for problem, _ in best.problems])
    found = ""
    if any(not graphs_equal(graphs[0], other) for other in graphs[1:]):
        found = "its code gives different graphs for tensors [T, B, ...] and [T*B, ...]"
    step, mixing = "Wrap the network in nirbridge.neurons.OverTime if it is written for [T*B, ...]", ""
    for leading, builder in attempts.items():
        ran = run(leading, _TRIED if builder.problems else _ONE_STEP)
        if ran is None:
            continue
        if builder.problems:
            (refused, _), *_ = builder.problems
            told = f"its code runs on tensors {leading.text} too, and there {refused.where} {refused.found}"
            if not any(moves for _, moves in builder.problems):
                found = told
            elif leading is LeadingAxes.TIME and leading is next(iter(attempts)):  # with neurons that run over it
                mixing = told
        elif not found and first_difference(builder.paths, ran):
            again = read(leading)  # code may fill a cache or give a warning the first time alone
            if line := first_difference(again.paths, ran):
                found = f"its code goes another way at {line} when export reads it than on tensors"
                step = "Write forward without asking what kind of object a tensor is"
    if found:
        raise ExportError.from_problems([Problem("argument 'module'", found, step)])
    if mixing:
        text = f"argument 'module': {mixing}; it was read as code for [T*B, ...]. Wrap it in OverTime to say so."
        warnings.warn(text, GraphWarning, stacklevel=3)
    (left_out, *_) = [builder.left_out for builder in attempts.values() if not builder.problems]
    if left_out:
        given = ", ".join(f"{name}=None" for name in left_out)
        text = f"argument 'module': its forward is read with {given}; the graph holds what it does then."
        hint = "A tensor becomes an input where input_shape names it; a state has to be that of a neuron."
        warnings.warn(f"{text} {hint}", GraphWarning, stacklevel=3)
    return graphs[0]


def _run(
    module: nn.Module, leading: LeadingAxes, tried: tuple[int, int], inputs: Mapping[str, nir.NIRNode]
) -> Paths | None:
    """What runs where torch takes such tensors; None also where that is not known, since the module keeps states."""
    if leading not in (LeadingAxes.TIME, LeadingAxes.FOLDED) or readings(module):
        return None
    lead = tried if leading is LeadingAxes.TIME else (math.prod(tried),)
    some = next(module.parameters(), torch.zeros(()))
    data = {name: some.new_zeros((*lead, *_shape_of(node))) for name, node in inputs.items()}
    first = [data.pop("")] if "" in data else []
    paths: Paths = {}
    try:
        with (
            evaluation(module),
            user_code(),
            watched(module, paths),
            nullcontext() if len(lead) > 1 else folded_time(tried[0]),
        ):
            module(*first, **data)
    except Exception:  # whatever the code of a user raises
        return None
    return paths
