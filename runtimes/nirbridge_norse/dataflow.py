"""Who still needs a value: decides what may be overwritten and what may be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nirbridge.runtime import Plan, PlannedNode
from nirbridge_norse.stages import Stage


@dataclass(frozen=True)
class Segment:
    """One node outside of cycles, or a whole cycle, with all that a run needs to know about it.

    Attributes:
        nodes: the nodes.
        loop: whether it is a cycle.
        name: of the (last) node.
        sources: names of the senders, whose values add up.
        overwrites: whether nobody reads the memory of its input afterwards.
        done: names whose value nothing after this segment reads.
        waits: whether its one reader takes its values few frames at a time, so that it computes them only then.
        plain: whether it computes at once, what one sender brings.
    """

    nodes: tuple[PlannedNode, ...]
    loop: bool
    name: str
    sources: tuple[str, ...]
    overwrites: bool
    done: tuple[str, ...]
    waits: bool
    plain: bool


def make_segments(plan: Plan, stages: Mapping[str, Stage], kept: frozenset[str]) -> tuple[Segment, ...]:
    """The plan's segments in execution order, for a run that keeps the values of some nodes to its end."""
    last_reader = _last_readers(plan)
    waiting = _waiting(plan, stages, kept)
    found = []
    for nodes in plan.segments():
        last = nodes[-1]
        borrowed = _borrowed(plan, last, stages)
        found.append(
            Segment(
                nodes=nodes,
                loop=last.loop is not None,
                name=last.name,
                sources=tuple(source.name for source in last.sources),
                overwrites=borrowed is not None and kept.isdisjoint(borrowed),
                done=tuple(name for name, reader in last_reader.items() if reader == last.name and name not in kept),
                waits=last.name in waiting,
                plain=last.loop is None and len(last.sources) == 1 and last.name not in waiting,
            )
        )
    return tuple(found)


def _borrowed(plan: Plan, planned: PlannedNode, stages: Mapping[str, Stage]) -> tuple[str, ...] | None:
    """The nodes whose values are the memory of its input; None where others read that memory or own it."""
    if len(planned.sources) != 1:
        # A sum of several values is new memory; a node without sources is an input, whose memory is the caller's.
        return () if planned.sources else None
    chain: list[str] = []
    name = planned.sources[0].name
    while len(plan.readers[name]) == 1:
        chain.append(name)
        source = plan[name]
        if not stages[name].view or source.loop is not None or len(source.sources) > 1:
            return tuple(chain)
        if not source.sources:
            return None
        name = source.sources[0].name
    return None


def _waiting(plan: Plan, stages: Mapping[str, Stage], kept: frozenset[str]) -> frozenset[str]:
    """The nodes between whose values and a reader that pulls stand none but such nodes, each with one reader.

    Behind what computes rows in all steps of a window the reader has the same window, and they are products alone,
    whose factor is that of all places.
    """
    found: set[str] = set()
    windows: dict[str, int] = {}
    for planned in reversed(plan.nodes):
        reads_alone = planned.loop is None and len(planned.sources) == 1
        if reads_alone and (planned.name in found or stages[planned.name].pulls):
            (source,) = planned.sources
            sender = plan[source.name]
            able = sender.loop is None and sender.sources and stages[source.name].waits
            stage, sending = stages[planned.name], stages[source.name]
            window = stage.window if stage.pulls else windows.get(planned.name)  # type: ignore[attr-defined]
            able = able and sending.steps in (0, window)
            if able and len(plan.readers[source.name]) == 1 and source.name not in kept:
                found.add(source.name)
                if window and sending.factor is not None and sending.factor.numel() == sending.factor.shape[:1].numel():
                    windows[source.name] = window
    return frozenset(found)


def byte_senders(plan: Plan, stages: Mapping[str, Stage]) -> list[str]:
    """The windows whose spikes are read, through what hands them on, by what takes them as bytes alone."""
    takes: dict[str, bool] = {}
    for planned in reversed(plan.nodes):
        alone = planned.loop is None and len(planned.sources) == 1
        stage, read = stages[planned.name], plan.readers[planned.name]
        handed = bool(read) and all(takes.get(reader.name, False) for reader in read)
        takes[planned.name] = alone and stage.reads_bytes and (handed or not stage.hands_bytes)
    return [
        name for name, read in plan.readers.items()
        if stages[name].pulls and read and all(takes[reader.name] for reader in read)
    ]  # fmt: skip


def _last_readers(plan: Plan) -> dict[str, str]:
    """For each node, the last node of the last segment that reads its value."""
    last: dict[str, str] = {}
    for nodes in plan.segments():
        for planned in nodes:
            last[planned.name] = nodes[-1].name
            last.update({source.name: nodes[-1].name for source in planned.sources if source.name in last})
    return last
