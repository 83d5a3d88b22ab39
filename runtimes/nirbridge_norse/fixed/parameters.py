"""All neurons of core NIR and MultiLevelLIF as one form: an optional synapse, a membrane, and lanes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nirbridge.primitives.integers import DECAY_ONE
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import integer_form_of
from nirbridge_norse.neurons.lanes import LaneTable, lane_table
from nirbridge_norse.setting import Setting


class FixedParameters(NamedTuple):
    """One neuron node; tensors are float64 whole numbers, save the decays, and broadcast to the features.

    Attributes:
        keep: k/4096, the factor on the membrane.
        gain: factor on the input.
        v_init: membrane before the first step.
        v_reset: membrane after a spike that does not subtract.
        keep_current: k/4096 of the synapse; None for a neuron without one.
        lanes: None for a neuron that sends its membrane.
        subtract: whether a spike takes the lane's amount off, instead of setting v_reset.
        at_least: whether a lane fires at its threshold too.
    """

    keep: Tensor
    gain: Tensor
    v_init: Tensor
    v_reset: Tensor
    keep_current: Tensor | None = None
    lanes: LaneTable | None = None
    subtract: bool = False
    at_least: bool = False


def fixed_parameters(planned: PlannedNode, setting: Setting) -> FixedParameters:
    """The normal form of a neuron node as tensors."""
    form = integer_form_of(planned, setting.dt)
    lanes = None
    if form.threshold is not None:
        lanes = lane_table(*(setting.tensor(field) for field in (form.threshold, form.weight, form.amount)))
    current = form.keep_current
    return FixedParameters(
        keep=setting.tensor(form.keep / DECAY_ONE),
        gain=setting.tensor(form.gain),
        v_init=setting.tensor(form.v_init),
        v_reset=setting.tensor(form.v_reset),
        keep_current=None if current is None else setting.tensor(current / DECAY_ONE),
        lanes=lanes,
        subtract=form.subtract,
        at_least=form.at_least,
    )
