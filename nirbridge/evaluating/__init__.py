"""Graphs on whole data sets: decisions, accuracy, spikes, energy, and what sweeps trade for accuracy."""

from nirbridge.evaluating.call import evaluate
from nirbridge.evaluating.candidates import Candidate, candidate
from nirbridge.evaluating.costs import Cost
from nirbridge.evaluating.evaluation import Evaluation
from nirbridge.evaluating.first_samples import first_samples
from nirbridge.evaluating.network_list import (
    NetworkFile,
    distinct_names,
    listed,
    read_network_list,
    write_network_list,
)
from nirbridge.evaluating.sweep import Outcome, Sweep, collected, judge, sweep

__all__ = [
    "Candidate",
    "Cost",
    "Evaluation",
    "NetworkFile",
    "Outcome",
    "Sweep",
    "candidate",
    "collected",
    "distinct_names",
    "evaluate",
    "first_samples",
    "judge",
    "listed",
    "read_network_list",
    "sweep",
    "write_network_list",
]
