"""Who still needs a value: decides what may be overwritten and what may be forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from nirbridge.runtime import Plan, PlannedNode
from nirbridge_norse.stages import Stage


@dataclass(frozen=True)
class Segment:
    """One node outside of cycles, or a whole cycle, with all that a run needs to know about it.

    Attributes:
        nodes: the nodes.
        loop: whether it is a cycle.
        name: of the (last) node.
        run: its stage's run.
        sources: names of the senders, whose values add up.
        borrowed: nodes whose values are the memory of its input; None where others read that memory or own it.
        done: names whose value nothing after this segment reads.
    """

    nodes: tuple[PlannedNode, ...]
    loop: bool
    name: str
    run: Callable[[Tensor, bool], Tensor]
    sources: tuple[str, ...]
    borrowed: tuple[str, ...] | None
    done: tuple[str, ...]

    def may_overwrite(self, kept: frozenset[str]) -> bool:
        """Whether nobody reads the input's memory afterwards, given the names that are kept."""
        return self.borrowed is not None and kept.isdisjoint(self.borrowed)


def make_segments(plan: Plan, stages: Mapping[str, Stage]) -> tuple[Segment, ...]:
    """The plan's segments in execution order."""
    last_reader = _last_readers(plan)
    readers = Counter(source.name for planned in plan.nodes for source in planned.sources)
    return tuple(
        Segment(
            nodes=nodes,
            loop=nodes[-1].loop is not None,
            name=nodes[-1].name,
            run=stages[nodes[-1].name].run,
            sources=tuple(source.name for source in nodes[-1].sources),
            borrowed=_borrowed(plan, nodes[-1], stages, readers),
            done=tuple(name for name, reader in last_reader.items() if reader == nodes[-1].name),
        )
        for nodes in plan.segments()
    )


def _borrowed(
    plan: Plan, planned: PlannedNode, stages: Mapping[str, Stage], readers: Counter[str]
) -> tuple[str, ...] | None:
    """Follows views back to the node that made the memory."""
    if len(planned.sources) != 1:
        # A sum of several values is new memory; a node without sources is an input, whose memory is the caller's.
        return () if planned.sources else None
    chain: list[str] = []
    name = planned.sources[0].name
    while readers[name] == 1:
        chain.append(name)
        source = plan[name]
        if not stages[name].view or source.loop is not None or len(source.sources) > 1:
            return tuple(chain)
        if not source.sources:
            return None
        name = source.sources[0].name
    return None


def maker_in_place(plan: Plan, name: str, stages: Mapping[str, Stage]) -> str | None:
    """The node outside of cycles whose memory the value of ``name`` is, where it works in place; else None."""
    planned = plan[name]
    while stages[planned.name].view and planned.loop is None and len(planned.sources) == 1:
        planned = plan[planned.sources[0].name]
    return planned.name if stages[planned.name].in_place and planned.loop is None and planned.sources else None


def _last_readers(plan: Plan) -> dict[str, str]:
    """For each node, the last node of the last segment that reads its value."""
    last: dict[str, str] = {}
    for nodes in plan.segments():
        for planned in nodes:
            last[planned.name] = nodes[-1].name
            last.update({source.name: nodes[-1].name for source in planned.sources if source.name in last})
    return last
