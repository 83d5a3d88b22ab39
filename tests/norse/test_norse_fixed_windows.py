"""Windows in precision "fixed": the reference's integers, with messages in single precision and in double."""

from __future__ import annotations

import numpy as np
import pytest

import nirbridge
from nirbridge.ir import PhaseIF, TemporalMix, spec_of
from nirbridge.runtime import make_plan
from nirbridge.runtime.integer_bounds import single_precision_limit
from tests.conformance.cases import Case, line
from tests.conformance.integer_cases import DT, INTEGER_CASES

WINDOWS = [case for case in INTEGER_CASES if make_plan(case.graph(), case.dt).block > 1 or "phase" in case.name]


@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: case.name)
def test_small_and_large_inputs_mix_in_one_run(case: Case) -> None:
    plan = make_plan(case.graph(), case.dt)
    names = [*plan.names, *(f"{p.name}:v" for p in plan.nodes if spec_of(p.node).has_membrane)]
    random = np.random.default_rng(5)
    x = random.integers(-3, 7, (case.steps, 2, *plan[plan.inputs[0]].output_shape)).astype(np.float64)
    with nirbridge.compile(case.graph(), precision="fixed", dt=case.dt) as program:
        limit = program.plan.input_limit
        assert limit is not None
        half = case.steps // 2 // plan.block * plan.block
        x[half:] *= min(2.0**15, limit // 8)
        expected = program.run(x, record=names).records
    with nirbridge.compile(case.graph(), "norse", precision="fixed", dt=case.dt) as program:
        parts = [program.advance(part, record=names).records for part in (x[:half], x[half:])]
    for name in names:
        assert (np.concatenate([part[name] for part in parts]) == expected[name]).all(), name


def test_mixed_sums_beyond_single_precision() -> None:
    """2^24 + 1 is no float32."""
    graph = line(TemporalMix(np.array([[2**12, 1], [1, -1]])), shape=(1,))
    assert single_precision_limit(make_plan(graph)) < 2**12
    with nirbridge.compile(graph, "norse", precision="fixed") as program:
        assert program.run(np.array([[[2**12]], [[1]]])).output.ravel().tolist() == [2**24 + 1, 2**12 - 1]


def test_many_windows_at_once_do_not_mix() -> None:
    """Each window begins with v_init and may send again."""
    node = PhaseIF((3,), 4, 4, 2.0, 2.0, np.array([5, 9, 17]), np.array([1, 0, -1]))
    x = np.tile(np.random.default_rng(2).integers(0, 30, (4, 2, 3)), (50, 1, 1))
    with nirbridge.compile(line(node, shape=(3,)), "norse", precision="fixed", dt=DT) as program:
        found = program.run(x, record=["n0:v"])
    for values in (found.output, found.records["n0:v"]):
        windows = values.reshape(50, 4, 2, 3)
        assert (windows == windows[0]).all()
        assert windows.any()
