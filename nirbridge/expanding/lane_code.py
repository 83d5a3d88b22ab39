"""What printed programs share: their loop over steps, and the spikes of neurons of several levels."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from nirbridge.expanding.fragment import Array
from nirbridge.expanding.target import Lanes

SPIKES = """\
class Spikes:  # which value each lane sends, and what it does to the membrane
    required_states = ("v_mem",)

    def __init__(self, threshold, weight, reset, v_reset, closed):
        self.threshold, self.v_reset, self.closed = torch.tensor(threshold), torch.tensor(v_reset), closed
        self.weight, self.reset = self.with_silence(weight), None if reset is None else self.with_silence(reset)

    @staticmethod
    def with_silence(values):
        values = torch.tensor(values)
        return torch.cat([torch.zeros_like(values[:1]), values])

    def lane(self, v):
        return torch.stack([v >= at if self.closed else v > at for at in self.threshold]).sum(0)

    def pick(self, values, lane):
        ones = [1] * (lane.dim() + 1 - values.dim())
        values = values.reshape(len(values), *ones, *values.shape[1:])
        return values.expand(-1, *lane.shape).gather(0, lane[None])[0]

    def sent(self, v):
        return self.pick(self.weight, self.lane(v))

    def after(self, v):
        lane = self.lane(v)
        return torch.where(lane > 0, self.v_reset, v) if self.reset is None else v - self.pick(self.reset, lane)
"""
_MEMBRANE = """\


class Membrane(Spikes):  # sends what it has
    def __init__(self):
        pass

    def sent(self, v):
        return v.clone()

    def after(self, v):
        return v
"""
_ORDER = """\
# nirtorch runs a node before all branches that lead to it; the names of this file are in order.
module.execution_order.sort(key=lambda node: node.name)
"""
_STEPS = """\
    state, outputs = None, []
    with torch.no_grad():
        for frame in x{flat}:
            y, state = module(frame, state)
            outputs.append(y)
    return torch.stack(outputs)
"""


def filled(program: str, path: str, lanes: dict[str, Lanes], *, joins: bool, one_row: bool) -> str:
    """A program for a file of ours; what its places stand for is named here.

    Args:
        program: of the platform.
        path: of the file.
        lanes: of neurons whose levels the code states: by name.
        joins: whether branches join.
        one_row: whether its data are flattened to one row of numbers.
    """
    order = _ORDER if joins else ""
    flat = ".flatten(2)" if one_row else ""
    return program.format(
        path=path,
        flat=flat,
        steps=_STEPS.format(flat=flat),
        spikes=SPIKES,
        membrane=_MEMBRANE if any(it.threshold is None for it in lanes.values()) else "",
        neurons=rows(lanes),
        order=order,
        order_within=indent(order, "    "),
    )


def rows(lanes: dict[str, Lanes]) -> str:
    """A row of a dictionary for each neuron: its name, and its Spikes, or Membrane where it sends that."""
    return "\n".join(f"    {name!r}: {_made(it)}," for name, it in lanes.items())


def _made(it: Lanes) -> str:
    if it.threshold is None:
        return "Membrane()"
    reset = None if it.reset is None else _plain(it.reset)
    return f"Spikes({_plain(it.threshold)}, {_plain(it.weight)}, {reset}, {_plain(it.v_reset[None])[0]}, {it.closed})"


def _plain(values: Array) -> Any:
    """Nested lists; one number a lane where all neurons are alike."""
    return (values.ravel() if values[0].size == 1 else values).tolist()
