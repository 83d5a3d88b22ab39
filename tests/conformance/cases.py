"""The cases ship with the package, so that authors of runtimes have them: see :mod:`nirbridge.conformance.cases`."""

from collections.abc import Callable

import nir

from nirbridge.conformance.cases import BATCH, CASES, Case, Graph, data, line, net
from nirbridge.primitives.examples import STEPS, dyadic, positive, weights


def partial_line(node: nir.NIRNode) -> Callable[[], Graph]:
    """A graph that feeds ``node`` through a linear layer."""
    return lambda: line(nir.Linear(weights(5, 4)), node, shape=(4,))


__all__ = [
    "BATCH",
    "CASES",
    "STEPS",
    "Case",
    "Graph",
    "data",
    "dyadic",
    "line",
    "net",
    "partial_line",
    "positive",
    "weights",
]
