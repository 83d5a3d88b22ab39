"""Graph → one Lava Process for a program of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nirbridge.errors import InputError, Problem, UnsupportedError
from nirbridge.ir import Graph, spec_of
from nirbridge.runtime import MEMBRANE, Plan, compile
from nirbridge_lava.ends import find_ends
from nirbridge_lava.forking import making_processes
from nirbridge_lava.report import MODELS
from nirbridge_lava.wiring import make_network

if TYPE_CHECKING:
    from nirbridge_lava.embedded.network import GraphProcess


def network(
    graph: Graph,
    *,
    precision: str | None = None,
    dt: float | None = None,
    integrator: str = "euler",
    reset: str = "value",
    first_step: int = 1,
    restart: int | None = None,
    name: str = "network",
) -> GraphProcess:
    """A graph as one hierarchical Lava Process, as netx of lava-dl makes of its files, for every node that Lava runs.

    Its ports connect to any Processes, and the program around it is compiled and run by a RunConfig of the caller's:
    ``Loihi2SimCfg`` or ``Loihi1SimCfg`` with ``select_tag="floating_pt"``, in precision "fixed" "fixed_pt"; Lava
    refuses the other tag.  What it sends equals what ``runtime="lava"`` gives, ``latency`` steps later.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it.
        precision: as for :func:`nirbridge.compile`.
        dt: likewise.
        integrator: likewise.
        reset: likewise.
        first_step: Lava step, which count from 1, at which the first frame comes in: 2 where one synapse of the user's
            lies before.  Until then nothing moves, so biases and leaks count from that frame on.
        restart: frames after which all states start afresh, for samples of so many steps that follow each other; None
            for never.
        name: of the Process.

    Raises:
        InputError: an option has a value that it cannot have.
        UnsupportedError: the graph works on windows, so that one step of it has no output of its own, and every node
            that does is named; or as for :func:`nirbridge.compile`, with all of its errors and warnings.
    """
    for option, value in (("first_step", first_step), ("restart", 1 if restart is None else restart)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"option '{option}'", f"{value!r} is not a whole number from 1 on", "Give 1, or leave it out"
            )
    with compile(graph, "lava", dt=dt, precision=precision, integrator=integrator, reset=reset) as program:
        plan, cells, chosen = program.lowered, program.cells, program.precision
    _require_streaming(plan)
    membranes = [f"{p.name}{MEMBRANE}" for p in plan.nodes if p.loop is None and spec_of(p.node).has_membrane]
    wired = make_network(plan, cells, membranes, "processes", MODELS[chosen])
    with making_processes():
        from nirbridge_lava.embedded.network import GraphProcess

        return GraphProcess(name, wired, find_ends(plan), first_step, restart)


def _require_streaming(plan: Plan) -> None:
    found = "takes whole windows of steps, and a Process gets one step at a time"
    advice = "Use nirbridge.compile(graph, 'lava')"
    rates = {p.name: p.rate for p in plan.nodes}
    changing = [p for p in plan.nodes if p.window > 1 or any(rates[source.name] != p.rate for source in p.sources)]
    problems = [Problem(str(p), found, advice) for p in changing]
    if problems:
        raise UnsupportedError.from_problems(problems)
