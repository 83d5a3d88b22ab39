"""A description as text."""

from __future__ import annotations

from nirbridge.reports import count_text, counted, printable, shape_text, table
from nirbridge.showing.describe import Description, NodeInfo

_RIGHT = ("parameters", "levels", "steps")


def to_text(description: Description, title: str = "") -> str:
    """Nodes in the order of execution, edges, totals and problems, as plain text."""
    parts = [printable(title)] if title else []
    parts += [_nodes(description), _edges(description), _totals(description)]
    if description.problems:
        parts.append(_problems(description))
    return "\n\n".join(part for part in parts if part)


def _nodes(description: Description) -> str:
    columns = {
        "node": lambda node: node.name,
        "type": lambda node: node.type,
        "input -> output": _shapes,
        "levels": _levels,
        "steps": lambda node: node.rate,
        "parameters": lambda node: count_text(node.parameters) if node.parameters else "",
        "key parameters": lambda node: ", ".join(node.details),
    }
    if all(node.rate == "1" for node in description.nodes):
        del columns["steps"]
    rows = [[cell(node) for cell in columns.values()] for node in description.nodes]
    return table(tuple(columns), rows, _RIGHT) if rows else "no nodes"


def _shapes(node: NodeInfo) -> str:
    if node.input_shape == node.output_shape:
        return shape_text(node.output_shape)
    return f"{shape_text(node.input_shape)} -> {shape_text(node.output_shape)}"


def _levels(node: NodeInfo) -> str:
    if node.phases is not None:
        return f"{node.phases} phases"
    return "" if node.levels is None else str(node.levels)


def _edges(description: Description) -> str:
    rows = [
        (f"{edge.source} -> {edge.target}", shape_text(edge.shape), "closes a cycle: 1 step later" * edge.delayed)
        for edge in description.edges
    ]
    return table(("edge", "shape", ""), rows) if rows else "no edges"


def _totals(description: Description) -> str:
    totals = description.totals()
    closing = totals["edges_closing_a_cycle"]
    parts = [
        counted(totals["nodes"], "node"),
        counted(totals["edges"], "edge") + (f" ({closing} closing a cycle)" if closing else ""),
        counted(totals["neurons"], "neuron"),
        counted(totals["parameters"], "parameter"),
    ]
    return ", ".join(parts)


def _problems(description: Description) -> str:
    lines = [f"  {printable(str(problem))}" for problem in description.problems]
    return "\n".join(["Problems ('nirbridge check' finds all):", *lines])
