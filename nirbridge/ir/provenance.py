"""What the metadata of a graph and its nodes tell of where they come from.

Metadata carry no semantics: no runtime reads them, and a graph without them runs alike. Reports do read them.
"""

from __future__ import annotations

import nir

from nirbridge.ir.flat import Graph

_COPY_OF = "copy_of"
_FRAMES = "inference_frames"
_MOVES = "moves"


def original(name: str, node: nir.NIRNode) -> str:
    """Of which layer of the network that was converted the node holds the weights, with either sign; else ``name``."""
    told = node.metadata.get(_COPY_OF, name)
    return told if isinstance(told, str) else name


def mark_copy(node: nir.NIRNode, of: str) -> None:
    """Notes in the node that it holds the weights of ``of``, another layer of the network that was converted."""
    node.metadata = {**node.metadata, _COPY_OF: of}


def only_moves(node: nir.NIRNode) -> bool:
    """Whether the node stands for code that computes nothing, as a slice or a channel shuffle."""
    return node.metadata.get(_MOVES) == "values"


def mark_moves(node: nir.NIRNode) -> nir.NIRNode:
    """Notes in the node that it stands for such code; gives the node."""
    node.metadata = {**node.metadata, _MOVES: "values"}
    return node


def frames_of_inference(graph: Graph) -> int | None:
    """Input steps that one inference takes, where conversion made the graph for so many; else None."""
    told = graph.metadata.get(_FRAMES)
    return None if told is None else int(told)


def mark_inference(graph: nir.NIRGraph, frames: int) -> None:
    """Notes in the graph that one inference takes ``frames`` input steps from fresh states."""
    graph.metadata = {**graph.metadata, _FRAMES: frames}
