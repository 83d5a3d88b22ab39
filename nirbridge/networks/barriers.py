"""The barrier that fits a neuron: it re-quantises sums to what that neuron sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nirbridge.errors import InputError
from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF, MultiLevelLIF

_LEVELS = 4
"""N where the activation has no levels, as ReLU."""


def make_barrier(neuron: nn.Module, **options: Any) -> Barrier:
    """A barrier of the neuron's own N and V_th; of N = 4 and V_th = 1 where it has none, as ``nn.ReLU``.

    V_th is the largest value that the neuron sends, V_th/N the smallest above 0.

    Args:
        neuron: one layer of the neurons in front; its threshold is read as it is now.
        options: ``levels``, ``threshold`` and ``clipped`` of :class:`Barrier`, in place of the neuron's.

    Raises:
        InputError: an unknown option, or one outside its limits.
    """
    told: dict[str, Any] = _OF.get(type(neuron), lambda _: {"levels": _LEVELS})(neuron) | options
    try:
        return Barrier(**told)
    except TypeError as error:
        raise InputError("barrier", str(error), "Use levels, threshold and clipped") from error


def _multi_level_if(neuron: Any) -> dict[str, Any]:
    threshold = neuron.threshold.detach().clone() if neuron.sends_values else float(neuron.levels)
    return {"levels": neuron.levels, "threshold": threshold}


def _one_hot(neuron: Any) -> dict[str, Any]:
    top = 2 ** (neuron.lanes - 1)
    return {"levels": top, "threshold": 1.0 if neuron.scaled else float(top)}


_OF: dict[type[nn.Module], Callable[[nn.Module], dict[str, Any]]] = {
    MultiLevelIF: _multi_level_if,
    MultiLevelLIF: _one_hot,
    LMHT: lambda it: {"levels": it.levels, "threshold": it.levels * it.threshold.detach()},
    QCFS: lambda it: {"levels": it.levels, "threshold": it.scale.detach().clone()},
}
