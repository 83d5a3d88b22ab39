"""How much energy a network takes, from its recorded activity, and what sweeps of it trade for accuracy."""

from nirbridge.costing.drawing import draw_frontier, draw_report
from nirbridge.costing.energy import INPUT_KINDS, MODELS, ann_energy, count_macs, energy
from nirbridge.costing.frontier import OperatingPoint, frontier
from nirbridge.costing.report import EnergyReport, LayerEnergy

__all__ = [
    "INPUT_KINDS",
    "MODELS",
    "EnergyReport",
    "LayerEnergy",
    "OperatingPoint",
    "ann_energy",
    "count_macs",
    "draw_frontier",
    "draw_report",
    "energy",
    "frontier",
]
