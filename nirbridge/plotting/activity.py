"""One sample on its way through a network: what was recorded, by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.arrays import as_array
from nirbridge.errors import InputError
from nirbridge.plotting.choosing import spiking_nodes
from nirbridge.plotting.clock import Clock
from nirbridge.reports import counted
from nirbridge.runtime import Array, Data, Plan, PlannedNode, Program, membrane_of


@dataclass(frozen=True)
class Activity:
    """What one sample did to a network.

    Attributes:
        plan: of the graph.
        inputs: [T, *shape] by input name.
        records: [steps, neurons] by name, of membranes by the name with ":v"; neurons in C order.
        outputs: [steps, *shape] by output name.
        clock: the time axis.
        fixed: whether membranes are those of precision "fixed".
        sample: its number.
        samples: how many the data hold.
    """

    plan: Plan
    inputs: dict[str, Array]
    records: dict[str, Array]
    outputs: dict[str, Array]
    clock: Clock
    fixed: bool
    sample: int
    samples: int

    def node(self, name: str) -> PlannedNode:
        """The node of a record."""
        return self.plan[membrane_of(name) or name] if name not in self.plan.names else self.plan[name]

    def times(self, name: str) -> Array:
        """Where the steps of a record stand on the axis."""
        return self.clock.times(len(self.records[name]), self.node(name).rate)


def record_activity(program: Program, x: Data, names: Sequence[str], sample: int) -> Activity:
    """Runs one sample from fresh states.

    Args:
        program: the network.
        x: as for ``Program.run``.
        names: nodes and membranes that panels show; all spiking nodes are recorded besides, for their rates.
        sample: which of x.

    Raises:
        InputError: the sample does not exist, a name is unknown, or as ``Program.run``.
        UnsupportedError: the runtime gives no membranes.
    """
    data, samples = _one_sample(program.plan, x, sample)
    wanted = [*names, *spiking_nodes(program.plan), *_own_spikes(program.plan, names)]
    found = program.run(data, record=list(dict.fromkeys(wanted)))
    inputs = {name: np.asarray(array)[:, 0] for name, array in data.items()}
    return Activity(
        plan=program.plan,
        inputs=inputs,
        records={name: array[:, 0].reshape(len(array), -1) for name, array in found.records.items()},
        outputs={name: np.asarray(array)[:, 0] for name, array in program.plan.output_by_name(found.output).items()},
        clock=Clock.of(program.plan, len(next(iter(inputs.values())))),
        fixed=program.lowered.input_limit is not None,
        sample=sample,
        samples=samples,
    )


def _own_spikes(plan: Plan, names: Sequence[str]) -> list[str]:
    """The nodes of membranes, whose spikes stand on the traces."""
    found = (membrane_of(name) for name in names if name not in plan.names)
    return [name for name in found if name is not None]


def _one_sample(plan: Plan, x: Data, sample: int) -> tuple[dict[str, Any], int]:
    """Of each input [T, 1, *shape]; data of a wrong shape stay as they are, for the program to refuse."""
    arrays = dict(x) if isinstance(x, Mapping) else dict.fromkeys(plan.inputs[:1], x)
    arrays = {name: as_array(f"input '{name}'", array) for name, array in arrays.items()}
    fitting = set(arrays) == set(plan.inputs) and all(
        array.ndim == len(plan[name].output_shape) + 2 for name, array in arrays.items()
    )
    counts = {array.shape[1] for array in arrays.values()} if fitting else set()
    if len(counts) != 1:
        return arrays, 1
    (samples,) = counts
    if not 0 <= sample < samples:
        found = f"{sample} is none of the data, which hold {counted(samples, 'sample')} from 0 on"
        raise InputError("option 'sample'", found, "Choose another")
    return {name: array[:, sample : sample + 1] for name, array in arrays.items()}, samples
