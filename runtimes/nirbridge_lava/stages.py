"""A plan that has been wired: stages, what they send each other, and the network that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nirbridge_lava.cell import Array, Cell

Cells = Mapping[str, "Cell | None"]
Size = tuple[int, int]
"""What one sample has in a portion: so many steps of so many values; one step unless the graph has windows."""


class Sum(NamedTuple):
    """The values of a node: what some stages send, all at one depth, added up, and a constant."""

    senders: tuple[str, ...]
    depth: int
    constant: Array | None


class Held(NamedTuple):
    """Where a state of :mod:`nirbridge.runtime.states` lies in that of a stage.

    Attributes:
        name: of the state.
        inside: which of the states of a cycle's cell; None where the stage's own is meant.
        rows: of it.
        values: in a row, of one sample.
    """

    name: str
    inside: str | None
    rows: slice
    values: int


@dataclass(frozen=True)
class Stage:
    """A cell in its place.

    Attributes:
        name: unique in the network; that of the node where it does a node's work.
        cell: its work.
        senders: stages whose values add up to its input.
        constant: added to that input; None for nothing.
        depth: Lava steps by which its input is behind the graph's; 0 throughout where one process holds all.
        takes: size of its input.
        sends: size of its output.
        reads: where in shared memory its input comes from; None for senders.
        keeps: where in shared memory its output is kept; None for nowhere.
        membranes: where in shared memory a membrane is kept → its value (samples, n) at each step of a window, from the
            stage's state behind it.
        holds: all that its state has to say to others.
    """

    name: str
    cell: Cell
    senders: tuple[str, ...]
    constant: Array | None
    depth: int = 0
    takes: Size = (1, 1)
    sends: Size = (1, 1)
    reads: str | None = None
    keeps: str | None = None
    membranes: Mapping[str, Callable[[Any], Iterable[Array]]] = field(default_factory=dict)
    holds: tuple[Held, ...] = ()


class Cycle(NamedTuple):
    """Parameters of the cell of a cycle; each value of the stages in it is known by name.

    Attributes:
        stages: in execution order; every step runs all of them.
        entrances: name of what enters a stage from outside → where it stands in the input.
        late: name of a value of the step before → the stage whose value it was, and the constant beside it.
        leaving: stages whose values stand side by side in the output.
    """

    stages: tuple[Stage, ...]
    entrances: dict[str, slice]
    late: dict[str, tuple[str, Array | None]]
    leaving: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """All that has to be built.

    Attributes:
        stages: senders before receivers.
        areas: size of each area of shared memory, see :func:`in_area` and :func:`out_area`.
        sinks: name of everything that comes back: nodes, and membranes with ":v" behind the node's name.
        steps: graph input steps in a portion.
        fused: whether one process holds all stages; a portion may then hold more than one sample.
        model: tag of the process models, "floating_pt" or "fixed_pt".
    """

    stages: tuple[Stage, ...]
    areas: dict[str, Size]
    sinks: tuple[str, ...]
    steps: int
    fused: bool
    model: str

    @property
    def states(self) -> dict[str, Size]:
        """Every state of every stage by name: its rows, and the values of one sample in a row."""
        return {
            held.name: (held.rows.stop - held.rows.start, held.values) for stage in self.stages for held in stage.holds
        }

    @property
    def depth(self) -> int:
        """Of the deepest stage; a run takes as many Lava steps more than there are portions."""
        return max(stage.depth for stage in self.stages)


def in_area(name: str) -> str:
    """Where an input's frames lie in shared memory."""
    return f"in {name}"


def out_area(name: str) -> str:
    """Where the frames of what comes back lie in shared memory."""
    return f"out {name}"
