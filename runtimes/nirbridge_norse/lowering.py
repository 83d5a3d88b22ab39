"""What a node does → stage.

The table names functions and loads their modules, and so torch, with the first node that is lowered: what it holds can
be asked for free.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from nirbridge.ir import delay_steps
from nirbridge.runtime import LoweringTable, PlannedNode

if TYPE_CHECKING:
    from nirbridge_norse.setting import Setting
    from nirbridge_norse.stages import Stage

    Lowering = Callable[[PlannedNode, Setting], Stage]

LOWERING: LoweringTable[Lowering] = LoweringTable("norse")


def _late(module: str, name: str) -> Any:
    return getattr(import_module(f"nirbridge_norse.{module}"), name)


def _stateless(name: str) -> Lowering:
    """A function of linear."""

    def lower(planned: PlannedNode, setting: Setting) -> Stage:
        return _late("stages", "Stateless")(_late("linear", name)(planned, setting))

    return lower


def _stage(module: str, name: str) -> Lowering:
    """A function that makes the stage."""

    def lower(planned: PlannedNode, setting: Setting) -> Stage:
        return _late(module, name)(planned, setting)

    return lower


def _view(planned: PlannedNode, setting: Setting) -> Stage:
    """The same numbers in another shape."""
    return _late("stages", "View")(planned.output_shape)


def _windowed(name: str) -> Lowering:
    """A function of windows."""

    def lower(planned: PlannedNode, setting: Setting) -> Stage:
        return _late("windowed", "Windowed")(planned.window, _late("windows", name)(planned, setting))

    return lower


def _neuron(name: str) -> Lowering:
    """A Norse module with its state."""

    def lower(planned: PlannedNode, setting: Setting) -> Stage:
        return _late("stages", "Neuron")(_late("neurons.modules", name)(planned, setting))

    return lower


for _operation, _lowering in {
    "identity": _view,
    "flatten": _view,
    "matrix": _stage("linear", "matrix"),
    "scale": _stage("linear", "scale"),
    "convolution": _stage("convolution", "convolution"),
    "sum pool": _stage("pooling", "sum_pool"),
    "mean pool": _stage("pooling", "mean_pool"),
    "max pool": _stage("pooling", "max_pool"),
    "threshold": _stateless("threshold"),
    "aggregate": _stateless("aggregate"),
    "place": _stateless("place"),
    "product": _stateless("product"),
    "quantize": _stateless("quantize"),
    "temporal mix": _windowed("temporal_mix"),
    "first spike pool": _windowed("first_spike_pool"),
    "window": _stage("windows", "real_window"),
    "step": _neuron("step_neuron"),
    "lanes": _neuron("lane_neuron"),
}.items():
    LOWERING.register(_operation)(_lowering)


@LOWERING.register("delay")
def _delay(planned: PlannedNode, setting: Setting) -> Stage:
    steps = np.broadcast_to(delay_steps(planned.node.delay, setting.dt), planned.output_shape)
    return _late("stages", "DelayLine")(import_module("torch").tensor(steps, device=setting.device))
