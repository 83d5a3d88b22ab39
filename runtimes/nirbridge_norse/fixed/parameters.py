"""All neurons of core NIR and MultiLevelLIF as one form: an optional synapse, a membrane, and lanes."""

from __future__ import annotations

from nirbridge.primitives.integers import DECAY_ONE
from nirbridge.runtime import PlannedNode
from nirbridge.runtime.stepping import integer_form_of
from nirbridge_norse.neurons.lanes import LaneParameters, lane_table
from nirbridge_norse.setting import Setting


def fixed_parameters(planned: PlannedNode, setting: Setting) -> LaneParameters:
    """The normal form of a neuron node; tensors are float64 whole numbers, save the decays, k/4096."""
    form = integer_form_of(planned, setting.dt)
    lanes = None
    if form.threshold is not None:
        lanes = lane_table(*(setting.tensor(field) for field in (form.threshold, form.weight, form.amount)))
    return LaneParameters(
        decay=setting.tensor(form.keep / DECAY_ONE),
        gain=setting.tensor(form.gain),
        v_init=setting.tensor(form.v_init),
        v_reset=setting.tensor(form.v_reset),
        lanes=lanes,
        subtract=form.subtract,
        at_least=form.at_least,
        decay_current=None if form.keep_current is None else setting.tensor(form.keep_current / DECAY_ONE),
    )
