"""Trained analog network → spiking graph, without training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from inspect import signature
from itertools import chain
from typing import Any

import nir
import torch
from torch import Tensor, nn

from nirbridge.checking import find_problems
from nirbridge.converting.calibration_data import checked_data
from nirbridge.converting.conversion import Conversion, ConversionWarning
from nirbridge.converting.observing import Progress
from nirbridge.converting.one_spike import one_spike
from nirbridge.converting.qcfs import qcfs
from nirbridge.converting.samples import LIMIT, samples
from nirbridge.converting.settings import make_settings
from nirbridge.errors import ExportError, GraphError, InputError, Problem
from nirbridge.exporting.containers import plain
from nirbridge.exporting.user_code import describe, nested, user_code
from nirbridge.ir import flatten

METHODS: dict[str, Callable[..., Conversion]] = {"one-spike": one_spike, "qcfs": qcfs}
_TAKERS: dict[str, Callable[..., Any]] = {"one-spike": make_settings, "qcfs": qcfs}
"""Method → the function whose parameters with a default are its options."""
_HALF = (torch.float16, torch.bfloat16)


def convert(ann: nn.Module, data: Any, method: str = "one-spike", **options: Any) -> nir.NIRGraph:
    """The spiking graph of a trained analog network.

    "one-spike": every ReLU becomes a ``PhaseIF`` that spikes at most once a window of T phases, phase k standing for
    Q^-k of the layer's largest activation λ.  λ is taken per channel behind convolutions, per layer elsewhere, from
    ``data``; weights become w λ_in/λ_out.  Residual sums are several groups of synapses in the same unit, max pooling
    is the first spike, averages and aggregations get a neuron of their own where their input is never negative.
    A mean over neighbours is coded from its feature's smallest value on (nirbridge/converting/centring.py).  Weighted
    sums that are aggregated, as in a graph convolution Â (H W), are sent by two neurons a value, one for each sign.
    The input is sent in binary digits, or in digits of base Q where it adds to spikes, as in the stream of a
    pre-activation network; a negative input as two trains of opposite sign, which is exact and leaves zero padding
    alone.  The graph takes one frame a window, [W, B, *shape], and gives T steps, whose last holds the
    logits.

    "qcfs": every QCFS becomes a ``MultiLevelLIF`` of L = Q/T levels, exact.  The graph takes and gives [1, B, *shape].

    Args:
        ann: the network, of Linear, Conv1d/2d, ConvTranspose1d/2d, BatchNorm1d/2d, max, average and adaptive pooling,
            nearest upsampling, Flatten, Dropout, sums and differences, torch.cat, slices, chunk, channel shuffle, zero
            padding, constant factors and offsets, products with constant matrices or :class:`Aggregate` for graph
            networks; ReLU, LeakyReLU and PReLU for "one-spike", QCFS for "qcfs".  A softmax or sigmoid at the end of
            "one-spike" is left out with a note.  torch.compile, DataParallel and fx modules are read through.
            One in float16 or bfloat16 is left as it is; a float32 copy of it is converted.
        data: calibration samples [N, *shape], as the graph will get them: an array or tensor, or a DataLoader, data
            set, list or generator of tensors, of tuples (x, y) or of dictionaries.
        method: "one-spike" or "qcfs".
        options: ``limit`` = 1024, the samples that are taken of a loader, data set, list or generator.  For
            "one-spike": ``phases`` T = 16; ``spikes`` = 1 of a neuron in a window at most; ``calibrate`` = "auto",
            "margin" (ranges with room for data that the calibration does not show: ``margin`` times the largest
            activation, by itself what one half of the data needs for the other, and what batch normalisation lets
            expect), "error" (ranges of least squared error and, from 256 samples on, weights fitted to what the
            spikes stand for; "auto" for one spike of fewer than 12 phases), both with biases that keep the mean of
            every channel, or "paper" (the largest activation, biases as they are); ``base`` Q, a number or "auto" for
            those of least squared error on the data, one for all layers whose spikes add up, with "paper" one of the
            least expected relative error; ``wait`` T_w = T, with which every layer is exact;
            ``first_phase`` = 1; ``rounding`` = True; ``bn`` = "threshold" or "weights"; ``averages`` = "spike", or
            "linear" to leave average pooling and aggregation to the next layer, which loses nothing there but sends
            sums of spikes on; ``weight_bits``, as 8; ``weight_rounding`` = "nearest", or "gptq", which keeps a
            layer's sums on the data; ``percentile`` = 100, in place of the largest a percentile of the outputs above
            0; ``input_scale``, the largest input magnitude; ``mean`` and ``std``, numbers per channel, where the
            network was trained on (x - mean)/std and the graph shall take x.  For "qcfs": ``steps`` T = 1.

    Returns:
        A graph that :func:`nirbridge.check` finds nothing wrong with.

    Raises:
        InputError: data or an option does not fit; a whole layer is dead.
        ExportError: the network holds something that has no such form; all such places are listed.

    Warns:
        ConversionWarning: channels that are never active, aggregated sums of one sign, batch normalisation with a
            negative scale, too few phases for the base, an input in another base than 2, or samples beyond
            ``input_scale``; the text names the layer.

    Source: Hwang and Kung, 2024 (One-Spike SNN), algorithm 1; Hao et al., NeurIPS 2024 (LM-HT),
        theorem 4.4.
    """
    conversion = convert_in_full(ann, data, method, **options)
    for note in conversion.notes:
        warnings.warn(str(note), ConversionWarning, stacklevel=2)
    return conversion.graph


def convert_in_full(
    ann: nn.Module,
    data: Any,
    method: str = "one-spike",
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
    **options: Any,
) -> Conversion:
    """As :func:`convert`, with what each layer became; notes are returned instead of warned.

    Args:
        ann: the network.
        data: calibration samples, as :func:`nirbridge.converting.samples.samples` takes them.
        method: "one-spike" or "qcfs".
        limit: samples to take at most of a loader, data set, list or generator.
        progress: called with one line of text before each stage.
        options: as in :func:`convert`.
    """
    if not isinstance(ann, nn.Module):
        raise InputError("argument 'ann'", f"is a {type(ann).__name__}, not a torch module", "Pass an nn.Module")
    if not isinstance(method, str) or method not in METHODS:
        raise InputError("option 'method'", f"{method!r} is unknown", f"Known: {', '.join(METHODS)}")
    parameters = signature(_TAKERS[method]).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.default is not parameter.empty]
    if unknown := sorted(set(options) - set(known)):
        listed = ", ".join(known)
        raise InputError(f"option '{unknown[0]}'", f"method '{method}' does not know it", f"It knows {listed}")
    with nested(ann):
        taken = samples(data, limit)
        conversion = METHODS[method](_in_single(plain(ann)), checked_data(taken.data), progress or _silent, **options)
    if taken.note:
        note = Problem("argument 'data'", taken.note, "Give a larger 'limit' for more", rule="samples_taken")
        conversion = replace(conversion, notes=(note, *conversion.notes))
    problems = find_problems(flatten(conversion.graph))
    if problems:
        raise GraphError.from_problems(problems)
    return conversion


def _in_single(module: nn.Module) -> nn.Module:
    """The module, or a float32 copy of one with parameters in half precision: λ is found in at least that.

    Raises:
        ExportError: it needs a copy and has none, as with a weight that a hook computes.
    """
    if not any(tensor.dtype in _HALF for tensor in chain(module.parameters(), module.buffers())):
        return module

    def widened(tensor: Tensor) -> Tensor:
        return tensor.float() if tensor.dtype in _HALF else tensor

    try:
        with user_code():
            copied = deepcopy(module)
    except Exception as error:
        found = f"is in half precision, and copying it raises {describe(error)}"
        raise ExportError(f"module {type(module).__name__}", found, "Call its float() first") from error
    return copied._apply(widened)


def _silent(text: str) -> None:
    """Progress that nobody wants to read."""
