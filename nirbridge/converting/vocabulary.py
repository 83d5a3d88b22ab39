"""What conversion understands of a module, on top of what export lowers."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nirbridge.converting import activations, rectifiers
from nirbridge.converting.activations import RETURN_LOGITS, USE_RELU
from nirbridge.converting.aggregation import Aggregate
from nirbridge.converting.markers import ChannelAffine, Offset
from nirbridge.exporting import functions, layers, maxima, neurons, normalisation, norse, refusals
from nirbridge.exporting.arrays import array
from nirbridge.exporting.call import Call, with_fields
from nirbridge.exporting.functions import add as add_signals
from nirbridge.exporting.functions import as_constant
from nirbridge.exporting.functions import multiply as multiply_signal
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.exporting.vocabulary import Vocabulary
from nirbridge.ir import Aggregate as AggregateNode
from nirbridge.ir import SparseMatrix
from nirbridge.neurons import QCFS

_LINEAR = "A converted network is linear between its activations; train with spiking neurons to multiply spikes"
_WHOLE_BATCH = "Write torch.matmul(A, x) with x [B, n, F], or use nirbridge.converting.Aggregate(A)"


def batch_norm(
    call: Call, input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Signal:  # fmt: skip
    """A batch normalisation by its running statistics, kept as a node of its own until it is clear what follows."""
    signal = require_signal(input)
    scale, shift = normalisation.coefficients(signal, running_mean, running_var, weight, bias, training, eps)
    variance = np.asarray(array(running_var), dtype=np.float64)
    with np.errstate(invalid="ignore"):  # what is not finite is refused by name later
        center = shift + scale * np.asarray(array(running_mean), dtype=np.float64)
        spread = np.abs(scale) * np.sqrt(variance)
    broad = (-1, *(1,) * (len(signal.shape) - 1))
    return call.emit(ChannelAffine(*(value.reshape(broad) for value in (scale, shift, center, spread))), signal)


def add(call: Call, input: Any, other: Any, *, alpha: Any = 1) -> Signal:
    """x + alpha y; a constant becomes part of the next neuron's bias."""
    if isinstance(input, Signal) and isinstance(other, Signal):
        return add_signals(call, input, other, alpha=alpha)
    if not isinstance(input, Signal):
        signal, constant = require_signal(other), input
        if alpha != 1:
            raise RefusalError("scales the signal while it adds a constant", "Write alpha * x + c")
    else:
        signal, constant = input, other * alpha
    value = as_constant(call, signal, constant)
    try:
        np.broadcast_to(value, signal.shape)
    except ValueError:
        found = f"adds a constant of shape {value.shape} to features of shape {signal.shape}"
        raise RefusalError(found, "Give one number or one for each feature") from None
    return call.emit(Offset(value), signal)


def subtract(call: Call, input: Any, other: Any, *, alpha: Any = 1) -> Signal:
    """x - alpha y, either of which may be a constant."""
    if isinstance(other, Signal):
        return add(call, input, multiply_signal(call, other, -alpha))
    return add(call, input, other, alpha=-alpha)


def _subtract_from(call: Call, input: Any, other: Any, *, alpha: Any = 1) -> Signal:
    """torch.rsub: y - alpha x."""
    return subtract(call, other, input, alpha=alpha)


def multiply(call: Call, input: Any, other: Any) -> Signal:
    """c x with a constant c; the product of two analog values is none of two phase codes."""
    _require_constant(input, other)
    return multiply_signal(call, input, other)


def _require_constant(input: Any, other: Any) -> None:
    if isinstance(input, Signal) and isinstance(other, Signal):
        raise RefusalError("multiplies two tensors that depend on the input", _LINEAR)


def matmul(call: Call, input: Any, other: Any) -> Signal:
    """A x with a constant A over the nodes of a graph network, or x W with a constant W over the features."""
    _require_constant(input, other)
    if isinstance(input, Signal):
        matrix = array(other)
        if matrix.ndim != 2:
            raise RefusalError(f"multiplies by a constant of shape {matrix.shape}", "Give a matrix (in, out)")
        return call.emit(nir.Linear(np.ascontiguousarray(matrix.T)), input)
    signal = require_signal(other)
    if len(signal.shape) != 2:
        found = f"multiplies a matrix by features of shape {signal.shape}, expected (n, F)"
        raise RefusalError(found, _WHOLE_BATCH)
    return call.emit(AggregateNode(_matrix(input)), signal)


