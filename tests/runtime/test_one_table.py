"""What a node type is stands in one place: no second list beside a table, and the tables cover every type."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.conformance.cases import line, net
from nirbridge.conformance.integer_cases import INTEGER_CASES, data
from nirbridge.costing.layers import layers_of
from nirbridge.ir import PRIMITIVES, Aggregate, MultiLevelLIF, Place, Product, Quantize
from nirbridge.primitives import BUILT_IN
from nirbridge.runtime import entering_exponents, find_runtime, make_plan, message_cost, sent_exponents
from nirbridge_lava.fixed_lowering import FIXED_LOWERING as LAVA_FIXED
from nirbridge_lava.lowering import LOWERING as LAVA
from nirbridge_norse.fixed.lowering import FIXED_LOWERING as NORSE_FIXED
from nirbridge_norse.lowering import LOWERING as NORSE
from nirbridge_reference.fixed_lowering import FIXED_LOWERING as REFERENCE_FIXED
from nirbridge_reference.lowering import LOWERING as REFERENCE

TABLES = {
    "reference": (REFERENCE, REFERENCE_FIXED),
    "norse": (NORSE, NORSE_FIXED),
    "lava": (LAVA, LAVA_FIXED),
}
ROOT = Path(nirbridge.__file__).parents[1]
RUNNABLE = {spec.node for spec in BUILT_IN}
NAMES = {kind.__name__ for kind in RUNNABLE} | {"ProductNode"}


@pytest.mark.parametrize("name", TABLES)
def test_a_runtime_supports_what_its_tables_lower(name: str) -> None:
    table, fixed = TABLES[name]
    assert find_runtime(name).supported == table.kinds == RUNNABLE
    assert fixed.kinds == RUNNABLE - {Quantize}  # the host rounds data; elsewhere integers refuse it
    assert isinstance(type(find_runtime(name)).supported, property)


def test_what_is_no_primitive_has_no_integer_form() -> None:
    (problem,) = fixed_point_problems({"n": object.__new__(nir.NIRNode)}, 1e-3)
    assert "no integer form of NIRNode" in problem.found


def _lists(tree: ast.AST) -> Iterator[tuple[frozenset[str], int]]:
    """Tuples and sets of three node types or more; a table's keys belong to their values and are none."""
    for found in ast.walk(tree):
        if isinstance(found, (ast.Tuple, ast.Set, ast.List)) and len(found.elts) > 2:
            names = [getattr(element, "attr", getattr(element, "id", "")) for element in found.elts]
            if set(names) <= NAMES:
                yield frozenset(names), found.lineno


def test_no_list_of_types_stands_twice() -> None:
    """Lists that agree today disagree tomorrow; what other platforms read is each one's own, whatever others read."""
    seen: dict[frozenset[str], str] = {}
    folders = (ROOT / "nirbridge", *(ROOT / "runtimes").glob("nirbridge_*"))
    assert len(PRIMITIVES) > 20
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        if path.parent.name == "targets":
            continue
        for names, number in _lists(ast.parse(path.read_text())):
            here = f"{path.relative_to(ROOT)}:{number} {sorted(names)}"
            assert names not in seen, f"{here} is {seen[names]} again"
            seen[names] = here


@pytest.mark.parametrize("case", INTEGER_CASES, ids=lambda case: case.name)
def test_messages_are_what_the_table_says(case: object) -> None:
    """Whatever a node sends is 0 or 2^e with an exponent of its row."""
    graph = case.graph()  # type: ignore[attr-defined]
    exponents = {n: e for n, e in sent_exponents(make_plan(graph, case.dt)).items() if e is not None}  # type: ignore[attr-defined]
    with nirbridge.compile(graph, dt=case.dt) as program:  # type: ignore[attr-defined]
        records = program.run(data(case), record=list(exponents)).records  # type: ignore[arg-type]
    for name, values in records.items():
        assert set(np.unique(values)) <= {0.0, *(2.0**e for e in exponents[name])}


def _gate(first: MultiLevelLIF, second: MultiLevelLIF) -> nir.NIRGraph:
    nodes = {
        "fc": nir.Linear(np.ones((3, 4))),
        "a": first,
        "a.at": Place((3,), (6,), 0, 3),
        "b": second,
        "b.at": Place((3,), (6,), 3, 6),
        "m": Product((6,), 2),
        "out": nir.Linear(np.ones((2, 3))),
    }
    return net(nodes, "input fc a a.at m out output", "fc b b.at m", shape=(4,))


def _lanes(*values: float) -> MultiLevelLIF:
    weight = np.array(values)
    return MultiLevelLIF((3,), 1.0, 1.0, 0.0, np.arange(1.0, len(values) + 1), weight, weight, 0.0, "subtract", ">")


@pytest.mark.parametrize(
    ("first", "second", "exponents"),
    [
        (_lanes(1), _lanes(1), (0,)),
        (_lanes(1, 2, 4), _lanes(1, 2), (0, 1, 2, 3)),
        (_lanes(0.5, 1), _lanes(0.25), (-3, -2)),
        (_lanes(1, 3), _lanes(1), None),
        (_lanes(1, 2), _lanes(-1), None),
    ],
)
def test_energy_and_runtimes_agree_about_products(
    first: MultiLevelLIF, second: MultiLevelLIF, exponents: tuple[int, ...] | None
) -> None:
    plan = make_plan(_gate(first, second))
    assert sent_exponents(plan)["m"] == exponents
    (layer,) = [layer for layer in layers_of(plan) if layer.name == "m"]
    assert layer.exponents is (exponents is not None)
    cost = "multiply" if exponents is None else "add" if exponents == (0,) else "shift"
    assert message_cost(entering_exponents(plan["out"], sent_exponents(plan))) == cost


def test_sums_are_any_number() -> None:
    nodes = {"a": nir.Threshold(np.ones(4)), "b": nir.Threshold(np.ones(4)), "agg": Aggregate(np.eye(4))}
    plan = make_plan(net(nodes, "input a agg output", "input b agg", shape=(4,)))
    assert entering_exponents(plan["agg"], sent_exponents(plan)) is None
    alone = make_plan(line(nir.Threshold(np.ones(4)), nir.Delay(np.zeros(4)), Aggregate(np.eye(4)), shape=(4,)))
    assert entering_exponents(alone["n2"], sent_exponents(alone)) == (0,)
