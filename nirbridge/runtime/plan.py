"""What a runtime gets: a flat graph in execution order, with shapes, time steps and delays resolved.

Every runtime lowers the same plan, so none has to think about nesting, cycles, shapes or windows again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any

import nir

from nirbridge.errors import GraphError, Problem
from nirbridge.ir import (
    FlatGraph,
    Graph,
    Shape,
    Shapes,
    Source,
    find_topology,
    flatten,
    infer_shapes,
    label,
    time_step,
)
from nirbridge.passes.find_reset_amounts import find_reset_amounts
from nirbridge.passes.infer_rates import block_of, infer_rates, window_of
from nirbridge.passes.integrate_exactly import integrate_exactly
from nirbridge.passes.resolve_phase_pooling import resolve_phase_pooling
from nirbridge.passes.widen_parameters import widen_parameters

INTEGRATORS = ("euler", "exact", "hold")
"""How a core neuron leaks over a step: forward Euler; by exp(-dt/tau), the input at once; the same, the input held."""
RESETS = ("value", "subtract")
"""What a spike of a core neuron does: v = v_reset, or v -= v_threshold - v_reset."""


@dataclass(frozen=True)
class PlannedNode:
    """One node with all that its lowering needs.

    Attributes:
        name: the flat name, by which it is recorded.
        node: the primitive, its floating-point parameters in double precision.
        sources: the edges into it, whose values add up.
        input_shape: shape of what enters, without time and batch.
        output_shape: shape of what leaves.
        rate: output steps per step of the graph's input (a PhaseEncode multiplies it by its phases).
        window: input steps of the node that belong together, 1 for a node that works step by step.
        loop: number of the cycle it belongs to, or None.
        reset_amount: what a spike of an IF, LIF or CubaLIF takes off its membrane; None where it sets v_reset.
    """

    name: str
    node: nir.NIRNode
    sources: tuple[Source, ...]
    input_shape: Shape
    output_shape: Shape
    rate: Fraction
    window: int
    loop: int | None
    reset_amount: Any = None

    def __str__(self) -> str:
        return label(self.name, self.node)


@dataclass(frozen=True)
class Plan:
    """A graph that is ready to lower.

    Attributes:
        nodes: in execution order; the nodes of a cycle stand together.
        inputs: names of the input nodes.
        outputs: names of the output nodes.
        dt: seconds per step for neurons with time constants.
        block: steps of graph input that a run must be a multiple of, 1 unless a node works on windows.
        input_limit: in precision "fixed" the largest magnitude of input, all of which are integers; None in "float".
        whole: the graph's own plan, where the host does a part of it (:mod:`nirbridge.runtime.host`); else None.
    """

    nodes: tuple[PlannedNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dt: float
    block: int
    input_limit: int | None = None
    whole: Plan | None = None

    def __getitem__(self, name: str) -> PlannedNode:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, PlannedNode]:
        return {planned.name: planned for planned in self.nodes}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all nodes."""
        return tuple(planned.name for planned in self.nodes)

    @cached_property
    def readers(self) -> dict[str, tuple[PlannedNode, ...]]:
        """For each node the nodes that read it, in the order of execution; one of several edges stands there again."""
        found: dict[str, list[PlannedNode]] = {name: [] for name in self.names}
        for planned in self.nodes:
            for source in planned.sources:
                found[source.name].append(planned)
        return {name: tuple(read) for name, read in found.items()}

    @cached_property
    def stepwise(self) -> bool:
        """Whether one input step gives one output step, as ``Program.step`` needs."""
        return self.block == 1 and all(self[name].rate == 1 for name in self.outputs)

    def output_by_name(self, output: Any) -> dict[str, Any]:
        """What a program gave, a run or a step, by the name of its output where there is one, too."""
        return output if isinstance(output, dict) else {self.outputs[0]: output}

    def order_between(self, names: Collection[str]) -> tuple[str, ...]:
        """``names``, each behind those of them that lead to it; edges that close a cycle among them do not count.

        A walk in this order meets each node once, however many paths lead through it.
        """
        inside = set(names)
        edges = [(source.name, name) for name in names for source in self[name].sources if source.name in inside]
        return find_topology(list(names), edges, ()).order

    def segments(self) -> Iterator[tuple[PlannedNode, ...]]:
        """The nodes in runs: one node outside of cycles at a time, and each cycle whole."""
        numbered = (
            (planned.loop if planned.loop is not None else -1 - i, planned) for i, planned in enumerate(self.nodes)
        )
        for _, group in groupby(numbered, key=lambda pair: pair[0]):
            yield tuple(planned for _, planned in group)


def make_plan(graph: Graph, dt: float | None = None, integrator: str = "euler", reset: str = "value") -> Plan:
    """Resolves a graph that :func:`nirbridge.check` finds no error in.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it.
        dt: seconds per step; by default the window of an EventInput, else 1 ms.
        integrator: "euler", "exact" or "hold", see :func:`~nirbridge.passes.integrate_exactly.integrate_exactly`.
        reset: "value" or "subtract", see
            :func:`~nirbridge.passes.find_reset_amounts.find_reset_amounts`.

    Raises:
        GraphError: the graph's structure, shapes or windows do not fit; the error lists every problem.
    """
    flat = flatten(graph)
    shapes, shape_problems = infer_shapes(flat)
    flat, pool_problems = resolve_phase_pooling(flat)
    rates, rate_problems = infer_rates(flat)
    problems = [*flat.problems, *shape_problems, *pool_problems, *rate_problems]
    if not problems and len(shapes) < len(flat.nodes):
        lost = next(name for name in flat.nodes if name not in shapes)
        problems.append(Problem(label(lost, flat.nodes[lost]), "no data reach it", "Connect it to an Input"))
    if problems:
        raise GraphError.from_problems(problems)
    step = time_step(flat.nodes.values(), dt)
    flat = widen_parameters(flat)
    if integrator != "euler":
        flat = integrate_exactly(flat, step, impulses=integrator == "exact")
    amounts = find_reset_amounts(flat) if reset == "subtract" else {}
    return Plan(
        nodes=_planned(flat, shapes, rates, amounts),
        inputs=flat.inputs,
        outputs=flat.outputs,
        dt=step,
        block=block_of(flat, rates),
    )


def _planned(
    flat: FlatGraph, shapes: dict[str, Shapes], rates: dict[str, Fraction], amounts: dict[str, Any]
) -> tuple[PlannedNode, ...]:
    return tuple(
        PlannedNode(
            name=name,
            node=flat.nodes[name],
            sources=flat.incoming[name],
            input_shape=shapes[name].input,
            output_shape=shapes[name].output,
            rate=rates[name],
            window=window_of(flat.nodes[name]),
            loop=flat.topology.loop.get(name),
            reset_amount=amounts.get(name),
        )
        for name in flat.topology.order
    )
