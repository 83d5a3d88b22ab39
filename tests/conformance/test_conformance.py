"""Every node type on every runtime, against the reference.

A runtime that says it does not support a graph must refuse it at compile time, naming the node; one that takes it must
be exact: outputs and every recorded node, in one run, step by step, and in pieces.
"""

from __future__ import annotations

import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.judging import in_pieces
from nirbridge.errors import UnsupportedError
from nirbridge.ir import PRIMITIVES
from nirbridge.runtime import find_runtime, make_plan, runtime_names, support_problems
from tests.conformance.cases import CASES, Case, data

JUDGED = [name for name in runtime_names() if name != "reference"]
UNUSABLE = {name: state.reason for name, state in nirbridge.runtimes().items() if not state.usable}


def recordable(case: Case) -> list[str]:
    """The names of all nodes of the case's plan."""
    return list(make_plan(case.graph()).names)


def as_dict(output: object) -> dict[str, np.ndarray]:
    """Outputs by name, however many there are."""
    return output if isinstance(output, dict) else {"output": output}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], where: str) -> None:
    """Shapes and every value."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape, f"{where}, {name}"
        wrong = np.flatnonzero((found[name] != values).ravel())
        assert wrong.size == 0, f"{where}, {name}: {wrong.size} of {values.size} values differ"


def test_every_primitive_has_a_case() -> None:
    covered = {kind.__name__ for case in CASES for kind in case.kinds}
    assert covered == set(PRIMITIVES)


def test_every_case_does_something() -> None:
    """A case whose output never changes could not tell two runtimes apart."""
    for case in CASES:
        with nirbridge.compile(case.graph(), dt=case.dt, precision="float") as program:
            for name, values in as_dict(program.run(data(case)).output).items():
                assert len(np.unique(values)) > 1, (case.name, name)


@pytest.mark.parametrize("runtime", JUDGED)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_agreement(case: Case, runtime: str) -> None:
    if runtime in UNUSABLE:
        pytest.skip(UNUSABLE[runtime])
    problems = support_problems(find_runtime(runtime), make_plan(case.graph()))
    if problems:
        with pytest.raises(UnsupportedError) as error:
            nirbridge.compile(case.graph(), runtime=runtime)
        assert all(f"'{runtime}'" in line for line in str(error.value).splitlines())
        return
    x, names = data(case), recordable(case)
    with nirbridge.compile(case.graph(), dt=case.dt, precision="float") as reference:
        expected = reference.run(x, record=names)
    with nirbridge.compile(case.graph(), runtime=runtime, dt=case.dt, precision="float") as program:
        found = program.run(x, record=names)
        assert_same(as_dict(found.output), as_dict(expected.output), "run")
        assert_same(found.records, expected.records, "records")
        again = as_dict(program.run(x).output)
        assert_same(again, as_dict(expected.output), "second run")
        assert_same(in_pieces(program, x), as_dict(expected.output), "in pieces")


@pytest.mark.parametrize("runtime", ["reference", *JUDGED])
def test_support_is_stated_by_name(runtime: str) -> None:
    """The declared table of a runtime is what it runs: every supported type has a case that it takes."""
    supported = find_runtime(runtime).supported
    plans = [make_plan(case.graph()) for case in CASES]
    taken = [plan for plan in plans if not support_problems(find_runtime(runtime), plan)]
    run = {type(planned.node) for plan in taken for planned in plan.nodes}
    assert supported <= run
