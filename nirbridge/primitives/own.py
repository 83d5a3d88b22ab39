"""The short way to a :class:`~nirbridge.primitives.Spec`: a neuron of which everything follows from its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np

from nirbridge.primitives.convolution import example as convolution
from nirbridge.primitives.examples import Dice, Draw, Example, behind_weights, both_ranges, chain, weights
from nirbridge.primitives.fields import Neuron, Shape
from nirbridge.primitives.magnitudes import least
from nirbridge.primitives.shaping import declared, stated
from nirbridge.primitives.spec import (
    Checks,
    Chip,
    Cost,
    Dynamics,
    Fires,
    Floats,
    Integers,
    Membrane,
    Sends,
    Shown,
    Spec,
    Step,
)

_EXAMPLES = 3


def neuron_spec(
    node: type[Neuron],
    step: Step,
    state: tuple[str, ...],
    sends: Sends,
    multiplies: int,
    integers: Integers | None,
    draw: Callable[[Dice, Shape], nir.NIRNode],
    fires: Fires | None,
    start: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Spec:
    """A neuron that acts on every element alike.

    Args:
        node: its dataclass, whose fields are the parameters of ``step``.
        step: ``(x, *state, *parameters) -> (y, *state)`` in plain operators and ``where``.
        state: names of the states, of which ``v`` is the membrane.
        sends: ``BINARY``, ``MEMBRANE``, or :class:`~nirbridge.primitives.Sends` of its levels.
        multiplies: multiplications of one neuron at every step.
        integers: its integer form, or None: quantising, chips and precision "fixed" then refuse it by name.
        draw: makes a random node of a shape, with parameters of few bits, for examples and random graphs.
        fires: the thresholds that ``v`` meets, for pictures; None for a neuron that sends no spikes.
        start: state → its value before the first step, from the node; 0 for the others.

    Returns:
        Its Spec, to be named by the entry point ``nirbridge.primitives``.
    """
    names = tuple(name for name in node.field_names() if name != "shape")
    spiking = sends.spikes

    def examples() -> list[Example]:
        drawn = [draw(Dice(np.random.default_rng(seed)), (5,)) for seed in range(_EXAMPLES)]
        back = {"fc": nir.Linear(weights(5, 4)), "n": drawn[0], "rec": nir.Linear(weights(5, 5, seed=9) / 4)}
        image = convolution(2, 3, (3, 3)), draw(Dice(np.random.default_rng(_EXAMPLES)), (3, 5, 4))
        looped = Example(f"{node.__name__} in a cycle", (node,), back, ("input fc n output", "n rec n"), (4,), 8)
        return [
            *(behind_weights(f"{node.__name__} {index}", one) for index, one in enumerate(drawn)),
            chain(f"{node.__name__} behind a convolution", node, *image, shape=(2, 7, 6), steps=8),
            *([looped] if spiking else []),
        ]

    def integer_examples() -> list[Example]:
        if integers is None:
            return []
        return both_ranges(node.__name__, draw(Dice(np.random.default_rng(0)), (5,)))

    return Spec(
        node=node,
        parameters=(),
        none_means={},
        shape=declared,
        states=stated,
        operation="step",
        by_hand="",
        dynamics=Dynamics(step=step, state=state, start=start or {}),
        sends=sends,
        fires=fires,
        window=None,
        floats=Floats(least=lambda one, dt: min(least(getattr(one, name)) for name in names)),
        integers=integers,
        cost=Cost(
            role="spiking neuron" if spiking else "analog neuron",
            membrane=lambda one: Membrane(len(state), multiplies),
            family=lambda one, mixing: node.__name__,
        ),
        chip=Chip(place="population", fixed=lambda one: f"is a {node.__name__}"),
        shown=Shown(role="binary" if sends.kind == "binary" else "multilevel" if spiking else "analog", fields=names),
        checks=Checks(),
        draws=(Draw(draw, times=2),),
        examples=examples,
        integer_examples=integer_examples,
    )
