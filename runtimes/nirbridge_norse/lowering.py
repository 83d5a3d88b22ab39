"""What a node does → stage.

The table names functions and loads their modules, and so torch, with the first node that is lowered: what it holds can
be asked for free.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from nirbridge.runtime import LoweringTable, PlannedNode

if TYPE_CHECKING:
    from nirbridge_norse.setting import Setting
    from nirbridge_norse.stages import Stage

    Lowering = Callable[[PlannedNode, Setting], Stage]

LOWERING: LoweringTable[Lowering] = LoweringTable("norse")


def _by(function: str) -> Lowering:
    """The function of this name."""
    module, name = function.split(":")

    def lower(planned: PlannedNode, setting: Setting) -> Stage:
        stage: Stage = getattr(import_module(f"nirbridge_norse.{module}"), name)(planned, setting)
        return stage

    return lower


for _operation, _function in {
    "identity": "stages:view",
    "flatten": "stages:view",
    "delay": "stages:delay_line",
    "matrix": "linear:matrix",
    "scale": "linear:scale",
    "threshold": "linear:threshold",
    "aggregate": "linear:aggregate",
    "place": "linear:place",
    "product": "linear:product",
    "quantize": "linear:quantize",
    "convolution": "convolution:convolution",
    "sum pool": "pooling:sum_pool",
    "mean pool": "pooling:mean_pool",
    "max pool": "pooling:max_pool",
    "temporal mix": "windows:temporal_mix",
    "first spike pool": "windows:first_spike_pool",
    "window": "windows:window_stage",
    "step": "neurons.modules:step_neuron",
    "lanes": "neurons.modules:lane_neuron",
}.items():
    LOWERING.register(_operation)(_by(_function))