def _sparse_mm(call: Call, input: Any, other: Any) -> Signal:
    raise RefusalError("takes a matrix without a batch axis, but data are [B, n, F]", _WHOLE_BATCH)


def _aggregate_module(call: Call, module: Aggregate, input: Any) -> Signal:
    return call.emit(AggregateNode(_matrix(module.weight)), require_signal(input))


def _matrix(weight: Any) -> Any:
    tensor = torch.as_tensor(weight).detach().cpu()
    if not tensor.is_sparse:
        return array(tensor)
    whole = tensor.coalesce()
    row, column = whole.indices().numpy()
    return SparseMatrix(tuple(whole.shape), row, column, array(whole.values()))


def module_refusal(activation: str, module: nn.Module, args: Any) -> RefusalError:
    """Why a module is not converted.

    Args:
        activation: what to use in place of an activation.
        module: what is refused.
        args: of its call.
    """
    if type(module) is QCFS:
        return RefusalError("is a QCFS activation, which a phase code does not carry", "Use method='qcfs'")
    if neurons.is_neuron(module) or norse.is_neuron(module):
        return RefusalError("spikes already; conversion takes analog networks", "Use 'nirbridge export'")
    refusal = refusals.module_refusal(module, args)
    if type(module) in (nn.Softmax, nn.LogSoftmax):
        return _softmax_refusal(refusal)
    analog = type(module).__module__ == "torch.nn.modules.activation"
    return RefusalError(refusal.found, activation if analog else refusal.next_step, result=refusal.result)


def function_refusal(activation: str, name: str, args: Any) -> RefusalError:
    """Why a function or method is not converted; see :func:`module_refusal`."""
    refusal = refusals.function_refusal(name, args)
    if name in ("softmax", "log_softmax"):
        return _softmax_refusal(refusal)
    analog = "is an analog" in refusal.found or "compares" in refusal.found
    return RefusalError(refusal.found, activation if analog else refusal.next_step, result=refusal.result)


def _softmax_refusal(general: RefusalError) -> RefusalError:
    return RefusalError("normalises the output, which a readout does not", RETURN_LOGITS, result=general.result)


MODULES: dict[type[nn.Module], Any] = {**layers.MODULES, Aggregate: _aggregate_module}
FUNCTIONS: dict[Any, Any] = {
    **functions.FUNCTIONS,
    **dict.fromkeys((torch.mul, torch.multiply, operator.mul, operator.imul), multiply),
    **dict.fromkeys((torch.matmul, operator.matmul), matmul),
    torch.sparse.mm: _sparse_mm,
}
METHODS: dict[str, Any] = {**functions.METHODS, "mul": multiply, "multiply": multiply, "matmul": matmul}
"""What every method lowers: the layers of export, products by constants alone, and what graph networks need."""

_SUMS: dict[str, Any] = {"add": add, "sub": subtract, "subtract": subtract}

ANALOG = Vocabulary(
    modules={
        **MODULES,
        **activations.MODULES,
        nn.MaxPool2d: with_fields(maxima.max_pool2d_of_spikes, *maxima.FIELDS),
        **rectifiers.MODULES,
        **normalisation.modules(batch_norm),
    },
    named_modules=layers.NAMED_MODULES,
    functions={
        **FUNCTIONS,
        **activations.FUNCTIONS,
        **dict.fromkeys((functional.max_pool2d, torch.max_pool2d), maxima.max_pool2d_of_spikes),
        **dict.fromkeys((torch.sub, torch.subtract, operator.sub, operator.isub), subtract),
        torch.rsub: _subtract_from,
        **rectifiers.FUNCTIONS,
        **dict.fromkeys((torch.add, operator.add, operator.iadd), add),
        functional.batch_norm: batch_norm,
    },
    methods={**METHODS, **activations.METHODS, **_SUMS, **rectifiers.METHODS},
    module_refusal=partial(module_refusal, USE_RELU),
    function_refusal=partial(function_refusal, USE_RELU),
    constant_first=frozenset({*_SUMS, "mul", "multiply", "matmul"}),
)
"""What one-spike conversion lowers: layers, ReLU and what is made of it, batch normalisation and aggregation."""
