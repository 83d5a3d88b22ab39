"""The frameworks beside Norse whose modules ``export`` takes."""

from __future__ import annotations

from torch import nn

from nirbridge.exporting import sinabs, snntorch, spikingjelly
from nirbridge.exporting.call import Handler
from nirbridge.exporting.framework import Framework, Readings

FRAMEWORKS: tuple[Framework, ...] = (snntorch.FRAMEWORK, spikingjelly.FRAMEWORK, sinabs.FRAMEWORK)
MODULES: dict[str, Handler] = {name: handler for one in FRAMEWORKS for name, handler in one.modules.items()}


def framework_of(module: nn.Module) -> Framework | None:
    """The framework that a layer comes from."""
    return next((one for one in FRAMEWORKS if one.is_layer(module)), None)


def readings(module: nn.Module) -> Readings:
    """Where time and batch stand in a network with layers of a framework; empty where it has none."""
    found = next((one for one in map(framework_of, module.modules()) if one is not None), None)
    return () if found is None else found.readings(module)
