"""Extension primitives → core NIR and back, so that multi-level networks reach every NIR platform."""

from nirbridge.expanding.expand import EXACT_FOR, expand, expand_with_notes
from nirbridge.expanding.fuse import fuse
from nirbridge.expanding.substeps import join_substeps, repeat_substeps

__all__ = ["EXACT_FOR", "expand", "expand_with_notes", "fuse", "join_substeps", "repeat_substeps"]
