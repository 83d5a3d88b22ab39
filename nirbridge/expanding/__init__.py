"""Extension primitives → core NIR and back, so that multi-level networks reach other platforms."""

from nirbridge.expanding.core import EXACT_FOR, expand_with_notes
from nirbridge.expanding.expand import expand
from nirbridge.expanding.fuse import fuse
from nirbridge.expanding.reach import Reached, reach
from nirbridge.expanding.substeps import join_substeps, repeat_substeps
from nirbridge.expanding.targets import target_names

__all__ = [
    "EXACT_FOR",
    "Reached",
    "expand",
    "expand_with_notes",
    "fuse",
    "join_substeps",
    "reach",
    "repeat_substeps",
    "target_names",
]
