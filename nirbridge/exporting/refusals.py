"""What has no counterpart in a graph, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from torch import nn

from nirbridge.exporting.foreign import framework_of
from nirbridge.exporting.signal import UNKNOWN, RefusalError, Signal
from nirbridge.exporting.states import LEAVE_STATES
from nirbridge.neurons import QCFS

_ANALOG = "is an analog activation, not a spiking neuron"
_CONVERT = "Use 'nirbridge convert', which turns a trained ANN into spikes, or put a spiking neuron in its place"
_NEURON = "Put a spiking neuron of nirbridge.neurons in its place"
_CONCATENATION = "Use torch.cat along a feature axis where it is exported, or add what a layer for each makes"
_OWN_STATISTICS = "normalises each input by its own statistics, which a graph cannot say"
_BATCH_NORM = "Train with nn.BatchNorm1d or nn.BatchNorm2d"
_ALTERNATIVE = "Replace it, or export the parts around it"


def _kinds_of(home: ModuleType) -> tuple[type, ...]:
    """By their home rather than by name, as not every torch has all of them."""
    return tuple(kind for kind in vars(home).values() if isinstance(kind, type))


_ACTIVATIONS = _kinds_of(nn.modules.activation)
_NORMS = (*_kinds_of(nn.modules.normalization), *_kinds_of(nn.modules.instancenorm))
_ACTIVATION_NAMES = (
    "sigmoid", "tanh", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "prelu", "rrelu", "softmax",
    "log_softmax", "softplus", "softsign", "mish", "hardtanh", "hardswish", "hardsigmoid", "relu6", "clamp", "sign",
    "abs", "floor", "round", "exp", "log", "pow", "sqrt", "heaviside", "threshold", "glu", "tanhshrink", "logsigmoid",
)  # fmt: skip
_CONCATENATIONS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")
_FILLED = ("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty")
_COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne", "where", "masked_fill")


def module_refusal(module: nn.Module, args: Iterable[Any]) -> RefusalError:
    """Why a module is not exported."""
    kind = type(module)
    kept = shape_kept(args)
    if kind in (nn.ReLU, QCFS):
        return RefusalError(_ANALOG, _CONVERT, result=kept)
    if kind in _ACTIVATIONS:
        return RefusalError("is an analog activation without a counterpart in a graph", _NEURON, result=kept)
    if kind in _NORMS:
        return RefusalError(_OWN_STATISTICS, _BATCH_NORM, result=kept)
    framework = framework_of(module)
    if framework is not None:
        return framework.refusal(module)
    parents = [parent.__name__ for parent in kind.__mro__[1:] if parent.__module__.startswith(_KNOWN_HOMES)]
    if not kind.__module__.startswith(("torch.", *_KNOWN_HOMES)) and parents:
        found = f"is a subclass of {parents[0]}, which may mean something else"
        return RefusalError(found, f"Use {parents[0]} itself", result=kept)
    return RefusalError("is a type of layer that a graph does not have", _ALTERNATIVE)


_KNOWN_HOMES = ("nirbridge.neurons", "norse.torch.module")


def function_refusal(name: str, args: Iterable[Any]) -> RefusalError:
    """Why a function or method is not exported."""
    kept = shape_kept(args)
    if name == "relu":
        return RefusalError(_ANALOG, _CONVERT, result=kept)
    if name in _ACTIVATION_NAMES:
        return RefusalError("is an analog function without a counterpart in a graph", _NEURON, result=kept)
    if name in ("layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"):
        return RefusalError(_OWN_STATISTICS, _BATCH_NORM, result=kept)
    if name in _CONCATENATIONS:
        return RefusalError("is a concatenation that is not known here", _CONCATENATION)
    if name in _COMPARISONS:
        return RefusalError("compares values, which only neurons do in a graph", _NEURON)
    if name in _FILLED:
        return RefusalError("makes a tensor of the size of another, as for a state", LEAVE_STATES)
    if name in ("matmul", "bmm", "mm", "einsum"):
        return RefusalError("multiplies matrices outside of a layer", "Use nn.Linear")
    return RefusalError("is a function that a graph does not have", _ALTERNATIVE)


def shape_kept(args: Iterable[Any]) -> Any:
    """The activation's input, so that what follows it is looked at too."""
    return next((value for value in args if isinstance(value, Signal)), UNKNOWN)
