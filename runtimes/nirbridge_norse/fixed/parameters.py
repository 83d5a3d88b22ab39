"""All neurons of core NIR and MultiLevelLIF as one form: an optional synapse, a membrane, and lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import nir
import numpy as np
from torch import Tensor

from nirbridge.checking.fixed_point import DECAY_ONE, leak_steps
from nirbridge.ir import MultiLevelLIF
from nirbridge_norse.functional import LaneTable, lane_table
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


def fixed_parameters(node: nir.NIRNode, setting: Setting, amount: Any = None) -> FixedParameters:
    """The one form of a neuron node; with ``amount`` a spike takes it off the membrane."""
    form = _FORMS[type(node)](node, setting)
    if amount is None:
        return form
    threshold, taken = _whole(node.v_threshold, setting)[None], _whole(amount, setting)[None]
    return form._replace(lanes=lane_table(threshold, setting.tensor(np.ones(1)), taken), subtract=True)


def _whole(value: Any, setting: Setting) -> Tensor:
    return setting.tensor(np.rint(np.asarray(value, dtype=np.float64)))


def _kept(tau: Any, setting: Setting) -> Tensor:
    return setting.tensor((DECAY_ONE - leak_steps(setting.dt, tau)) / DECAY_ONE)


def _integrator(node: nir.I | nir.IF, setting: Setting) -> FixedParameters:
    return _membrane(node, setting, setting.tensor(1.0), node.r)


def _leaky(node: nir.LI | nir.LIF, setting: Setting) -> FixedParameters:
    return _membrane(node, setting, _kept(node.tau, setting), 1)


def _with_synapse(node: nir.CubaLI | nir.CubaLIF, setting: Setting) -> FixedParameters:
    membrane = _membrane(node, setting, _kept(node.tau_mem, setting), 1)
    return membrane._replace(keep_current=_kept(node.tau_syn, setting))


def _membrane(node: Any, setting: Setting, keep: Tensor, gain: Any) -> FixedParameters:
    zero = setting.tensor(0.0)
    plain = FixedParameters(keep, _whole(gain, setting), zero, zero)
    if not hasattr(node, "v_threshold"):
        return plain
    threshold = _whole(node.v_threshold, setting)[None]
    one = setting.tensor(np.ones(1))
    return plain._replace(v_reset=_whole(node.v_reset, setting), lanes=lane_table(threshold, one, 0 * one))


def _multi_level(node: MultiLevelLIF, setting: Setting) -> FixedParameters:
    fields = (_whole(field, setting) for field in (node.lane_threshold, node.lane_weight, node.lane_reset))
    return FixedParameters(
        keep=_whole(DECAY_ONE * np.asarray(node.decay, dtype=np.float64), setting) / DECAY_ONE,
        gain=_whole(node.gain, setting),
        v_init=_whole(node.v_init, setting),
        v_reset=_whole(node.v_reset, setting),
        lanes=lane_table(*fields),
        subtract=node.reset == "subtract",
        at_least=node.boundary == ">=",
    )


_FORMS: dict[type[nir.NIRNode], Callable[[Any, Setting], FixedParameters]] = {
    nir.I: _integrator,
    nir.IF: _integrator,
    nir.LI: _leaky,
    nir.LIF: _leaky,
    nir.CubaLI: _with_synapse,
    nir.CubaLIF: _with_synapse,
    MultiLevelLIF: _multi_level,
}
NEURONS = tuple(_FORMS)
