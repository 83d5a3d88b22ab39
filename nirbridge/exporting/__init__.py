"""torch modules → graphs.

One file per family: ``layers``, ``pooling``, ``normalisation``, ``functions``, ``neurons`` and ``norse`` each hold a
table from exact types to the functions that lower them.  To support another layer, add one function to one table.
"""

from nirbridge.exporting.checkpoints import load_weights
from nirbridge.exporting.export import export
from nirbridge.exporting.loading import load_module

__all__ = ["export", "load_module", "load_weights"]
