"""A plan as layers: synapses with the neurons they drive, neurons without synapses, mixing over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nirbridge.costing.roles import (
    ANALOG_STATE,
    BOUNDARY,
    MIXING,
    NEURONS,
    PRODUCT,
    SPIKING,
    SYNAPSES,
    TRANSPARENT,
    cost_of,
    role_of,
)
from nirbridge.errors import UnsupportedError
from nirbridge.ir import original
from nirbridge.runtime import Plan, PlannedNode, Source, sent_exponents

_MOST_WAYS = 2**53
"""Up to it a number of ways is exact in double precision."""


@dataclass(frozen=True)
class Neuron:
    """A neuron of a layer.

    Attributes:
        planned: its node.
        direct: senders of events and inputs whose values reach it without synapses, as a shortcut's do, and by how
            many ways each.
        internal: whether its values go to other neurons alone, as a synaptic current does that has a node of its own;
            such values are handed over within the step and never written out.
    """

    planned: PlannedNode
    direct: Mapping[Source, int]
    internal: bool

    @property
    def spiking(self) -> bool:
        """Whether it sends events."""
        return role_of(self.planned) == SPIKING


@dataclass(frozen=True)
class Layer:
    """One row of a report.

    Attributes:
        planned: the node that gives the row its name: synapses, a neuron that no synapses drive, a mixing or a product.
        role: of that node.
        neurons: the neurons whose membranes are counted here.
        shares: whether its synapses drive neurons that are counted in another row, as a residual branch does.
        exponents: whether it is a product of powers of two, so that exponents add.
        copy_of: the layer whose weights it holds, with either sign, and which the ANN has in place of both; else "".
    """

    planned: PlannedNode
    role: str
    neurons: tuple[Neuron, ...]
    shares: bool = False
    exponents: bool = False
    copy_of: str = ""

    @property
    def name(self) -> str:
        """The node's name."""
        return self.planned.name


def layers_of(plan: Plan) -> tuple[Layer, ...]:
    """The layers in the order of execution.

    A neuron belongs to the last synapses that drive it, through pooling, Flatten, Scale, Delay or TemporalMix.

    Raises:
        UnsupportedError: a node has a type that no model has a rule for, or more ways lead to it than can be counted.
    """
    roles = {planned.name: role_of(planned) for planned in plan.nodes}
    position = {planned.name: index for index, planned in enumerate(plan.nodes)}
    owned: dict[str, list[Neuron]] = {planned.name: [] for planned in plan.nodes}
    driving: set[str] = set()
    internal = _internal(plan, roles)
    into = senders(plan, [name for name, role in roles.items() if role in (TRANSPARENT, MIXING)])
    for planned in plan.nodes:
        if roles[planned.name] not in NEURONS:
            continue
        found = into(planned)
        drivers = [source.name for source in found if roles[source.name] == SYNAPSES]
        driving.update(drivers)
        owner = max(drivers, key=position.__getitem__, default=planned.name)
        direct = {source: n for source, n in found.items() if roles[source.name] in (SPIKING, PRODUCT, BOUNDARY)}
        owned[owner].append(Neuron(planned, direct, planned.name in internal))
    sent = sent_exponents(plan)
    rows = (SYNAPSES, MIXING, PRODUCT)
    copied = copies([planned for planned in plan.nodes if roles[planned.name] == SYNAPSES])
    return tuple(
        Layer(
            planned,
            role,
            tuple(owned[planned.name]),
            shares=planned.name in driving and not owned[planned.name],
            exponents=role == PRODUCT and sent[planned.name] is not None,
            copy_of=copied.get(planned.name, ""),
        )
        for planned in plan.nodes
        if (role := roles[planned.name]) in rows or (role in NEURONS and owned[planned.name])
    )


def _internal(plan: Plan, roles: dict[str, str]) -> set[str]:
    """The analog neurons that feed neurons and nothing else."""
    outward = {
        source.name for planned in plan.nodes if roles[planned.name] not in NEURONS for source in planned.sources
    }
    return {name for name, role in roles.items() if role == ANALOG_STATE and name not in outward}


Ways = Counter[Source]
"""Senders and the number of ways from each; one that goes over an edge that closes a cycle is a sender of its own."""


def senders(plan: Plan, between: Collection[str]) -> Callable[[PlannedNode], Ways]:
    """For a node, the senders whose values reach it through nodes of ``between`` alone.

    Raises:
        UnsupportedError: there are more ways than can be counted.
    """
    through: dict[str, Ways] = {name: Counter() for name in between}

    def into(planned: PlannedNode) -> Ways:
        found: Ways = Counter()
        for source in planned.sources:
            for sender, ways in through.get(source.name, {Source(source.name): 1}).items():
                found[Source(sender.name, sender.delayed or source.delayed)] += ways
        if max(found.values(), default=0) > _MOST_WAYS:
            text = f"values reach it by more than {_MOST_WAYS} ways, which no energy model counts"
            raise UnsupportedError(str(planned), text, "Put neurons between")
        return found

    for name in plan.order_between(list(through)):
        through[name] = into(plan[name])
    return into


def uncounted(plan: Plan) -> dict[str, str]:
    """The nodes that cost nothing in every model, and why."""
    return {
        planned.name: cost_of(planned).uncounted
        for planned in plan.nodes
        if role_of(planned) in (BOUNDARY, TRANSPARENT)
    }


def copies(synapses: Iterable[PlannedNode]) -> dict[str, str]:
    """The layers whose weights stand in another one, with either sign, and the name of that one.

    It is the layer that they were copied from or, where that is gone, the first copy.  Conversion notes it in the
    nodes, see :func:`nirbridge.ir.original`.  A layer of another type or shape is no copy, whatever its note says.
    """
    alike: dict[tuple[Any, ...], list[str]] = {}
    for planned in synapses:
        key = original(planned.name, planned.node), type(planned.node), planned.input_shape, planned.output_shape
        alike.setdefault(key, []).append(planned.name)
    found: dict[str, str] = {}
    for (root, *_), names in alike.items():
        kept = root if root in names else names[0]
        found.update(dict.fromkeys((name for name in names if name != kept), kept))
    return found
