"""What the metadata of a node tell of where it comes from.

Metadata carry no semantics: no runtime reads them, and a graph without them runs alike. Reports do read them.
"""

from __future__ import annotations

import nir

_COPY_OF = "copy_of"


def original(name: str, node: nir.NIRNode) -> str:
    """Of which layer of the network that was converted the node holds the weights, with either sign; else ``name``."""
    told = node.metadata.get(_COPY_OF, name)
    return told if isinstance(told, str) else name


def mark_copy(node: nir.NIRNode, of: str) -> None:
    """Notes in the node that it holds the weights of ``of``, another layer of the network that was converted."""
    node.metadata = {**node.metadata, _COPY_OF: of}
