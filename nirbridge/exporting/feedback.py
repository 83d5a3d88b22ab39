"""Cycles: what a neuron sends comes back to it a step later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from nirbridge.exporting.call import Call, join
from nirbridge.exporting.signal import UNKNOWN, LeadingAxes, RefusalError, Signal, Unknown, find_all


def fed_back(
    call: Call,
    signal: Signal,
    feedback: nn.Module,
    name: str,
    build: Callable[[], Sequence[Any]],
    *,
    at_first_step: bool = True,
) -> Any:
    """What the neuron sends, with a cycle through ``<layer>.<name>``.

    The edge that the walk from the input meets last closes the cycle and brings nothing at the first step.  Where the
    feedback makes something of nothing, by a bias, that must come too: then the input also enters the feedback, times
    0, so that the walk goes through it before it comes to the neuron, and the neuron's own edge closes the cycle.

    Args:
        call: names the nodes.
        signal: the layer's input.
        feedback: what lies between the neuron and itself; it keeps the shape.
        name: what the feedback is called.
        build: makes the nodes, and gives what each sends, from the one that the feedback enters to the neuron.
        at_first_step: whether the feedback acts at the first step too, on silence.
    """
    constant = at_first_step and _makes_something_of_nothing(feedback, signal)
    nothing = call.emit(nir.Scale(np.zeros(signal.shape, call.builder.dtype)), signal, "start") if constant else None
    signals = list(build())
    if find_all(Unknown, signals):
        return UNKNOWN
    sent = signals[-1]
    entering = sent.over(LeadingAxes.FOLDED)
    if nothing is not None:
        entering = call.builder.total(call.name, nothing.over(LeadingAxes.FOLDED), entering)
    back = call.call_module(feedback, join(call.name, name), (entering,), {})
    if not find_all(Signal, back):
        return back  # what was refused inside of it
    if not isinstance(back, Signal) or back.shape != signal.shape:
        found = f"its feedback makes {getattr(back, 'shape', 'no tensor')} of {signal.shape}"
        raise RefusalError(found, "Give a feedback that keeps the shape")
    (entry,) = signals[0].sources
    call.builder.close_cycle(entry, back)
    return sent


def _makes_something_of_nothing(feedback: nn.Module, signal: Signal) -> bool:
    parameter = next(feedback.parameters(), torch.zeros(()))
    with torch.no_grad():
        return bool(torch.any(feedback(parameter.new_zeros(1, *signal.shape))))
