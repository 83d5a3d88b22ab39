"""Time and energy of a step, as ranges, where a public source states what they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Range = tuple[float, float]


@dataclass(frozen=True)
class Figures:
    """What the operations of a chip cost.

    Attributes:
        source: who states them, as in ``SOURCES``.
        synapse_pj: energy of a synaptic operation, at least.
        synapse_ns: time of one, at most.
        neuron_pj: energy of a neuron's update, inactive and active.
        neuron_ns: time of one, inactive and active.
        barrier_ns: time by which the cores of one chip agree that a step is over, for 1 and for 32 tiles.
    """

    source: str
    synapse_pj: float
    synapse_ns: float
    neuron_pj: Range
    neuron_ns: Range
    barrier_ns: Range


FIGURES: dict[str, Figures] = {
    "loihi1": Figures("[D18], table 2, simulated before silicon", 23.6, 3.5, (52.0, 81.0), (5.3, 8.4), (113.0, 465.0))
}
"""Chip → its figures.  No public source states those of loihi2 by operation."""
OMITTED = "routing of spikes, leakage, input and output"
"""What the sum leaves out: it depends on the place of cores, on other circuits and on time."""


class Population(NamedTuple):
    """What of a layer costs.

    Attributes:
        neurons: in all.
        used: synapses of one over which a message comes in a step, at least and at most.
        per_core: neurons on the fullest core.
    """

    neurons: int
    used: Range
    per_core: int


@dataclass(frozen=True)
class StepCost:
    """A step: the mean one of some data, else from silence to the step at which every input and neuron sends.

    Attributes:
        energy_pj: of all layers.
        time_ns: of the slowest core, and the barrier.
        synapse_pj: of a spike at one synapse, at least.
        source: of the figures.
        activity: messages of a node in a step of the data, by name, as a share of all that it could send; None where
            there were no data.
        omitted: what is left out.
    """

    energy_pj: Range
    time_ns: Range
    synapse_pj: float
    source: str
    activity: Mapping[str, float] | None = None
    omitted: str = OMITTED


def cost_of_step(
    chip: str, layers: Iterable[Population], activity: Mapping[str, float] | None = None
) -> StepCost | None:
    r"""Sums of published figures; an estimate, since nobody published sums.

    .. math::
        E &= \sum_l n_l E_{neuron} + u_l n_l E_{synapse} \\
        t &= \max_l (c_l t_{neuron} + u_l c_l t_{synapse}) + t_{barrier}

    with n neurons of a layer, c of them on its fullest core, and u synapses of each over which a message comes.  Cores
    work side by side and synapses of a core one after the other.  A synapse's time is known at most, so the least
    time of a step has none.

    Args:
        chip: its name.
        layers: what is on it.
        activity: what their ``used`` was measured as, to be handed on.

    Returns:
        The ranges; None where no public source states the chip's figures, or nothing is on it.

    Source: Davies et al. 2018, table 2.
    """
    figures, listed = FIGURES.get(chip), list(layers)
    if figures is None or not listed:
        return None
    neurons = sum(layer.neurons for layer in listed)
    few, many = (sum(layer.neurons * layer.used[end] for layer in listed) for end in (0, 1))
    busiest = max(layer.per_core * (figures.neuron_ns[1] + layer.used[1] * figures.synapse_ns) for layer in listed)
    quietest = max(layer.per_core for layer in listed) * figures.neuron_ns[0]
    return StepCost(
        energy_pj=(
            neurons * figures.neuron_pj[0] + few * figures.synapse_pj,
            neurons * figures.neuron_pj[1] + many * figures.synapse_pj,
        ),
        time_ns=(quietest + figures.barrier_ns[0], busiest + figures.barrier_ns[1]),
        synapse_pj=figures.synapse_pj,
        source=figures.source,
        activity=activity,
    )
