"""Every rule finds what it is for, and nothing in good graphs."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MultiLevelLIF, PhaseEncode, TemporalMix
from tests.ir.graphs import chain

ONE = np.ones(3)


def _lif(**changes: object) -> nir.LIF:
    return nir.LIF(**{"tau": ONE * 0.02, "r": ONE, "v_leak": ONE, "v_threshold": ONE, **changes})


def _with(nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]]) -> nir.NIRGraph:
    base = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    return nir.NIRGraph({**base, **nodes}, edges, type_check=False)


def _descending() -> MultiLevelLIF:
    node = MultiLevelLIF.one_hot((3,), 2)
    node.lane_threshold = node.lane_threshold[::-1]
    return node


CASES = {
    "types_are_known": _with(
        {"x": nir.ir.node.NIRNode.__new__(nir.ir.node.NIRNode)}, [("input", "x"), ("x", "output")]
    ),
    "graph_has_input_and_output": nir.NIRGraph({"a": nir.Scale(ONE)}, [], type_check=False),
    "inputs_begin_and_outputs_end": _with({}, [("input", "output"), ("output", "input")]),
    "nodes_are_reached": _with({"lost": nir.Scale(ONE)}, [("input", "output"), ("lost", "output")]),
    "no_dangling_edges": _with({}, [("input", "output"), ("input", "ghost")]),
    "parameters_are_finite": chain(nir.Scale(np.array([1, np.nan, np.inf])), shape=(3,), out=(3,)),
    "time_constants_are_positive": chain(_lif(tau=np.array([1, 0, 1.0])), shape=(3,), out=(3,)),
    "delays_are_not_negative": chain(nir.Delay(np.array([0, -1e-3, 0])), shape=(3,), out=(3,)),
    "lane_thresholds_ascend": chain(_descending(), shape=(3,), out=(3,)),
    "shapes_agree": chain(nir.Linear(np.ones((3, 4))), shape=(3,), out=(3,)),
    "windows_agree": _with(
        {"p": PhaseEncode((3,), 4), "m": nir.Scale(ONE)},
        [("input", "p"), ("p", "m"), ("input", "m"), ("m", "output")],
    ),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16])
def test_thresholds_of_few_bits_are_compared_as_numbers(dtype: type) -> None:
    """Their differences would wrap around."""
    low, high = (0, 200) if dtype is np.uint8 else (-100, 100)
    for thresholds, ascend in (((low, high), True), ((high, low), False)):
        node = MultiLevelLIF.one_hot((3,), 2)
        node.lane_threshold = np.array(thresholds, dtype).reshape(2, 1)
        rules = {problem.rule for problem in nirbridge.check(chain(node, shape=(3,), out=(3,)))}
        assert ("lane_thresholds_ascend" in rules) is not ascend


@pytest.mark.parametrize("rule", CASES)
def test_rule_finds_its_case(rule: str) -> None:
    problems = nirbridge.check(CASES[rule])
    assert rule in {problem.rule for problem in problems}
    for problem in problems:
        assert "\n" not in str(problem)
        assert problem.where
        assert problem.found


def test_finite_rule_counts() -> None:
    (problem,) = nirbridge.check(CASES["parameters_are_finite"])
    assert str(problem).startswith("node 'n0' (Scale): 2 of 3 values of scale are NaN or infinite.")


def test_windows_in_cycles_are_found() -> None:
    graph = _with({"m": TemporalMix(np.eye(2))}, [("input", "m"), ("m", "m"), ("m", "output")])
    assert [p.rule for p in nirbridge.check(graph)] == ["windows_agree"]


def test_real_graphs_are_good(shared_data: Path) -> None:
    for file in shared_data.glob("nir-paper/*/*.nir"):
        problems = nirbridge.check(nirbridge.read(file))
        expected = {
            "lif_rockpool.nir": {"stated_shapes_match"},  # its Output declares (1, 1, 1) where (1,) arrives
            "braille_noDelay_bias_zero.nir": {"euler_steps_are_stable"},  # made for steps of 0.1 ms
            "braille_noDelay_noBias_subtract.nir": {"euler_steps_are_stable"},
        }
        assert {problem.rule for problem in problems} == expected.get(file.name, set())
        assert all(problem.severity == "warning" for problem in problems)


def test_runtime_problems_name_the_node() -> None:
    problems = nirbridge.check(chain(_lif(), shape=(3,), out=(3,)), runtime="reference")
    assert problems == []
    with pytest.raises(nirbridge.errors.RuntimeUnavailableError, match="Did you mean 'lava'"):
        nirbridge.check(chain(_lif(), shape=(3,), out=(3,)), runtime="lawa")
