"""Chip limits: a graph on the cores of Loihi, without Lava and without a chip."""

from nirbridge.chips.costs import FIGURES, Figures, StepCost
from nirbridge.chips.limits import CHIPS, Chip, Limit
from nirbridge.chips.report import ChipReport, LayerOnChip, check_chip

__all__ = ["CHIPS", "FIGURES", "Chip", "ChipReport", "Figures", "LayerOnChip", "Limit", "StepCost", "check_chip"]
