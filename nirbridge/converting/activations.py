"""Activations that are two ReLUs of opposite sign, and those at the very end that change no decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.converting.markers import Marker, Relu
from nirbridge.errors import Problem
from nirbridge.exporting.arrays import array
from nirbridge.exporting.builder import GraphBuilder
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.ir.topology import reached

RETURN_LOGITS = "Return the logits; their largest is the same"
USE_RELU = "Use ReLU, the one activation that a phase code carries exactly, and train the network with it"


def leaky(call: Call, signal: Signal, slope: Any) -> Signal:
    r"""Two neurons a value, of which at most one fires.

    .. math::
        leaky(x) = relu(x) - a \, relu(-x)

    Args:
        call: names the nodes.
        signal: x.
        slope: a, broadcastable to the features.
    """
    factor = np.asarray(slope, dtype=call.builder.dtype)
    if (factor == 1).all():
        return signal
    if (factor == 0).all():
        return call.emit(Relu(), signal)
    plus = call.emit(Relu(), signal, "plus")
    negated = call.emit(nir.Scale(np.asarray(-1, factor.dtype)), signal, "negated")
    minus = call.emit(Relu(opposite=plus.sources[0]), negated, "minus")
    call.builder.nodes[plus.sources[0]] = Relu(opposite=minus.sources[0])
    return call.builder.total(call.name, call.emit(nir.Scale(-factor), minus, "slope"), plus)


def leaky_relu(call: Call, input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Signal:
    """max(x, 0) + a min(x, 0)."""
    return leaky(call, require_signal(input), negative_slope)


def prelu(call: Call, input: Any, weight: Any) -> Signal:
    """As :func:`leaky_relu` with a trained slope for all channels or for each."""
    signal, slope = require_signal(input), array(weight)
    if slope.ndim != 1 or len(slope) not in (1, signal.shape[0]):
        found = f"has {slope.size} slopes of shape {slope.shape} for features {signal.shape}"
        raise RefusalError(found, "Give one, or one for each channel")
    return leaky(call, signal, slope.reshape(-1, *(1,) * (len(signal.shape) - 1)))


def rrelu(
    call: Call, input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Signal:
    """As :func:`leaky_relu` with the mean slope, which it has in evaluation."""
    if training:
        raise RefusalError("draws its slopes at random in evaluation too", "Pass training=self.training")
    return leaky(call, require_signal(input), (lower + upper) / 2)


@dataclass(eq=False)
class Final(Marker):
    """An activation that keeps the order of what enters it, so that it may be left out at the very end.

    Args:
        where: the module or function, as errors name it.
        run: the activation, on [B, ...].
        found: why it cannot be anywhere else.
        next_step: what to do then.
    """

    where: str
    run: Callable[[Tensor], Tensor]
    found: str
    next_step: str


def _final(kind: str, normalised: Callable[..., Tensor] | None) -> Handler:
    """The handler of a function over one axis, or, where ``normalised`` is None, of the sigmoid."""

    def lower(
        call: Call, input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None, where: str = ""
    ) -> Signal:
        signal = require_signal(input)
        owner = call.name.rpartition(".")[0]
        where = where or f"function '{kind}'" + (f" in '{owner}'" if owner else "")
        if normalised is None:
            found, step = "is an analog activation without a counterpart in a graph", USE_RELU
            return call.emit(Final(where, torch.sigmoid, found, step), signal)
        axes = len(signal.full_shape)
        # What torch takes where no axis is given.
        axis = (0 if axes in (0, 1, 3) else 1) if dim is None else signal.axis(int(dim))
        if axis < signal.leading.axes:
            raise RefusalError(f"normalises over axis {axis}, that of the samples", "Give dim=1", result=signal)
        found = "normalises the output, which a readout does not"
        return call.emit(Final(where, lambda x: normalised(x, axis), found, RETURN_LOGITS), signal)

    return lower


_FINALS = {
    "softmax": _final("softmax", torch.softmax),
    "log_softmax": _final("log_softmax", torch.log_softmax),
    "sigmoid": _final("sigmoid", None),
}


def _final_module(kind: str) -> Handler:
    def lower(call: Call, module: nn.Module, input: Any) -> Any:
        where = f"module '{call.name}' ({type(module).__name__})"
        return _FINALS[kind](call, input, getattr(module, "dim", None), where=where)

    return lower


def without_finals(builder: GraphBuilder, result: Signal) -> tuple[Signal, tuple[Final, ...]]:
    """What enters the activations at the very end, and these, the first first; others become problems.

    Args:
        builder: the graph.
        result: what the network returns.
    """
    finals: list[Final] = []
    while isinstance(sender := builder.sender(result), Final):
        finals.insert(0, sender)
        result = Signal(builder.incoming[result.sources[0]], result.shape, result.leading)
    before = reached(result.sources, builder.incoming.__getitem__)
    for name, node in builder.nodes.items():
        if isinstance(node, Final) and name in before:
            refused = Problem(node.where, node.found, node.next_step)
            builder.problems.append((refused, False))
    return result, tuple(finals)


def final_notes(finals: Iterable[Final]) -> list[Problem]:
    """What was left out at the end."""
    found = "is left out: the readout holds what enters it, whose order is the same"
    return [Problem(final.where, found, "Apply it to the decoded output", rule="final_activation") for final in finals]


MODULES: dict[type[nn.Module], Handler] = {
    nn.LeakyReLU: with_fields(leaky_relu, "negative_slope"),
    nn.PReLU: with_fields(prelu, "weight"),
    nn.RReLU: with_fields(rrelu, "lower", "upper"),
    nn.Softmax: _final_module("softmax"),
    nn.LogSoftmax: _final_module("log_softmax"),
    nn.Sigmoid: _final_module("sigmoid"),
}
FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((functional.leaky_relu, functional.leaky_relu_), leaky_relu),
    **dict.fromkeys((functional.prelu, torch.prelu), prelu),
    functional.rrelu: rrelu,
    **dict.fromkeys((functional.softmax, torch.softmax), _FINALS["softmax"]),
    **dict.fromkeys((functional.log_softmax, torch.log_softmax), _FINALS["log_softmax"]),
    **dict.fromkeys((functional.sigmoid, torch.sigmoid), _FINALS["sigmoid"]),
}
METHODS: dict[str, Handler] = {"prelu": prelu, **_FINALS}
