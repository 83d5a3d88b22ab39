"""Networks with some modules exchanged for others."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from nirbridge.errors import InputError


def replace_modules(
    network: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module], purpose: str
) -> nn.Module:
    """A copy of ``network`` in which ``make(module)`` stands for every module of exactly this kind.

    A module that is used in several places is made anew for each of them, since neurons keep a state of their own.

    Args:
        network: stays as it is.
        kind: the exact type to replace.
        make: gives the replacement.
        purpose: what the network is turned into, for the error.

    Raises:
        InputError: the network holds no such module.
    """
    result = copy.deepcopy(network)
    found = [name for name, module in result.named_modules(remove_duplicate=False) if type(module) is kind]
    if not found:
        raise InputError(
            f"network {type(network).__name__}",
            f"holds no {kind.__name__} module to replace {purpose}",
            f"Write its activations as modules of type {kind.__name__}",
        )
    if found == [""]:
        return make(result)
    for name in found:
        set_module(result, name, make(result.get_submodule(name)))
    return result


def set_module(network: nn.Module, name: str, module: nn.Module) -> None:
    """Puts ``module`` in the place called ``name``."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
