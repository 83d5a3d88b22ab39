"""What a node is to an energy model: its Spec's cost."""

from __future__ import annotations

from nirbridge.errors import UnsupportedError
from nirbridge.ir import find_spec
from nirbridge.primitives.spec import Cost, Synapses
from nirbridge.runtime import PlannedNode

BOUNDARY, SYNAPSES, SPIKING, ANALOG_STATE, MIXING, PRODUCT, TRANSPARENT = (
    "boundary",
    "synapses",
    "spiking neuron",
    "analog neuron",
    "mixing over time",
    "product",
    "transparent",
)
NEURONS = (SPIKING, ANALOG_STATE)


def cost_of(planned: PlannedNode) -> Cost:
    """What exactly this type costs.

    Raises:
        UnsupportedError: no energy model has a rule for the type.
    """
    spec = find_spec(type(planned.node))
    if spec is None:
        found = f"no energy model has a rule for the type {type(planned.node).__name__}"
        raise UnsupportedError(str(planned), found, "Replace the node, or register its Spec")
    return spec.cost


def role_of(planned: PlannedNode) -> str:
    """The role of exactly this type.

    Raises:
        UnsupportedError: no energy model has a rule for the type.
    """
    return cost_of(planned).role


def synapses_of(planned: PlannedNode) -> Synapses | None:
    """How many synapses a layer has, and how many of them an event meets; None for a node that is none."""
    rule = cost_of(planned).synapses
    return None if rule is None else rule(planned.node, planned.input_shape, planned.output_shape)
