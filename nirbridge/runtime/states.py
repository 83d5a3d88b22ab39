"""What a program carries from step to step as plain arrays, named alike on every runtime.

A state is a dictionary of numpy arrays, so it can be pickled, written by ``numpy.savez`` or sent elsewhere as it is.
What a node carries stands under its name, a colon and the name of the state:

- ``act:v``, ``act:i``: the states of a neuron, as its primitive names them, [B, *shape]; in precision "fixed" ``v``
  and, where there is a synapse, ``i``;
- ``delay:line``: what a Delay still holds, [D, B, *shape], the last value first; D is its longest delay in steps;
- ``rec:last-sent``: what a node with an edge that closes a cycle has sent at the last step, [B, *shape].

Nothing outlives a window, and calls take whole windows, so nodes that work on them carry nothing.  The header are
arrays of one value each, whose names have no colon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import InputError, brief
from nirbridge.ir import delay_steps, spec_of
from nirbridge.primitives.spec import HELD
from nirbridge.runtime.plan import Plan, PlannedNode
from nirbridge.runtime.stepping import integer_form_of

Array = NDArray[Any]
State = dict[str, Array]
"""What :meth:`Program.state` gives: arrays by name, plain data."""
Found = TypeVar("Found")
LINE, SENT = HELD, "last-sent"
"""Neither is a name that a primitive's state can have."""
_WHERE = "state"
_ITS_OWN = "Take a state of this program, or of a copy"


@dataclass(frozen=True)
class Header:
    """Whose state it is.

    Attributes:
        graph: fingerprint of the plan.
        precision: of the numbers; "fixed" ones mean something else than "float" ones.
        runtime: where it comes from; any other takes it too.
        batch: samples; 0 before the first step, when there is no state.
        steps: input steps so far.
    """

    graph: str
    precision: str
    runtime: str
    batch: int
    steps: int


def state_shapes(plan: Plan, batch: int, integers: bool) -> dict[str, tuple[int, ...]]:
    """Every array of a state, by name, in the order of the plan; ``integers`` says that it is of precision "fixed".

    Args:
        plan: what the runtime executes, ``Program.lowered``.
        batch: samples.
        integers: whether the precision is "fixed".
    """
    late = late_names(plan)
    shapes: dict[str, tuple[int, ...]] = {}
    for planned in plan.nodes:
        shape = (batch, *planned.output_shape)
        for name in state_names(planned, plan.dt, integers):
            shapes[f"{planned.name}:{name}"] = shape
        if spec_of(planned.node).operation == "delay":
            shapes[f"{planned.name}:{LINE}"] = (int(np.max(delay_steps(planned.node.delay, plan.dt))), *shape)
        if planned.name in late:
            shapes[f"{planned.name}:{SENT}"] = shape
    return shapes


def late_names(plan: Plan) -> tuple[str, ...]:
    """The nodes whose value of the last step somebody reads at the next one."""
    return tuple(dict.fromkeys(s.name for planned in plan.nodes for s in planned.sources if s.delayed))


def by_node(states: Mapping[str, Found]) -> dict[str, dict[str, Found]]:
    """Those of each node, by their own names."""
    found: dict[str, dict[str, Found]] = {}
    for key, value in states.items():
        node, _, name = key.rpartition(":")
        found.setdefault(node, {})[name] = value
    return found


def state_names(planned: PlannedNode, dt: float, integers: bool) -> tuple[str, ...]:
    """The states of a neuron that lives step by step, in the order of its step; none for any other node."""
    spec = spec_of(planned.node)
    if spec.dynamics is None or spec.window is not None:
        return ()
    if not integers:
        return spec.dynamics.state
    return ("v",) if integer_form_of(planned, dt).keep_current is None else ("i", "v")


def packed(header: Header, arrays: Mapping[str, Array]) -> State:
    """The state as plain data that share nothing with the program."""
    head = {name: np.array(value) for name, value in asdict(header).items()}
    return {**head, **{name: np.array(array) for name, array in arrays.items()}}


def unpacked(state: Any, wanted: Header) -> Header:
    """The header of a state that fits a program whose own is ``wanted``, whatever its batch, steps and runtime.

    Raises:
        InputError: it is no state, or one of another graph or precision.
    """
    if not isinstance(state, Mapping):
        raise InputError(_WHERE, f"{brief(state)} is no dictionary of arrays", "Give what program.state() gave")
    found = Header(
        graph=str(_one(state, "graph", "U")),
        precision=str(_one(state, "precision", "U")),
        runtime=str(_one(state, "runtime", "U")),
        batch=int(_one(state, "batch", "iu")),
        steps=int(_one(state, "steps", "iu")),
    )
    if found.graph != wanted.graph:
        raise InputError(_WHERE, f"is one of another graph or dt ({found.graph}, not {wanted.graph})", _ITS_OWN)
    if found.precision != wanted.precision:
        text = f"is one of precision '{found.precision}', and the program runs in '{wanted.precision}'"
        raise InputError(_WHERE, text, _ITS_OWN)
    if found.batch < 0 or found.steps < 0:
        raise InputError(_WHERE, f"says {found.batch} samples and {found.steps} steps", _ITS_OWN)
    return found


def _one(state: Mapping[str, Any], name: str, kinds: str) -> Any:
    """One value of the header."""
    if name not in state:
        raise InputError(_WHERE, f"has no '{name}'", "Give what program.state() gave")
    array = np.asarray(state[name])
    if array.size != 1 or array.dtype.kind not in kinds:
        raise InputError(_WHERE, f"'{name}' is {brief(state[name])}", "Give what program.state() gave")
    return array.item()


def require_arrays(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], integers: bool) -> dict[str, Array]:
    """Copies of the arrays of a state, each of its shape; whole numbers in precision "fixed".

    Raises:
        InputError: one is missing, of another shape or kind, or none of this program's.
    """
    given = {name for name in state if ":" in name}
    wrong = sorted(given.symmetric_difference(shapes))
    if wrong:
        found = "has no array" if wrong[0] in shapes else "holds an unknown array"
        raise InputError(_WHERE, f"{found} '{wrong[0]}'", _ITS_OWN)
    arrays = {name: np.array(state[name]) for name in shapes}
    for name, array in arrays.items():
        where = f"{_WHERE} '{name}'"
        if array.shape != shapes[name]:
            raise InputError(where, f"shape {array.shape}, expected {shapes[name]}", _ITS_OWN)
        if array.dtype.kind not in "fiu":
            raise InputError(where, f"dtype {array.dtype}, expected real numbers", _ITS_OWN)
        if integers and array.dtype.kind == "f" and (array != np.rint(array)).any():
            raise InputError(where, "holds fractions, and precision 'fixed' has integers", _ITS_OWN)
    return arrays
