"""Which nodes and which neurons are drawn, where not all of them can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nirbridge.errors import InputError
from nirbridge.ir import spec_of
from nirbridge.reports import count_text
from nirbridge.runtime import Array, Plan, membrane_of, sends_spikes

MOST_NODES = 6
"""Panels that are drawn of themselves, where no node is asked for."""


@dataclass(frozen=True)
class Chosen:
    """The neurons of a panel.

    Attributes:
        numbers: in C order of the node's shape, rising.
        words: which they are; empty where they are all.
    """

    numbers: Array
    words: str


def spiking_nodes(plan: Plan) -> tuple[str, ...]:
    """The nodes that make spikes, and the inputs that bring events; what only hands spikes on is none."""
    return tuple(
        planned.name
        for planned in plan.nodes
        if spec_of(planned.node).sends.spikes or (planned.name in plan.inputs and sends_spikes(plan, planned.name))
    )


def default_record(plan: Plan) -> tuple[str, ...]:
    """Spiking neurons spread over the network, at most ``MOST_NODES``; the outputs where there are none."""
    found = [name for name in spiking_nodes(plan) if name not in plan.inputs]
    if len(found) > MOST_NODES:
        found = [found[round(place)] for place in np.linspace(0, len(found) - 1, MOST_NODES)]
    return tuple(found) or plan.outputs


def split_names(record: Sequence[str], plan: Plan) -> tuple[str, ...]:
    """Names of nodes and membranes, of which several may stand in one text with commas between.

    A text that is a node's name as a whole stays whole: names from files may hold commas.
    """
    names: list[str] = []
    for text in [record] if isinstance(record, str) else record:
        known = text in plan.names or membrane_of(text) in plan.names
        names += [text] if known else [part.strip() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(names))


def choose_neurons(name: str, count: int, asked: Sequence[int] | None, most: int) -> Chosen:
    """The neurons that are asked for, else all, else up to ``most`` spread evenly.

    Raises:
        InputError: the node has none of those that are asked for.
    """
    if asked is not None:
        numbers = np.unique(np.asarray(asked, dtype=np.int64))
        numbers = numbers[(numbers >= 0) & (numbers < count)]
        if not numbers.size:
            found = f"node '{name}' has none of them, its neurons are 0 to {count - 1}"
            raise InputError("option 'neurons'", found, "Choose others, or leave the option away")
        return Chosen(numbers, f"{number_words(numbers)} of {count_text(count)} neurons")
    if count <= most:
        return Chosen(np.arange(count), "")
    numbers = np.arange(0, count, -(-count // most))
    return Chosen(numbers, f"{len(numbers)} of {count_text(count)} neurons, evenly spread")


def busiest(activity: Array, most: int, doing: str) -> Chosen:
    """Where not all can be drawn, the ``most`` neurons with the largest ``activity``, the lower number first."""
    count = len(activity)
    if count <= most:
        return Chosen(np.arange(count), "")
    first = np.argsort(-activity, kind="stable")[:most]
    return Chosen(np.sort(first), f"the {most} of {count_text(count)} neurons that {doing}")


def number_words(numbers: Array) -> str:
    """Rising numbers as runs, "0–63, 70", those in the middle left out where they are many."""
    breaks = np.flatnonzero(np.diff(numbers) > 1) + 1
    runs = [(run[0], run[-1]) for run in np.split(numbers, breaks)]
    texts = [f"{first}" if first == last else f"{first}–{last}" for first, last in runs]
    return ", ".join(texts if len(texts) <= 4 else [*texts[:3], f"… {texts[-1]}"])
