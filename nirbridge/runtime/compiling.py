"""graph → program."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import nir

from nirbridge.checking import find_problems
from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.checking.suspicions import stated_shapes_match
from nirbridge.errors import GraphError, GraphWarning, InputError, Problem, UnsupportedError
from nirbridge.ir import flatten
from nirbridge.passes.find_integers import stores_integers
from nirbridge.runtime.discovery import usable_runtime
from nirbridge.runtime.integer_bounds import bound_problems, integer_input_limit
from nirbridge.runtime.plan import INTEGRATORS, RESETS, Plan, make_plan
from nirbridge.runtime.program import Program, require_option
from nirbridge.runtime.protocol import Runtime
from nirbridge.runtime.support import support_problems

FIXED = "fixed"


def compile(
    graph: nir.NIRGraph,
    runtime: str = "reference",
    *,
    dt: float | None = None,
    precision: str | None = None,
    integrator: str = "euler",
    reset: str = "to_value",
    **options: Any,
) -> Program:
    """Compiles ``graph`` for a runtime.

    Args:
        graph: the graph; it is checked first.
        runtime: "reference", "norse", "lava" or a plugin's name.
        dt: seconds per step for neurons with time constants; by default the EventInput's window, else 1e-3.
        precision: "float" or "fixed", where the runtime knows it.  By default "fixed" for a graph whose synapses and
            thresholds are stored as integers, as ``nirbridge.quantize`` stores them, else the runtime's first.
        integrator: how LI, LIF, CubaLI and CubaLIF leak, since files do not say.  "euler": v += dt/tau (v_leak - v +
            R i).  "exact": v = v_leak + exp(-dt/tau) (v - v_leak) + dt/tau R i, as Sinabs and Rockpool do.  "hold":
            v = v_leak + R i + exp(-dt/tau) (v - v_leak - R i), the solution for an input held over the step.
        reset: what a spike of IF, LIF and CubaLIF does: "to_value", v = v_reset, or "subtract",
            v -= v_threshold - v_reset.
        options: what the runtime knows besides (``device``, ``mapping``, ``timeout``); anything else is refused.

    Returns:
        A program; use it as a context manager.

    Warns:
        GraphWarning: a node declares another shape than arrives, by a slip of an exporter or of NIR's own inference;
            the shape that arrives is used.

    Raises:
        RuntimeUnavailableError: the runtime is not installed or not usable here.
        GraphError: the graph is not valid; every problem is listed.
        UnsupportedError: the runtime does not run a node, the precision or an option.
        InputError: dt is not a positive number, or integrator or reset is unknown.
    """
    found = usable_runtime(runtime)
    _require_known_options(found, precision, options)
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise InputError("option 'dt'", f"{dt} is not a positive number of seconds", "Give for instance 1e-3")
    require_option("integrator", integrator, INTEGRATORS)
    require_option("reset", reset, RESETS)
    problems = find_problems(graph)
    if problems:
        raise GraphError.from_problems(problems)
    for warning in stated_shapes_match(flatten(graph)):
        warnings.warn(str(warning), GraphWarning, stacklevel=2)
    plan = make_plan(graph, dt, integrator, reset)
    unsupported = support_problems(found, plan)
    if unsupported:
        raise UnsupportedError.from_problems(unsupported)
    precision = precision or _default_precision(found, plan)
    return found.compile(_in_integers(plan) if precision == FIXED else plan, precision, options)


def _default_precision(runtime: Runtime, plan: Plan) -> str:
    integers = FIXED in runtime.precisions and stores_integers(planned.node for planned in plan.nodes)
    return FIXED if integers and not _fixed_problems(plan) else runtime.precisions[0]


def _in_integers(plan: Plan) -> Plan:
    """The plan with the limit of its inputs in precision "fixed".

    Raises:
        UnsupportedError: it holds what integers cannot say; every node is listed with its reason.
    """
    problems = _fixed_problems(plan)
    if problems:
        raise UnsupportedError.from_problems(problems)
    return replace(plan, input_limit=integer_input_limit(plan))


def _fixed_problems(plan: Plan) -> list[Problem]:
    nodes = {planned.name: planned.node for planned in plan.nodes}
    return fixed_point_problems(nodes, plan.dt) or bound_problems(plan)


def _require_known_options(runtime: Runtime, precision: str | None, options: dict[str, Any]) -> None:
    where = f"runtime '{runtime.name}'"
    if precision is not None and precision not in runtime.precisions:
        raise UnsupportedError(where, f"precision {precision!r} is not among {', '.join(runtime.precisions)}")
    unknown = sorted(set(options) - runtime.options)
    if unknown:
        known = ", ".join(sorted({"dt", "precision", "integrator", "reset", *runtime.options}))
        raise UnsupportedError(where, f"option {unknown[0]!r} is unknown", f"It knows {known}")
