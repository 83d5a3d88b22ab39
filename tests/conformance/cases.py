"""The cases ship with the package, so that authors of runtimes have them: see :mod:`nirbridge.conformance.cases`."""

from nirbridge.conformance.cases import (
    BATCH,
    CASES,
    STEPS,
    Case,
    Graph,
    data,
    dyadic,
    line,
    net,
    partial_line,
    positive,
    weights,
)

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
