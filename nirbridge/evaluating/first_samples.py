"""The first samples of a data set as frames that a graph takes: to calibrate or to look at, in place of all."""

from __future__ import annotations

from typing import Any

from nirbridge.evaluating.arguments import require_counts, require_reading
from nirbridge.evaluating.opening import open_samples
from nirbridge.evaluating.samples import all_bad
from nirbridge.ir import Graph
from nirbridge.runtime import Array, make_plan


def first_samples(
    graph: Graph,
    data: Any,
    samples: int = 64,
    steps: int | None = None,
    *,
    order: str | None = None,
    scale: float = 1.0,
    dt: float | None = None,
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The first ``samples`` of ``data``, read as :func:`nirbridge.evaluate` reads them.

    Args:
        graph: the network that takes them.
        data: what :func:`nirbridge.evaluate` takes.
        samples: how many, or all where there are no more.
        steps: T, as there.
        order: "nt" or "tn", where the axes of an array do not say.
        scale: a factor on the values of arrays, as 1/255.
        dt: seconds per step.

    Returns:
        Frames [T, B, *shape] by input name, and what a user must know about how they were read, a line each.

    Raises:
        InputError, FileError: data or options do not fit.
    """
    require_counts(samples=samples, steps=steps)
    require_reading(order, scale)
    found = open_samples(data, None, graph, make_plan(graph, dt), steps, {"order": order, "scale": scale})
    batch = found.part(0, min(samples, len(found)))()
    if not len(batch):
        raise all_bad(*next(iter(batch.bad.items())))
    bad = [f"sample {number} is left out: {why}" for number, why in batch.bad.items()]
    return dict(batch.x), (*found.notes, *bad)
