"""Runs the cases on a runtime and compares every value with the reference."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.conformance import cases, integer_cases, random_graphs
from nirbridge.conformance.cases import Case
from nirbridge.errors import GraphWarning, UnsupportedError
from nirbridge.runtime import Array, Program, compile, find_runtime, make_plan, usable_runtime

FLOAT, FIXED = "float", "fixed"


@dataclass(frozen=True)
class Verdict:
    """What a runtime made of a case.

    Attributes:
        case: name of the case.
        kinds: the node types that the case is there for.
        runtime: the runtime.
        precision: "float" or "fixed".
        state: "exact"; "refused" at compile time, which is honest; "differs" in a value; "fails" with another error.
        detail: the reason, empty where it is exact.
        restores: whether its states were put back, too; a runtime need not give them.
    """

    case: str
    kinds: tuple[str, ...]
    runtime: str
    precision: str
    state: str
    detail: str = ""
    restores: bool = False

    @property
    def conforms(self) -> bool:
        """Whether it is exact, or refused."""
        return self.state in ("exact", "refused")


def judge_runtime(runtime: str, precisions: tuple[str, ...] | None = None) -> Iterator[Verdict]:
    """Judges every case in every precision that the runtime has.

    Precision "fixed" runs the integer cases; a node type without one is asked for with its case of real numbers, which
    a runtime refuses with the reason.

    Raises:
        RuntimeUnavailableError: the runtime is unknown or not usable here.
        UnsupportedError: the runtime has not one of ``precisions``.
    """
    found = usable_runtime(runtime)
    for precision in precisions or ():
        if precision not in found.precisions:
            known = ", ".join(found.precisions)
            raise UnsupportedError(
                f"runtime '{runtime}'", f"precision {precision!r} is not among {known}", "Choose one"
            )
    of_reals, of_integers = cases.all_cases(), integer_cases.all_cases()
    in_integers = {kind for case in of_integers for kind in case.kinds}
    for precision in found.precisions if precisions is None else precisions:
        listed = list(of_reals)
        if precision == FIXED:
            listed = [*of_integers, *(case for case in of_reals if not in_integers.intersection(case.kinds))]
        for case in listed:
            yield judge(case, runtime, precision)


def judge_random_graphs(runtime: str, count: int) -> Iterator[Verdict]:
    """Judges the first ``count`` random graphs of :mod:`nirbridge.conformance.random_graphs`.

    Single precision cannot hold all of their values, so a runtime that knows the option ``dtype`` is given "float64".

    Raises:
        RuntimeUnavailableError: the runtime is unknown or not usable here.
    """
    options = {"dtype": "float64"} if "dtype" in usable_runtime(runtime).options else {}
    for seed in range(count):
        graph = random_graphs.random_graph(seed)
        case = Case(f"random graph {seed}", (), lambda graph=graph: graph, dt=random_graphs.DT)  # type: ignore[misc]
        yield judge(case, runtime, FLOAT, random_graphs.random_data(graph, seed), **options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Cases go beyond what a phase code spans on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* which the code spans", GraphWarning)
        yield


def judge(
    case: Case, runtime: str, precision: str = FLOAT, x: Mapping[str, Array] | None = None, **options: Any
) -> Verdict:
    """Compares outputs and all recorded nodes with the reference: in one run, in another, and in pieces.

    Args:
        case: the case.
        runtime: the runtime.
        precision: "float" or "fixed".
        x: data by input name, by default the case's own.
        options: what the runtime is compiled with besides.
    """
    kinds = tuple(kind.__name__ for kind in case.kinds)

    def verdict(state: str, detail: str = "") -> Verdict:
        restores = state == "exact" and program.gives_states
        return Verdict(case.name, kinds, runtime, precision, state, " ".join(detail.split()), restores)

    how: dict[str, Any] = {"dt": case.dt, "precision": precision}
    try:
        program = compile(case.graph(), runtime, **how, **options)
    except UnsupportedError as error:
        return verdict("refused", error.problems[0].found)
    except Exception as error:  # a runtime under test may raise anything, and the suite goes on
        return verdict("fails", f"compile raised {type(error).__name__}: {error}")
    x = x or (integer_cases if precision == FIXED else cases).data(case)
    names = list(make_plan(case.graph(), case.dt).names)
    with compile(case.graph(), "reference", **how) as reference, _quiet():
        expected = _values(reference.run(x, record=names), reference)
    try:
        with program, _quiet():
            found = _values(program.run(x, record=names), program)
            again = _values(program.run(x), program)
            pieces = in_pieces(program, x)
    except Exception as error:
        return verdict("fails", f"run raised {type(error).__name__}: {error}")
    for label, values in (("one run", found), ("a second run", again), ("pieces", pieces)):
        wrong = difference(values, {name: expected[name] for name in values})
        if wrong:
            return verdict("differs", f"{wrong} in {label}")
    return verdict("exact")


def in_pieces(program: Program, x: Mapping[str, Array]) -> dict[str, Array]:
    """A first block, then the rest, with the state carried over; step by step where the graph allows it.

    Between the two the program runs something else and is put back, where its runtime gives states.
    """
    program.reset()
    block, steps = program.plan.block, len(next(iter(x.values())))
    parts = [_values(program.advance({name: values[:block] for name, values in x.items()}), program)]
    if program.gives_states:
        _go_astray(program, {name: values[-block:] for name, values in x.items()})
    if program.plan.stepwise:
        for t in range(block, steps):
            output = program.step({name: values[t] for name, values in x.items()})
            outputs = program.plan.output_by_name(output)
            parts.append({name: np.asarray(values)[None] for name, values in outputs.items()})
    elif steps > block:
        parts.append(_values(program.advance({name: values[block:] for name, values in x.items()}), program))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _go_astray(program: Program, x: Mapping[str, Array]) -> None:
    """Two steps on other data, from which the state of before brings it back."""
    state = program.state()
    for _ in range(2):
        program.advance({name: 1 - values for name, values in x.items()})
    program.restore(state)


def difference(found: Mapping[str, Array], expected: Mapping[str, Array]) -> str:
    """The first node whose shape or values differ, in words; empty where all are equal."""
    for name, values in expected.items():
        given = np.asarray(found[name])
        if given.shape != values.shape:
            return f"'{name}' has shape {given.shape} instead of {values.shape}"
        wrong = int((given != values).sum())
        if wrong:
            return f"'{name}': {wrong} of {values.size} values differ"
    return ""


def _values(result: Any, program: Program) -> dict[str, Array]:
    return {**result.records, **program.plan.output_by_name(result.output)}


def declared_but_refused(runtime: str, verdicts: list[Verdict]) -> list[str]:
    """Node types that a runtime lists as supported and yet refuses in every case."""
    declared = {kind.__name__ for kind in find_runtime(runtime).supported}
    ran = {kind for verdict in verdicts if verdict.state == "exact" for kind in verdict.kinds}
    judged = {kind for verdict in verdicts for kind in verdict.kinds}
    return sorted((declared & judged) - ran)
