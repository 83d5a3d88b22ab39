"""Expanded graphs are core NIR, load with NIR's own reader, and send the same spikes on every runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.expanding import join_substeps, repeat_substeps
from nirbridge.ir import EXTENSIONS, Aggregate, MaxPool2d, MultiLevelLIF, TemporalMix, flatten
from tests.conformance.cases import CASES, Case, data, dyadic, line, net, positive, weights
from tests.conformance.test_conformance import as_dict

EXTENDED = [case for case in CASES if any(type(node) in EXTENSIONS for node in flatten(case.graph()).nodes.values())]
# What core NIR cannot say for any number of steps, and a word of the reason.
REFUSED = {
    **{
        case.name: "resets"
        for case in EXTENDED
        if any(
            type(node) is MultiLevelLIF and node.reset == "value" and (node.lanes > 1 or node.boundary == ">=")
            for node in flatten(case.graph()).nodes.values()
        )
    },
    "max pool": "not spikes of known levels",
    "max pool 3x2": "not spikes of known levels",
    "temporal mix": "mixes the 4 steps",
    "temporal mix 2→3": "mixes the 2 steps",
    "lm-ht": "mixes the 4 steps",
    **{case.name: "within every window of 4 steps" for case in EXTENDED if case.name.startswith("phase")},
}


def _outputs(graph: nir.NIRGraph, x: Any, runtime: str = "reference", **how: Any) -> dict[str, np.ndarray]:
    with nirbridge.compile(graph, runtime, **how) as program:
        return as_dict(program.run(x).output)


def _assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("case", [c for c in EXTENDED if c.name not in REFUSED], ids=lambda case: case.name)
def test_same_values_over_many_steps(case: Case, runtime: str, tmp_path: Path) -> None:
    if runtime == "norse":
        pytest.importorskip("norse")
    graph, x = case.graph(), data(case)
    expanded = nirbridge.expand(graph, dt=case.dt)
    assert not any(type(node) in EXTENSIONS for node in expanded.nodes.values())
    nirbridge.write(tmp_path / "core.nir", expanded)
    # NIR's own inference refuses a Linear over the last of two axes, which this one case has.
    nir.read(tmp_path / "core.nir", type_check=case.name != "aggregate")
    expected = _outputs(graph, x, dt=case.dt)
    _assert_equal(_outputs(nirbridge.read(tmp_path / "core.nir"), x, runtime, dt=case.dt), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_core_nir_cannot_say_is_refused_with_its_reason(name: str) -> None:
    (case,) = [case for case in EXTENDED if case.name == name]
    with pytest.raises(UnsupportedError) as error:
        nirbridge.expand(case.graph())
    assert all(problem.where.startswith("node '") for problem in error.value.problems)
    assert REFUSED[name] in str(error.value)


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("case", [c for c in EXTENDED if c.kinds == (MultiLevelLIF,)], ids=lambda case: case.name)
def test_every_neuron_is_exact_for_one_step(case: Case, runtime: str) -> None:
    """Steps become samples, each from fresh states."""
    if runtime == "norse":
        pytest.importorskip("norse")
    graph = case.graph()
    if any(planned.loop is not None for planned in nirbridge.runtime.make_plan(graph).nodes):
        pytest.skip("a cycle says nothing in one step")
    x = {name: values.reshape(1, -1, *values.shape[2:]) for name, values in data(case).items()}
    expanded = nirbridge.expand(graph, exact_for="one-step")
    assert {type(node) for node in expanded.nodes.values()} <= {
        nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Scale, nir.Threshold
    }  # fmt: skip
    _assert_equal(_outputs(expanded, x, runtime), _outputs(graph, x))


def _uniform(levels: int = 4, v_init: float = 0.125, **changes: Any) -> nir.NIRGraph:
    node = MultiLevelLIF.uniform((5,), levels, 0.5, 1.0, v_init, **changes)
    return line(nir.Affine(weights(5, 4), dyadic((5,), 0, 3, 0.25, 7)), node, nir.Linear(weights(3, 5)), shape=(4,))


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("output", ["level", "value"])
def test_substeps_are_exact_for_constant_input(runtime: str, output: str) -> None:
    """Seeds 002 and 003: N levels in one step are N binary steps of x/N, from a membrane within [0, q)."""
    if runtime == "norse":
        pytest.importorskip("norse")
    graph = _uniform(output=output)
    x = dyadic((1, 64, 4), -3, 7, 0.25, 11)
    expanded = nirbridge.expand(graph, exact_for="substeps")
    assert nir.IF in {type(node) for node in expanded.nodes.values()}
    found = _outputs(expanded, repeat_substeps(x, 4), runtime, reset="subtract")["output"]
    expected = _outputs(graph, x)["output"]
    assert np.array_equal(join_substeps(found, 4), expected)
    assert len(np.unique(expected)) > 5


def test_substeps_over_many_steps_while_the_membrane_stays_within_a_level() -> None:
    node = MultiLevelLIF.uniform((4,), 4, 1.0)
    graph = line(node, shape=(4,))
    x = dyadic((40, 8, 4), 0, 13, 0.25, 3)  # 0..3: never beyond 4 levels, so v stays within [0, 1)
    found = _outputs(nirbridge.expand(graph, exact_for="substeps"), repeat_substeps(x, 4), reset="subtract")["output"]
    assert np.array_equal(join_substeps(found, 4), _outputs(graph, x)["output"])


def test_substeps_refuse_what_is_not_constant_or_not_uniform() -> None:
    deep = line(MultiLevelLIF.uniform((4,), 4, 1.0), nir.Linear(weights(5, 4)), MultiLevelLIF.uniform((5,), 4, 1.0),
                shape=(4,))  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"node 'n2' .* not constant over the sub-steps"):
        nirbridge.expand(deep, exact_for="substeps")
    with pytest.warns(GraphWarning, match="node 'n2'"):
        nirbridge.expand(deep, approximate=True, exact_for="substeps")
    for node, reason in (
        (MultiLevelLIF.one_hot((4,), 3), "not uniform"),
        (MultiLevelLIF.uniform((4,), 4, 1.0, decay=0.5), "decay 1"),
        (MultiLevelLIF.uniform((4,), 4, 1.0, v_init=1.0), r"v_init is not within \[0, q\)"),
    ):
        with pytest.raises(UnsupportedError, match=reason):
            nirbridge.expand(line(node, shape=(4,)), exact_for="substeps")


def test_decay_and_start_together() -> None:
    node = MultiLevelLIF.one_hot((4,), 3, 0.5, np.array([0.0, 0.25, 0.5, 1.0]), v_init=positive(4), gain=positive(4))
    x = dyadic((20, 3, 4), -3, 6, 0.25, 2)
    graph = line(node, shape=(4,))
    _assert_equal(_outputs(nirbridge.expand(graph), x), _outputs(graph, x))


def test_a_hard_reset_of_one_lane_becomes_a_neuron_of_nir() -> None:
    for decay, kind in ((1.0, nir.IF), (0.5, nir.LIF)):
        node = MultiLevelLIF.one_hot((4,), 1, 0.75, decay, "value", v_init=0.25, v_reset=-0.5)
        graph = line(node, shape=(4,))
        expanded = nirbridge.expand(graph, dt=2.0**-10)
        assert type(expanded.nodes["n0.spikes"]) is kind
        x = dyadic((20, 3, 4), -3, 6, 0.25, 2)
        _assert_equal(_outputs(expanded, x, dt=2.0**-10), _outputs(graph, x))


def _pooled(node: nir.NIRNode) -> nir.NIRGraph:
    return line(node, MaxPool2d((3, 2), (2, 1), (1, 0)), MaxPool2d(2, 1, 0), nir.Flatten(None, 0, -1), shape=(2, 7, 6))


@pytest.mark.parametrize(
    "node",
    [
        nir.Threshold(np.full((2, 7, 6), 0.75)),
        MultiLevelLIF.one_hot((2, 7, 6), 3, 0.5, 0.5),
        MultiLevelLIF.uniform((2, 7, 6), 5, 0.5),
        MultiLevelLIF.one_hot((2, 7, 6), 1, 0.5, scaled=True),
    ],
    ids=["binary", "one-hot", "uniform", "single"],
)
def test_max_pooling_of_spikes(node: nir.NIRNode) -> None:
    graph = _pooled(node)
    x = dyadic((6, 2, 2, 7, 6), -12, 5, 0.25, 4)
    expected = _outputs(graph, x)
    _assert_equal(_outputs(nirbridge.expand(graph), x), expected)
    assert 0 < expected["output"].mean() < 3


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 2, 3)])
def test_aggregation_over_axes(shape: tuple[int, ...]) -> None:
    graph = line(Aggregate(weights(4, 4)), shape=shape)
    x = dyadic((3, 2, *shape), -3, 6, 0.25, 2)
    _assert_equal(_outputs(nirbridge.expand(graph), x), _outputs(graph, x))


def test_temporal_mix() -> None:
    x = dyadic((8, 2, 3), -3, 6, 0.25, 2)
    graph = line(TemporalMix(0.5 * np.eye(4)), shape=(3,))
    _assert_equal(_outputs(nirbridge.expand(graph), x), _outputs(graph, x))
    mean = line(TemporalMix(np.full((4, 4), 0.25)), shape=(3,))
    with pytest.warns(GraphWarning, match="takes the input of each step for the whole window's"):
        expanded = nirbridge.expand(mean, approximate=True)
    constant = np.repeat(x[::4], 4, axis=0)
    _assert_equal(_outputs(expanded, constant), _outputs(mean, constant))
    assert not np.array_equal(_outputs(expanded, x)["output"], _outputs(mean, x)["output"])


def test_names_that_are_taken_and_unknown_choices() -> None:
    graph = net(
        {"act": MultiLevelLIF.one_hot((4,), 2), "act.drive": nir.Scale(np.ones(4))},
        "input act.drive act output",
        shape=(4,),
    )
    with pytest.raises(nirbridge.errors.GraphError, match=r"node 'act.drive': its name is needed"):
        nirbridge.expand(graph)
    with pytest.raises(InputError, match="'never' is not among"):
        nirbridge.expand(graph, exact_for="never")
