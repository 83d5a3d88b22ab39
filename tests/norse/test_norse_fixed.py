"""Precision "fixed": the compiled passes against the torch steps, and where float64 stands in for integers."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, Quantize, spec_of
from nirbridge.runtime import make_plan
from nirbridge.runtime.integer_bounds import single_precision_limit
from nirbridge_norse.fixed.neuron import FixedModule
from nirbridge_norse.fixed.parameters import fixed_parameters
from nirbridge_norse.setting import make_setting
from nirbridge_norse.stages import Neuron
from tests.conformance.cases import line, net
from tests.conformance.integer_cases import DT, INTEGER_CASES, whole

NEURONS = {
    f"{case.name}": planned
    for case in INTEGER_CASES
    for planned in make_plan(case.graph(), case.dt).nodes
    if "saturating" not in case.name and planned.name == "n1" and spec_of(planned.node).dynamics is not None
    if planned.output_shape == (5,)
}


@pytest.mark.parametrize("largest", [50, 10**6])
@pytest.mark.parametrize("name", NEURONS)
def test_compiled_pass_equals_torch_steps(name: str, largest: int) -> None:
    planned = NEURONS[name]
    p = fixed_parameters(planned, make_setting(DT, dtype="float64"))
    x = torch.from_numpy(np.random.default_rng(0).integers(-largest, largest, (40, 6, 5)).astype(np.float64))
    compiled, stepped = (Neuron(FixedModule(p)) for _ in range(2))
    assert compiled.module.compiled
    stepped.module.compiled = False
    kept = x.clone()
    for part in (x[:7], x[7:]):
        assert torch.equal(compiled.run(part, scratch=False), stepped.run(part, scratch=False))
    assert torch.equal(x, kept)
    assert compiled.state is not None
    assert stepped.state is not None
    assert torch.equal(compiled.state.v, stepped.state.v)
    assert torch.equal(compiled.state.i, stepped.state.i)


def test_sums_near_the_limit_of_exact_integers() -> None:
    """Sums that float32 or a rounded product would miss by one."""
    weight = np.array([[2**28 - 1, 2**28 + 1, -(2**27) + 1, 3]])
    x = np.array([2**23 - 1, -(2**23) + 1, 2**22 + 1, 5]).reshape(1, 1, 4)
    graph = line(nir.Linear(weight), shape=(4,))
    expected = sum(int(w) * int(v) for w, v in zip(weight[0], x.ravel(), strict=True))
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime, precision="fixed") as program:
            assert int(program.run(x).output.item()) == expected


def test_sums_that_may_leave_the_exact_integers_limit_the_input() -> None:
    with nirbridge.compile(line(nir.Linear(np.full((1, 8), 2**30)), shape=(8,)), "norse", precision="fixed") as program:
        assert program.plan.input_limit == 2**20 - 1
        with pytest.raises(InputError, match="magnitudes above 1048575"):
            program.run(np.full((1, 1, 8), 2**20))
    with pytest.raises(UnsupportedError, match=r"'n0' \(Linear\): its sums can reach 2\^\d+"):
        nirbridge.compile(line(nir.Linear(np.full((1, 8), 2**50)), shape=(8,)), "norse", precision="fixed")


def test_only_float64_holds_the_integers() -> None:
    graph = line(nir.Linear(whole(3, 4)), shape=(4,))
    with pytest.raises(InputError, match="'float32' is not among 'float64'"):
        nirbridge.compile(graph, "norse", precision="fixed", dtype="float32")


def test_data_made_integers_run_in_fixed_by_default() -> None:
    for more, limit in (((Quantize((4,)),), 2**23 - 1), ((), None)):
        for runtime in ("reference", "norse"):
            with nirbridge.compile(line(*more, nir.Linear(whole(3, 4)), shape=(4,)), runtime) as program:
                assert program.plan.input_limit == limit


def _mixed() -> nir.NIRGraph:
    """Delays inside and outside of a cycle, and a node that only late values reach."""
    nodes = {
        "fc": nir.Linear(whole(4, 4)),
        "act": MultiLevelLIF.one_hot((4,), 3, 100, 0.5),
        "rec": nir.Affine(whole(4, 4, seed=9), whole(4)),
        "late": nir.Delay(np.array(2 * DT)),
        "sum": nir.IF(np.ones(4), np.full(4, 50), np.zeros(4)),
        "wait": nir.Delay(np.array(3 * DT)),
        "out": nir.Linear(whole(3, 4, seed=5)),
    }
    return net(nodes, "input fc act sum out output", "act rec late act", "fc wait out", shape=(4,))


def test_small_and_large_inputs_mix_in_one_run() -> None:
    """Messages change between single and double precision from call to call; the integers do not."""
    random = np.random.default_rng(3)
    x = random.integers(-3, 4, (12, 2, 4)).astype(np.float64)
    x[4:8] *= 2.0**20
    names = [*make_plan(_mixed(), DT).names, "act:v", "sum:v"]
    with nirbridge.compile(_mixed(), precision="fixed", dt=DT) as program:
        expected = program.run(x, record=names).records
    assert 3 <= single_precision_limit(make_plan(_mixed(), DT)) < 2**20
    with nirbridge.compile(_mixed(), "norse", precision="fixed", dt=DT) as program:
        parts = [program.advance(x[t : t + 4], record=names).records for t in (0, 4, 8)]
        assert np.abs(expected["fc"]).max() > 2**24
        for name in names:
            assert (np.concatenate([part[name] for part in parts]) == expected[name]).all(), name
        small = program.run(x[:4], record=names).records
        assert all((small[name] == expected[name][:4]).all() for name in names)


def test_messages_are_single_precision_only_while_sums_are_exact_in_it() -> None:
    graph = line(nir.Linear(np.array([[2**12, 2**12]])), shape=(2,))
    plan = make_plan(graph)
    assert single_precision_limit(plan) == 2**11 - 1  # 2 · 2^12 · (2^11 - 1) < 2^24
    for value in (2**11 - 1, 2**11, 2**12 + 1, 2**23 - 1):
        x = np.array([[[value, 1 - value % 2]]])
        with nirbridge.compile(graph, "norse", precision="fixed") as program:
            assert program.run(x).output.item() == 2**12 * int(x.sum())
