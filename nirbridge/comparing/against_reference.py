"""Runs one graph on several runtimes and judges each of them by the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nirbridge.arrays import as_array
from nirbridge.comparing.exactness import is_dyadic
from nirbridge.comparing.judging import Judge
from nirbridge.comparing.results import Comparison, NodeComparison
from nirbridge.errors import InputError, NirbridgeError, RuntimeUnavailableError, UnsupportedError
from nirbridge.ir import FlatGraph, Graph, flatten, is_input
from nirbridge.runtime import Array, Data, Plan, Program, compile, find_runtime, runtime_names
from nirbridge.runtime.precision import FIXED

REFERENCE = "reference"
TOLERANCE = 1e-4


def compare(
    graph: Graph,
    x: Data,
    runtimes: Sequence[str] | None = None,
    tolerance: float | None = None,
    dt: float | None = None,
    integrator: str = "euler",
    reset: str = "value",
    precision: str | None = None,
    **options: Any,
) -> Comparison:
    """Records every node of ``graph`` on each runtime and compares it with the reference.

    Spikes are compared one by one: where all parameters and data are short dyadic numbers none may differ, else at
    most 1 in 10^4 of a node.  Analog values may differ by 1e-4 of the node's largest value; they are judged up to
    the first differing spike of their sample, because everything after it follows from that spike.  What hands spikes
    on (an Output, a Flatten, a Delay, a max pool) is judged as they are.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it.
        x: [T, B, *shape], or a dictionary by input name.
        runtimes: names; one that cannot run the graph is then an error.  By default all that are installed, and one
            that cannot is listed in ``skipped``.
        tolerance: share of spikes that may differ, and relative difference of analog values, instead of the above.
        dt: seconds per step, as for :func:`nirbridge.compile`.
        integrator: "euler", "exact" or "hold", as for :func:`nirbridge.compile`.
        reset: "value" or "subtract", as for :func:`nirbridge.compile`.
        precision: "float" or "fixed", as for :func:`nirbridge.compile`; all runtimes get the reference's.
        options: what runtimes know besides, as ``device`` or ``mapping``; each gets those that it knows.

    Raises:
        InputError: the data do not fit, or there is no runtime to compare with.
        GraphError: the graph is not valid.
        RuntimeUnavailableError: a runtime that was asked for is missing.
        UnsupportedError: a runtime that was asked for does not run the graph, or none knows an option.
    """
    names = [name for name in dict.fromkeys(runtime_names() if runtimes is None else runtimes) if name != REFERENCE]
    if runtimes is not None and not names:
        raise InputError("option 'runtimes'", "names no runtime besides the reference", "Add one, for instance norse")
    if tolerance is not None and not (math.isfinite(tolerance) and 0 <= tolerance <= 1):
        raise InputError("option 'tolerance'", f"{tolerance} is not within 0..1", "Give a share, for instance 1e-4")
    own = {name: _known(name, options) for name in names}
    for option in sorted(set(options).difference(*own.values())):
        raise UnsupportedError(f"option '{option}'", f"is known to none of {', '.join(names)}", "Leave it away")
    how: dict[str, Any] = {"dt": dt, "integrator": integrator, "reset": reset, "precision": precision}
    flat = flatten(graph)
    with compile(flat, REFERENCE, **how) as program:
        plan = program.plan
        expected, _ = _record(program, x, _recordable(plan))
    if plan.input_limit is not None:
        how["precision"] = FIXED  # the graph may have said so; a runtime without it is another question
    blocks = len(_arrays(x)[0]) // plan.block
    exact = plan.input_limit is not None or is_dyadic(plan, _arrays(x))
    limits = (0.0 if exact else TOLERANCE, TOLERANCE) if tolerance is None else (tolerance, tolerance)
    found, skipped, unrecorded = _run_all(
        flat, x, {name: {**how, **own[name]} for name in names}, plan, required=runtimes is not None
    )
    if not found:
        reasons = "; ".join(f"{name}: {reason}".rstrip(".") for name, reason in skipped.items()) or "none is installed"
        raise InputError("runtimes", f"none besides the reference runs this graph here ({reasons})", "Install one")
    return Comparison(
        runtimes=tuple(found),
        nodes=_judge_all(plan, expected, found, limits, blocks),
        exact=exact,
        tolerance=limits[0],
        analog_tolerance=limits[1],
        skipped=skipped,
        unrecorded=unrecorded,
    )


def _known(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that the runtime knows; one that cannot be loaded is reported when it shall run."""
    try:
        known = find_runtime(name).options
    except RuntimeUnavailableError:
        return {}
    return {option: value for option, value in options.items() if option in known}


def _arrays(x: Data) -> list[Array]:
    return [as_array("input", array) for array in (x.values() if isinstance(x, Mapping) else [x])]


def _recordable(plan: Plan) -> list[str]:
    """All nodes but inputs, which hold what was given, and outputs, which come by themselves."""
    ends = {*plan.inputs, *plan.outputs}
    return [p.name for p in plan.nodes if p.name not in ends and not is_input(p.node)]


def _run_all(
    flat: FlatGraph, x: Data, how: Mapping[str, Mapping[str, Any]], plan: Plan, required: bool
) -> tuple[dict[str, dict[str, Array]], dict[str, str], dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, Array]] = {}
    skipped: dict[str, str] = {}
    unrecorded: dict[str, tuple[str, ...]] = {}
    for name, options in how.items():
        try:
            program = compile(flat, name, **options)
        except (RuntimeUnavailableError, UnsupportedError) as error:
            if required:
                raise
            skipped[name] = "; ".join(str(problem) for problem in error.problems)
            continue
        with program:
            found[name], refused = _record(program, x, _recordable(plan))
        if refused:
            unrecorded[name] = refused
    return found, skipped, unrecorded


def _record(program: Program, x: Data, names: list[str]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Outputs and records of all nodes, without those that the runtime refuses to record by name."""
    wanted, refused = list(names), []
    while True:
        try:
            result = program.run(x, record=wanted)
            break
        except (UnsupportedError, InputError) as error:
            named = [name for name in wanted if _is_named(error, name)]
            if not named:
                raise
            refused += named
            wanted = [name for name in wanted if name not in named]
    return {**result.records, **program.plan.output_by_name(result.output)}, tuple(refused)


def _is_named(error: NirbridgeError, name: str) -> bool:
    return any(problem.where == f"record '{name}'" for problem in error.problems)


def _judge_all(
    plan: Plan,
    expected: dict[str, Array],
    found: dict[str, dict[str, Array]],
    limits: tuple[float, float],
    blocks: int,
) -> tuple[NodeComparison, ...]:
    judges = {runtime: Judge(runtime, *limits, plan, blocks) for runtime in found}
    return tuple(
        judges[runtime].judge(planned, expected[planned.name], np.asarray(values[planned.name]))
        for planned in plan.nodes
        for runtime, values in found.items()
        if planned.name in values and planned.name in expected
    )
