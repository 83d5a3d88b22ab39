"""States that ``forward`` takes and returns: what its next call is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.fx.node import map_aggregate

from nirbridge.exporting.signal import LeadingAxes, Signal, State, find_all

LEAVE_STATES = "Leave states to neurons, or to a PrimitiveNeuron of nir.LI where nothing fires"
"""What to do instead of keeping a state in ``forward``."""


def handed_on(arguments: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """What ``forward`` returns for the arguments that were None, by their names: the next call is given it.

    ``forward(x, a=None, b=None)`` returns ``y, a, b``: as many behind its output as there are arguments without a
    value.  Empty where it does not.
    """
    names = [name for name, value in arguments.items() if value is None]
    if not isinstance(result, (tuple, list)) or len(result) != 1 + len(names):
        return {}
    return dict(zip(names, result[1:], strict=True))


def is_one_step(arguments: Mapping[str, Any]) -> bool:
    """Whether a call is one step, so that states go through its arguments."""
    return any(signal.leading is LeadingAxes.STEP for signal in find_all(Signal, dict(arguments)))


def left_out(arguments: Mapping[str, Any], handed: Mapping[str, Any]) -> list[str]:
    """The arguments that were None and take something that no state of a cell stands for in the graph."""
    return [name for name, value in arguments.items() if value is None and (name not in handed or others(handed[name]))]


def leaves(values: Any) -> list[Any]:
    """All that stands in nested containers."""
    found: list[Any] = []
    map_aggregate(values, found.append)
    return found


def others(values: Any) -> list[Any]:
    """The leaves but for states of cells, and for None, which the first step has for them."""
    return [one for one in leaves(values) if one is not None and not isinstance(one, State)]
