"""graph → program."""

from __future__ import annotations

import time
import warnings
from copy import deepcopy
from typing import Any

from nirbridge.checking import find_problems, find_time_warnings
from nirbridge.checking.suspicions import cycles_close_at_one_edge, stated_shapes_match
from nirbridge.errors import GraphError, GraphWarning, Problem, UnsupportedError
from nirbridge.ir import Graph, flatten
from nirbridge.logs import logger
from nirbridge.reports import counted, seconds_text, shape_text
from nirbridge.runtime.discovery import usable_runtime
from nirbridge.runtime.host import without_host
from nirbridge.runtime.options import require_option, require_seconds
from nirbridge.runtime.plan import INTEGRATORS, RESETS, Plan, make_plan
from nirbridge.runtime.precision import FIXED, in_integers, meant_in_integers, missed_quantize
from nirbridge.runtime.program import Program
from nirbridge.runtime.protocol import Runtime, make_program
from nirbridge.runtime.support import support_problems

LOGGER = logger("runtime")


def compile(
    graph: Graph,
    runtime: str = "reference",
    *,
    dt: float | None = None,
    precision: str | None = None,
    integrator: str = "euler",
    reset: str = "value",
    **options: Any,
) -> Program:
    """Compiles ``graph`` for a runtime.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it; it is checked first.
        runtime: "reference", "norse", "lava" or a plugin's name.
        dt: seconds per step for neurons with time constants; by default the EventInput's window, else 1e-3.
        precision: "float" or "fixed", where the runtime knows it.  By default "fixed" for a graph with a ``Quantize``
            node right behind an input, where ``nirbridge.quantize`` puts it, else the runtime's first.
        integrator: how LI, LIF, CubaLI and CubaLIF leak, since files do not say.  "euler": v += dt/tau (v_leak - v +
            R i).  "exact": v = v_leak + exp(-dt/tau) (v - v_leak) + dt/tau R i, as Sinabs and Rockpool do.  "hold":
            v = v_leak + R i + exp(-dt/tau) (v - v_leak - R i), the solution for an input held over the step.
        reset: what a spike of IF, LIF and CubaLIF does: "value", v = v_reset, or "subtract",
            v -= v_threshold - v_reset.
        options: what the runtime knows besides (``device``, ``mapping``, ``timeout``); anything else is refused.

    Returns:
        A program; use it as a context manager.

    Warns:
        GraphWarning: a node declares another shape than arrives, by a slip of an exporter or of NIR's own inference;
            the shape that arrives is used.  A cycle could be closed by several edges, and their order chose.
            A delay is no whole number of steps; half steps round up.  A time constant is shorter than a step, or, where
            nothing states dt, no longer than two: was the file made for dt = 1e-4?
            EventInputs state different windows; the first one's is the step.
            The graph says "fixed" and the runtime does not know it, or its integers lie behind a Quantize that does
            not stand right behind an input.

    Raises:
        RuntimeUnavailableError: the runtime is not installed or not usable here.
        GraphError: the graph is not valid; every problem is listed.
        UnsupportedError: the runtime does not run a node, the precision or an option.
        InputError: dt is not a positive number, or integrator or reset is unknown.
    """
    began = time.perf_counter()
    found = usable_runtime(runtime)
    _require_known_options(found, precision, options)
    require_seconds("dt", dt)
    require_option("integrator", integrator, INTEGRATORS)
    require_option("reset", reset, RESETS)
    flat = flatten(graph)
    problems = find_problems(flat, dt)
    if problems:
        raise GraphError.from_problems(problems)
    said = [*stated_shapes_match(flat), *cycles_close_at_one_edge(flat), *find_time_warnings(flat, dt, integrator)]
    for text in _told(said):
        warnings.warn(text, GraphWarning, stacklevel=2)
    plan = make_plan(flat, dt, integrator, reset)
    for node in (planned.node for planned in plan.nodes):
        if hasattr(node, "weight"):  # so far the graph's own array, and what is done to that later is another graph
            node.weight = deepcopy(node.weight)
    unsupported = support_problems(found, plan)
    if unsupported:
        raise UnsupportedError.from_problems(unsupported)
    chosen = precision or _default_precision(found, plan)
    if chosen == FIXED:
        plan = in_integers(plan, asked=precision is not None)
    program = make_program(found, without_host(plan), chosen, options)
    _log(program, found.name, chosen, time.perf_counter() - began)
    LOGGER.debug("options %s, resets by %s, leaks by %s", dict(options), reset, integrator)
    return program


def _log(program: Program, runtime: str, precision: str, seconds: float) -> None:
    plan = program.plan
    LOGGER.info(
        "compiled %s for '%s' in precision '%s', %s",
        *(counted(len(plan.nodes), "node"), runtime, precision, seconds_text(seconds)),
    )
    ends = [f"'{name}' {shape_text(plan[name].output_shape)}" for name in (*plan.inputs, *plan.outputs)]
    LOGGER.debug("inputs and outputs %s, dt %g s, blocks of %d", ", ".join(ends), plan.dt, plan.block)


def _told(problems: list[Problem]) -> list[str]:
    """One text for each rule: its first problem, and how many more nodes have it."""
    by_rule: dict[str, list[Problem]] = {}
    for problem in problems:
        by_rule.setdefault(problem.rule, []).append(problem)
    return [
        str(found[0])
        + (f" {len(found) - 1} more nodes have the like: nirbridge check names them." if found[1:] else "")
        for found in by_rule.values()
    ]


def _default_precision(runtime: Runtime, plan: Plan) -> str:
    """What the graph says, else the runtime's first.

    Warns:
        GraphWarning: the graph says "fixed" and the runtime does not know it, or says it where nobody hears it.
    """
    for problem in missed_quantize(plan)[:1]:
        text = f"{problem} Until then the graph, which stores integers, runs in '{runtime.precisions[0]}'."
        warnings.warn(text, GraphWarning, stacklevel=3)
    if not meant_in_integers(plan):
        return runtime.precisions[0]
    if FIXED in runtime.precisions:
        return FIXED
    text = f"graph: its Quantize node asks for precision 'fixed', which runtime '{runtime.name}' has not."
    warnings.warn(f"{text} It runs in '{runtime.precisions[0]}'.", GraphWarning, stacklevel=3)
    return runtime.precisions[0]


def _require_known_options(runtime: Runtime, precision: str | None, options: dict[str, Any]) -> None:
    where = f"runtime '{runtime.name}'"
    if precision is not None and precision not in runtime.precisions:
        raise UnsupportedError(
            where, f"precision {precision!r} is not among {', '.join(runtime.precisions)}", "Choose another precision"
        )
    unknown = sorted(set(options) - runtime.options)
    if unknown:
        known = ", ".join(sorted({"dt", "precision", "integrator", "reset", *runtime.options}))
        raise UnsupportedError(where, f"option {unknown[0]!r} is unknown", f"It knows {known}")
