"""Precision "fixed" on every runtime that declares it: the reference's integers, spikes and membranes alike."""

from __future__ import annotations

import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import spec_of
from nirbridge.runtime import find_runtime, make_plan, support_problems
from tests.conformance.cases import CASES, Case
from tests.conformance.cases import data as float_data
from tests.conformance.integer_cases import INTEGER_CASES, STATE, data
from tests.conformance.test_conformance import JUDGED, UNUSABLE, as_dict, assert_same

IN_FIXED = [name for name in JUDGED if "fixed" in find_runtime(name).precisions]


def everything(case: Case) -> list[str]:
    """All nodes, and the membranes of all neurons."""
    plan = make_plan(case.graph(), case.dt)
    return [*plan.names, *(f"{p.name}:v" for p in plan.nodes if spec_of(p.node).has_membrane)]


@pytest.mark.parametrize("runtime", IN_FIXED)
@pytest.mark.parametrize("case", INTEGER_CASES, ids=lambda case: case.name)
def test_agreement_in_integers(case: Case, runtime: str) -> None:
    if runtime in UNUSABLE:
        pytest.skip(UNUSABLE[runtime])
    if support_problems(find_runtime(runtime), make_plan(case.graph(), case.dt)):
        with pytest.raises(UnsupportedError, match=f"'{runtime}'"):
            nirbridge.compile(case.graph(), runtime=runtime, precision="fixed", dt=case.dt)
        return
    x, names = data(case), everything(case)
    with nirbridge.compile(case.graph(), precision="fixed", dt=case.dt) as reference:
        expected = reference.run(x, record=names)
    with nirbridge.compile(case.graph(), runtime=runtime, precision="fixed", dt=case.dt) as program:
        found = program.run(x, record=names)
        assert_same(as_dict(found.output), as_dict(expected.output), "run")
        assert_same(found.records, expected.records, "records")
        again = as_dict(program.run(x).output)
        assert_same(again, as_dict(expected.output), "without records")
        program.reset()
        block = program.plan.block
        cut = max(5 // block, 1) * block
        halves = [{name: values[part] for name, values in x.items()} for part in (slice(cut), slice(cut, None))]
        parts = [as_dict(program.advance(half).output) for half in halves]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in again}
        assert_same(joined, as_dict(expected.output), "in pieces")


def test_every_case_sends_integers_within_24_bits() -> None:
    saturated = 0
    for case in INTEGER_CASES:
        with nirbridge.compile(case.graph(), precision="fixed", dt=case.dt) as program:
            result = program.run(data(case), record=everything(case))
        for name, values in (*result.records.items(), *as_dict(result.output).items()):
            assert (values == np.rint(values)).all(), (case.name, name)
            assert not name.endswith(":v") or np.abs(values).max() <= STATE, (case.name, name)
            saturated += name.endswith(":v") and bool(np.abs(values).max() == STATE)
    assert saturated >= 3


def membranes(case: Case) -> list[str]:
    return [name for name in everything(case) if name.endswith(":v")]


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("case", [case for case in CASES if membranes(case)], ids=lambda case: case.name)
def test_membranes_in_float(case: Case, runtime: str) -> None:
    """Both record the same membranes in precision "float"; recording them changes no output."""
    names = membranes(case)
    if runtime in UNUSABLE:
        pytest.skip(UNUSABLE[runtime])
    x = float_data(case)
    with nirbridge.compile(case.graph(), runtime, dt=case.dt) as program:
        found = program.run(x, record=names)
        plain = as_dict(program.run(x).output)
    with nirbridge.compile(case.graph(), dt=case.dt) as program:
        expected = program.run(x, record=names).records
    for name, values in expected.items():
        np.testing.assert_allclose(found.records[name], values, rtol=1e-5, atol=1e-5)  # norse rounds to float32
    assert_same(as_dict(found.output), plain, "output")


def test_membrane_is_the_one_of_the_equation() -> None:
    """v = u - lane_reset, by hand: u = 0.5 v + x, one-hot lanes of 3 and 6 with subtraction."""
    from nirbridge.ir import MultiLevelLIF
    from tests.conformance.cases import line

    graph = line(MultiLevelLIF.one_hot((1,), 2, 3.0, 0.5), shape=(1,))
    x = np.array([2.0, 3.0, 9.0, -4.0, 0.0]).reshape(5, 1, 1)
    for precision, expected in (("float", [2, 1, 3.5, -2.25, -1.125]), ("fixed", [2, 1, 3, -3, -1])):
        with nirbridge.compile(graph, precision=precision) as program:
            assert program.run(x, record="n0:v").records["n0:v"].ravel().tolist() == expected


@pytest.mark.parametrize("runtime", ["reference", *IN_FIXED])
def test_names_of_membranes_are_checked(runtime: str) -> None:
    case = next(case for case in INTEGER_CASES if case.name == "recurrent")
    if runtime in UNUSABLE or support_problems(find_runtime(runtime), make_plan(case.graph())):
        pytest.skip(f"{runtime} does not run the graph here")
    with nirbridge.compile(case.graph(), runtime, precision="fixed") as program:
        x = data(case)
        with pytest.raises(InputError, match="'fc:v'.*has no membrane"):
            program.run(x, record=["fc:v"])
        with pytest.raises(InputError, match="'nose:v'.*no node has this name"):
            program.run(x, record=["nose:v"])
        with pytest.raises(InputError, match="holds .*\\.5, and precision 'fixed' takes integers"):
            program.run({name: values + 0.5 for name, values in x.items()})
        with pytest.raises(InputError, match="magnitudes above 8388607"):
            program.run({name: values + 2.0**23 for name, values in x.items()})
