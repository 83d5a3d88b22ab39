"""How much energy a network takes, from its recorded activity, and which operating points are worth having."""

from nirbridge.costing.drawing import draw_frontier, draw_report
from nirbridge.costing.energy import ann_energy, count_macs, energy
from nirbridge.costing.frontier import OperatingPoint, frontier
from nirbridge.costing.meter import Meter
from nirbridge.costing.report import EnergyReport, LayerEnergy

__all__ = [
    "EnergyReport",
    "LayerEnergy",
    "Meter",
    "OperatingPoint",
    "ann_energy",
    "count_macs",
    "draw_frontier",
    "draw_report",
    "energy",
    "frontier",
]
