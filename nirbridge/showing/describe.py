"""What there is to show of a graph, as plain data; it never fails on a broken graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from math import prod
from typing import Any

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, Graph, Shape, find_spec, flatten, infer_shapes
from nirbridge.showing.parameters import count_parameters, key_parameters, level_count, stored_parameters
from nirbridge.showing.roles import NEURON_ROLES, role_of


@dataclass(frozen=True)
class NodeInfo:
    """One node.

    Attributes:
        name: its flat name, ``outer.inner`` inside a nested graph.
        type: the primitive.
        role: the family it belongs to, one of :data:`nirbridge.showing.roles.ROLES`.
        input_shape: shape of what enters, without time and batch; None where it cannot be told.
        output_shape: shape of what leaves.
        levels: lanes that its spikes can come from, of a binary neuron 1, None for what does not spike.
        phases: steps in a window of a phase-coded node, else None.
        parameters: numbers it holds, as they are stored.
        rate: steps it sends for each step of the graph's input, "1" for most.
        cycle: whether it stands in a cycle.
        details: its key parameters in short, in the order to show them.
        fields: every stored parameter, by name: the value, or shape, dtype and range of a large one.
    """

    name: str
    type: str
    role: str
    input_shape: Shape | None
    output_shape: Shape | None
    levels: int | None
    phases: int | None
    parameters: int
    rate: str
    cycle: bool
    details: tuple[str, ...]
    fields: dict[str, Any]


@dataclass(frozen=True)
class EdgeInfo:
    """One edge; ``delayed`` where it closes a cycle and so brings the previous step's value."""

    source: str
    target: str
    delayed: bool
    shape: Shape | None


@dataclass(frozen=True)
class Description:
    """A graph as plain data.

    Attributes:
        nodes: in the order of execution.
        edges: by their sources, in the order of execution.
        inputs: names of the nodes through which data enter.
        outputs: names of the nodes through which data leave.
        problems: what is wrong with structure and shapes; ``nirbridge.check`` finds more.
    """

    nodes: tuple[NodeInfo, ...]
    edges: tuple[EdgeInfo, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def parameters(self) -> int:
        """Numbers that all nodes hold together."""
        return sum(node.parameters for node in self.nodes)

    @property
    def neurons(self) -> int:
        """Places in the outputs of all neuron nodes whose shape is known."""
        return sum(prod(n.output_shape) for n in self.nodes if n.role in NEURON_ROLES and n.output_shape is not None)

    def totals(self) -> dict[str, int]:
        """How much there is of everything."""
        return {
            "nodes": len(self.nodes),
            "edges": len(self.edges),
            "edges_closing_a_cycle": sum(edge.delayed for edge in self.edges),
            "neurons": self.neurons,
            "parameters": self.parameters,
        }

    def to_dict(self) -> dict[str, Any]:
        """The description for JSON; an unknown shape is null."""
        return {
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "nodes": [asdict(node) for node in self.nodes],
            "edges": [asdict(edge) for edge in self.edges],
            "totals": self.totals(),
            "problems": [problem.to_dict() for problem in self.problems],
        }


def describe(graph: Graph) -> Description:
    """All that :func:`to_text` and :func:`to_svg` show of ``graph``; a shape that cannot be inferred is None."""
    flat = flatten(graph)
    shapes, problems = infer_shapes(flat)
    order = flat.topology
    rates = _rates(flat)
    nodes = []
    for name in order.order:
        node = flat.nodes[name]
        found = shapes.get(name)
        nodes.append(
            NodeInfo(
                name=name,
                type=type(node).__name__,
                role=role_of(node),
                input_shape=found.input if found else None,
                output_shape=found.output if found else None,
                levels=level_count(node),
                phases=getattr(node, "phases", None),
                parameters=count_parameters(node),
                rate=str(rates.get(name, 1)),
                cycle=name in order.loop,
                details=key_parameters(node),
                fields=stored_parameters(node),
            )
        )
    edges = [
        EdgeInfo(source, target, delayed, shapes[source].output if source in shapes else None)
        for (source, target), delayed in zip(flat.edges, order.delayed, strict=True)
    ]
    place = {name: i for i, name in enumerate(order.order)}
    edges.sort(key=lambda edge: (place[edge.source], place[edge.target]))
    return Description(tuple(nodes), tuple(edges), flat.inputs, flat.outputs, (*flat.problems, *problems))


def _rates(flat: FlatGraph) -> dict[str, Fraction]:
    """Imported on use: only graphs with windows need what the runtimes know about rates."""
    specs = [find_spec(type(node)) for node in flat.nodes.values()]
    if None in specs or not any(spec.window for spec in specs if spec is not None):
        return {}
    from nirbridge.passes.infer_rates import infer_rates

    return infer_rates(flat)[0]
