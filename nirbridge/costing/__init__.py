"""How much energy a network takes, from its recorded activity, and what sweeps of it trade for accuracy."""

from nirbridge.costing.candidates import Candidate, candidate
from nirbridge.costing.drawing import draw_frontier, draw_report
from nirbridge.costing.energy import ann_energy, count_macs, energy
from nirbridge.costing.frontier import OperatingPoint, frontier
from nirbridge.costing.meter import Meter
from nirbridge.costing.network_list import NetworkFile, distinct_names, listed, read_network_list, write_network_list
from nirbridge.costing.report import EnergyReport, LayerEnergy
from nirbridge.costing.sweep import Outcome, Sweep, collected, judge, sweep

__all__ = [
    "Candidate",
    "EnergyReport",
    "LayerEnergy",
    "Meter",
    "NetworkFile",
    "OperatingPoint",
    "Outcome",
    "Sweep",
    "ann_energy",
    "candidate",
    "collected",
    "count_macs",
    "distinct_names",
    "draw_frontier",
    "draw_report",
    "energy",
    "frontier",
    "judge",
    "listed",
    "read_network_list",
    "sweep",
    "write_network_list",
]
