"""QCFS network → multi-level graph (T = 1) or LM-HT graph (T > 1), exact at L T = Q (Hao et al.).

Each QCFS becomes a neuron of L = Q/T levels, θ = λ_q/L, v[-1] = θ/2, that sends values.  For T > 1 a TemporalMix by
Ω = 1/T stands before each neuron, and before each max pooling, so that every step of the window carries the mean; one
makes the T steps of a frame, and one takes their mean at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
from torch import nn

from nirbridge.converting.analog import trace
from nirbridge.converting.conversion import Conversion, Latency, Layer, depth
from nirbridge.converting.markers import Array
from nirbridge.converting.observing import Progress
from nirbridge.converting.settings import whole
from nirbridge.converting.vocabulary import (
    FUNCTIONS,
    METHODS,
    MODULES,
    function_refusal,
    module_refusal,
)
from nirbridge.errors import ExportError
from nirbridge.exporting import maxima
from nirbridge.exporting.arrays import array
from nirbridge.exporting.builder import GraphBuilder
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.exporting.vocabulary import Vocabulary
from nirbridge.ir import MultiLevelLIF, TemporalMix, mark_inference
from nirbridge.neurons import QCFS
from nirbridge.neurons.base import SMALLEST_THRESHOLD

_MOST_STEPS = 4096
_HINT = "Train with nirbridge.neurons.QCFS in its place, or use method='one-spike' for ReLU"


def qcfs(module: nn.Module, data: Array, progress: Progress, steps: Any = 1) -> Conversion:
    """The multi-level graph of a QCFS network; data [W, B, *shape] hold one frame a window, W = 1 at a time.

    Args:
        module: layers as for export, with QCFS activations.
        data: samples [N, *shape], for the shape.
        progress: is told what is being done.
        steps: T; L = Q/T must be whole.

    Raises:
        ExportError: the module holds something that has no such form, or Q is not a multiple of T.
        InputError: steps is out of range.
    """
    window = whole("steps", steps, 1, _MOST_STEPS)
    progress("reading the network")
    frames, mean = np.ones((window, 1)), np.full((1, window), 1 / window)
    ends = (_mixing("frames", frames), _mixing("mean", mean)) if window > 1 else (None, None)
    builder, _ = trace(module, data.shape[1:], _vocabulary(window), *ends)
    graph = builder.graph({})
    mark_inference(graph, 1)
    found = tuple(_layer(name, node) for name, node in graph.nodes.items() if type(node) is MultiLevelLIF)
    if not found:
        where = f"module {type(module).__name__}"
        raise ExportError(where, "has no QCFS activation", _HINT)
    return Conversion(
        graph=graph,
        method="qcfs",
        module=module,
        analog=None,
        coded=None,
        transform=np.asarray,
        layers=found,
        latency=Latency(window, 0 if window == 1 else window, depth(graph, MultiLevelLIF)),
        notes=(),
        options={"steps": window},
    )


def _layer(name: str, node: MultiLevelLIF) -> Layer:
    return Layer(name, node.shape, np.asarray(node.lane_weight.max(axis=0), dtype=np.float64), 1.0, 1.0)


def _mixing(name: str, matrix: Array) -> Callable[[GraphBuilder, Signal], Signal]:
    return lambda builder, signal: builder.add(name, TemporalMix(matrix), signal)


def _vocabulary(window: int) -> Vocabulary:
    def neuron(call: Call, module: QCFS, x: Any) -> Signal:
        signal = require_signal(x)
        if module.levels % window:
            found = f"has Q = {module.levels} levels, not a multiple of T = {window}"
            raise RefusalError(found, f"Choose steps that divide {module.levels}")
        count = module.levels // window
        # In double precision, where k θ and θ/2 of a λ_q in single precision are exact and move no tie.
        theta = np.maximum(np.asarray(array(module.scale), np.float64), SMALLEST_THRESHOLD) / count
        node = MultiLevelLIF.uniform(signal.shape, count, theta, v_init=theta / 2, output="value")
        return call.emit(node, _mixed(call, signal, window))

    def pooled(function: Handler) -> Handler:
        @wraps(function)
        def lower(call: Call, input: Any, *args: Any, **kwargs: Any) -> Any:
            return function(call, _mixed(call, require_signal(input), window), *args, **kwargs)

        return lower

    pools = {does: pooled(does) for does in (maxima.max_pool2d, maxima.adaptive_max_pool2d)}
    return Vocabulary(
        modules={
            **MODULES,
            nn.MaxPool2d: with_fields(pools[maxima.max_pool2d], *maxima.FIELDS),
            nn.AdaptiveMaxPool2d: with_fields(pools[maxima.adaptive_max_pool2d], "output_size", "return_indices"),
            QCFS: neuron,
        },
        named_modules={},
        functions={
            **FUNCTIONS,
            **{name: pools[does] for name, does in FUNCTIONS.items() if does in pools},
        },
        methods=METHODS,
        module_refusal=partial(module_refusal, _HINT),
        function_refusal=partial(function_refusal, _HINT),
        constant_first=frozenset({"matmul"}),
    )


def _mixed(call: Call, signal: Signal, window: int) -> Signal:
    """The mean of the window at each of its steps."""
    if window == 1:
        return signal
    return call.emit(TemporalMix(np.full((window, window), 1 / window)), signal, "mix")
