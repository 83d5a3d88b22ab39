"""One network of a sweep with its data: what does not fit is found before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from nirbridge.errors import InputError
from nirbridge.evaluating.array_samples import ArraySamples, array_samples
from nirbridge.evaluating.array_sources import given_arrays
from nirbridge.evaluating.judges import require_scores
from nirbridge.evaluating.samples import require_labels
from nirbridge.ir import FlatGraph, flatten
from nirbridge.runtime import Array, Data, Plan, make_plan


@dataclass(frozen=True)
class Candidate:
    """A network that can be run and judged.

    Attributes:
        name: the name in the table.
        graph: the network.
        plan: the graph, planned.
        data: the samples, with their labels.
        samples: how many of them are judged.
        label: what tells it from others of its group; empty: its steps.
        group: the family it belongs to; empty: that of its neurons.
    """

    name: str
    graph: FlatGraph
    plan: Plan
    data: ArraySamples
    samples: int
    label: str = ""
    group: str = ""


def candidate(
    name: str,
    graph: nir.NIRGraph,
    x: Data,
    labels: Array,
    *,
    steps: int | None = None,
    samples: int | None = None,
    label: str = "",
    group: str = "",
    dt: float | None = None,
    scale: float = 1.0,
) -> Candidate:
    """A network with its data, checked.

    Args:
        name: the name in the table.
        graph: a network with one output of one score for each class.
        x: frames [T, B, *shape], or still images [B, *shape], which are shown at every step.
        labels: [B], class of each sample.
        steps: T for still images; not needed where the graph says it, as a phase code, a mixing over time or one that
            was converted by "qcfs" does.
        samples: use only the first so many.
        label: what tells it from others of its group, by default its steps.
        group: the family it belongs to, by default that of its neurons.
        dt: seconds per step.
        scale: a factor on the values, as 1/255.

    Raises:
        InputError: data, labels, steps or the output do not fit.
        GraphError: the graph is not valid.
    """
    if samples is not None and samples < 1:
        raise InputError("option 'samples'", f"{samples} is no number from 1 on", "Give for instance 100")
    flat = flatten(graph)
    plan = make_plan(flat, dt)
    classes = require_scores(plan)
    data = array_samples(
        "input",
        given_arrays(x),
        flat,
        plan,
        labels=np.asarray(labels),
        steps=steps,
        order="tn",
        scale=scale,
    )
    require_labels(labels, len(data), classes)
    return Candidate(name, flat, plan, data, min(samples or len(data), len(data)), label, group)
