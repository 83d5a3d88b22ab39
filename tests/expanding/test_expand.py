"""Expanded graphs are core NIR, load with NIR's own reader, and send the same spikes on every runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.expanding import join_substeps, repeat_substeps
from nirbridge.expanding.core import _EXPANSIONS, _NO_COUNTERPART
from nirbridge.ir import (
    PRIMITIVES,
    Aggregate,
    EventInput,
    Extension,
    MaxPool2d,
    MultiLevelLIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
    build_graph,
    flatten,
    registry,
)
from nirbridge.primitives import aggregate
from nirbridge.primitives.shaping import as_it_comes
from tests.conformance.cases import CASES, Case, data, dyadic, line, net, positive, weights
from tests.conformance.test_conformance import as_dict

EXTENDED = [case for case in CASES if any(isinstance(node, Extension) for node in flatten(case.graph()).nodes.values())]
# What core NIR cannot say for any number of steps, and a word of the reason.
REFUSED = {
    **{
        case.name: "resets"
        for case in EXTENDED
        if any(
            type(node) is MultiLevelLIF and node.reset == "value" and node.boundary == ">="
            for node in flatten(case.graph()).nodes.values()
        )
    },
    "max pool": "not spikes of known levels",
    "max pool 3x2": "not spikes of known levels",
    "temporal mix": "mixes the 4 steps",
    "temporal mix 2→3": "mixes the 2 steps",
    "lm-ht": "mixes the 4 steps",
    "product": "not spikes of known levels, and core NIR has no product",
    "product of sums": "not spikes of known levels, and core NIR has no product",
    "product in a cycle": "not spikes of known levels, and core NIR has no product",
    "product, all factors at once": "no Place brings",
    **{case.name: "rounds and cuts its input" for case in EXTENDED if case.name.startswith("quantize")},
    **{case.name: "no core node changes the number of steps" for case in EXTENDED if case.name.startswith("phase")},
}


def _outputs(graph: nir.NIRGraph, x: Any, runtime: str = "reference", **how: Any) -> dict[str, np.ndarray]:
    with nirbridge.compile(graph, runtime, **how) as program:
        return as_dict(program.run(x).output)


def _assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize("case", [c for c in EXTENDED if c.name not in REFUSED], ids=lambda case: case.name)
def test_same_values_over_many_steps(case: Case, tmp_path: Path) -> None:
    graph, x = case.graph(), data(case)
    expanded = nirbridge.expand(graph, dt=case.dt)
    assert not any(isinstance(node, Extension) for node in expanded.nodes.values())
    nirbridge.write(tmp_path / "core.nir", expanded)
    # NIR's own inference is wrong for a Linear over the last of two axes and for kernels that are not square.
    wrong = ("aggregate", "place", "place, one channel for many", "spike-driven attention")
    nir.read(tmp_path / "core.nir", type_check=case.name not in wrong)
    expected, core = _outputs(graph, x, dt=case.dt), nirbridge.read(tmp_path / "core.nir")
    _assert_equal(_outputs(core, x, dt=case.dt), expected)
    pytest.importorskip("norse")
    _assert_equal(_outputs(core, x, "norse", dt=case.dt), expected)


def test_every_extension_is_expanded_or_has_its_reason() -> None:
    assert {*_EXPANSIONS, *_NO_COUNTERPART} == {kind for kind in PRIMITIVES.values() if issubclass(kind, Extension)}


@dataclass(eq=False)
class _Square(Extension):
    """A primitive that somebody else registered."""

    gain: float

    def __post_init__(self) -> None:
        self._set_types(None, None)


@pytest.mark.parametrize("exact_for", ["any-steps", "one-step"])
def test_an_extension_that_nirbridge_does_not_know_is_refused_by_name(
    exact_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        registry._specs, _Square, replace(aggregate.SPEC, node=_Square, shape=as_it_comes, parameters=())
    )
    nodes = {"input": nir.Input(np.array([2])), "sq": _Square(2.0), "output": nir.Output(np.array([2]))}
    graph = nir.NIRGraph(nodes, [("input", "sq"), ("sq", "output")], type_check=False)
    assert nirbridge.check(graph) == []
    with pytest.raises(UnsupportedError, match="node 'sq' .* knows no core counterpart of _Square"):
        nirbridge.expand(graph, exact_for=exact_for)


def test_parameters_of_several_shapes_are_written_out_for_other_readers(tmp_path: Path) -> None:
    lif = nir.LIF(*(np.full(2, value) for value in (0.01, 1.0, 0.0, 0.5, 0.0)))
    lif.r, lif.v_leak = np.float32(1.0), np.zeros(1)
    nodes = {"input": nir.Input(np.array([2])), "n": lif, "output": nir.Output(np.array([2]))}
    graph = nir.NIRGraph(nodes, [("input", "n"), ("n", "output")], type_check=False)
    nirbridge.write(tmp_path / "core.nir", nirbridge.expand(graph))
    assert nir.read(tmp_path / "core.nir").nodes["n"].r.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_core_nir_cannot_say_is_refused_with_its_reason(name: str) -> None:
    (case,) = [case for case in EXTENDED if case.name == name]
    with pytest.raises(UnsupportedError) as error:
        nirbridge.expand(case.graph())
    assert all(problem.where.startswith("node '") for problem in error.value.problems)
    assert REFUSED[name] in str(error.value)


@pytest.mark.parametrize(("coding", "high", "gone"), [("binary", 1, True), ("one-hot", 4, True), ("one-hot", 3, False)])
def test_a_quantize_that_leaves_frames_as_they_are_goes(coding: str, high: int, gone: bool) -> None:
    """Three lanes send 4 at most, whole numbers all of them."""
    nodes = {
        "input": EventInput((1, 2, 2), (2, 2), 1000, 4, 3, coding),
        "q": Quantize((1, 2, 2), 1, 0, high),
        "flat": nir.Flatten(None, 0, -1),
        "output": nir.Output(None),
    }
    graph = build_graph(nodes, [("input", "q"), ("q", "flat"), ("flat", "output")])
    if not gone:
        with pytest.raises(UnsupportedError, match=r"'q' \(Quantize\): rounds .* --input integers"):
            nirbridge.expand(graph)
        return
    expanded = nirbridge.expand(graph)
    assert {name: type(node) for name, node in expanded.nodes.items()} == {
        "input": nir.Input, "flat": nir.Flatten, "output": nir.Output
    }  # fmt: skip
    assert expanded.edges == [("input", "flat"), ("flat", "output")]


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
    """Castagnetti et al., Hao et al.: N levels in one step are N binary steps of x/N, from a membrane within [0, q)."""
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


HARD = {
    "decay 1": {"decay": 1.0},
    "decay 1/2": {"decay": 0.5},
    "v_init and v_reset": {"decay": 0.5, "v_init": 0.25, "v_reset": -0.5},
    "per neuron": {
        "decay": 1.0,
        "gain": np.array([1.0, -2.0, 0.5, 3.0]),
        "v_init": np.array([0.0, 0.25, -1.0, 0.5]),
        "v_reset": np.array([0.0, 0.125, -3.0, 0.375]),
    },
}


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("case", HARD)
def test_a_hard_reset_of_several_lanes_takes_neurons_in_turn(case: str, runtime: str) -> None:
    if runtime == "norse":
        pytest.importorskip("norse")
    options = {"v_reset": 0.0, "gain": 1.0, "v_init": 0.0, **HARD[case]}
    graph = line(MultiLevelLIF.one_hot((4,), 3, np.array([0.5, 0.75, 1.0, 0.25]), reset="value", **options), shape=(4,))
    expanded = nirbridge.expand(graph, dt=2.0**-10)
    x = dyadic((200, 6, 4), -6, 8, 0.25, 2)
    expected = _outputs(graph, x, dt=2.0**-10)
    _assert_equal(_outputs(expanded, x, runtime, dt=2.0**-10), expected)
    assert len(np.unique(expected["output"])) == 4
    # The turn changes wherever a lane fired, in each sample and neuron by itself.
    if runtime == "reference":
        with nirbridge.compile(expanded, dt=2.0**-10) as program:
            turn = program.run(x, record=["n0.turn"]).records["n0.turn"]
        assert np.array_equal(turn[1:], np.cumsum(expected["output"] > 0, axis=0)[:-1] % 2)


def test_a_hard_reset_stands_large_inputs() -> None:
    """A neuron that waits for its turn is reset whatever it gets, up to 2^64."""
    graph = line(MultiLevelLIF.one_hot((3,), 4, 0.5, 0.5, "value"), shape=(3,))
    x = dyadic((60, 4, 3), -6, 8, 0.25, 2) * np.array([1.0, 2.0**20, -(2.0**40)])
    _assert_equal(_outputs(nirbridge.expand(graph, dt=2.0**-10), x, dt=2.0**-10), _outputs(graph, x, dt=2.0**-10))


def test_a_hard_reset_within_a_cycle() -> None:
    nodes = {
        "fc": nir.Affine(weights(5, 4), np.zeros(5)),
        "act": MultiLevelLIF.one_hot((5,), 3, 0.5, 0.5, "value", v_init=0.25),
        "rec": nir.Linear(weights(5, 5, seed=4) / 4),
    }
    graph = net(nodes, "input fc act output", "act rec act", shape=(4,))
    x = dyadic((100, 3, 4), -2, 6, 0.25, 5)
    expected = _outputs(graph, x, dt=2.0**-10)
    _assert_equal(_outputs(nirbridge.expand(graph, dt=2.0**-10), x, dt=2.0**-10), expected)
    assert len(np.unique(expected["output"])) == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boundary": ">="}, "not where it meets it"),
        ({"decay": np.array([1.0, 0.5, 1.0, 0.5])}, "neither 1 throughout nor between 0 and 1"),
        ({"decay": -0.5}, "neither 1 throughout nor between 0 and 1"),
    ],
)
def test_what_stays_refused_of_a_hard_reset_is_replaced_when_asked(changes: dict[str, Any], reason: str) -> None:
    graph = line(MultiLevelLIF.one_hot((4,), 3, 0.5, reset="value", **{"decay": 0.5, **changes}), shape=(4,))
    with pytest.raises(UnsupportedError, match=reason):
        nirbridge.expand(graph)
    with pytest.warns(GraphWarning, match="takes the lane's threshold off"):
        core = nirbridge.expand(graph, approximate=True)
    assert not any(isinstance(node, Extension) for node in core.nodes.values())
    one_step = nirbridge.expand(graph, exact_for="one-step")
    x = dyadic((1, 32, 4), -6, 8, 0.25, 2)
    _assert_equal(_outputs(one_step, x), _outputs(graph, x))


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


@pytest.mark.parametrize(
    "node",
    [
        Place((3,), (7,), 2, 5),
        Place((1,), (7,), 2, 5),
        Place((3, 1), (5, 4), 1, 4),
        Place((1, 4, 1), (5, 4, 6), 0, 2),
        Place((2, 1, 1), (4, 3, 5), 2, 4),
    ],
)
def test_places(node: Place) -> None:
    graph = line(node, shape=node.input_shape)
    x = dyadic((3, 2, *node.input_shape), -3, 6, 0.25, 2)
    _assert_equal(_outputs(nirbridge.expand(graph), x), _outputs(graph, x))


def _product(factors: list[nir.NIRNode], shape: tuple[int, ...], recurrent: bool = False) -> nir.NIRGraph:
    """Each factor behind a layer of weights; ``recurrent``: the product comes back to the first of them."""
    size, count = shape[0], len(factors)
    whole = (size * count, *shape[1:])
    nodes: dict[str, nir.NIRNode] = {"m": Product(whole, count)}
    paths = []
    for i, node in enumerate(factors):
        scales = nir.Scale(dyadic(shape, -3, 6, 0.5, seed=30 + i))
        nodes |= {f"s{i}": scales, f"f{i}": node, f"at{i}": Place(shape, whole, i * size, (i + 1) * size)}
        paths.append(f"input s{i} f{i} at{i} m")
    if recurrent:
        nodes["back"] = nir.Scale(np.full(shape, 0.5))
        paths.append("m back f0")
    return net(nodes, *paths, "m output", shape=shape)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 3, 2)])
def test_products_of_spikes(shape: tuple[int, ...], recurrent: bool) -> None:
    factors = [
        MultiLevelLIF.one_hot(shape, 3, 0.5, 0.5),
        MultiLevelLIF.one_hot(shape, 2, 0.25, 0.5, "value"),
        nir.Threshold(np.full(shape, 0.25)),
    ]
    graph = _product(factors, shape, recurrent)
    x = dyadic((30, 3, *shape), -2, 6, 0.25, 5)
    expected = _outputs(graph, x, dt=2.0**-10)
    _assert_equal(_outputs(nirbridge.expand(graph, dt=2.0**-10), x, dt=2.0**-10), expected)
    assert len(np.unique(expected["output"])) >= 4


def test_products_of_many_levels_are_refused() -> None:
    factors = [MultiLevelLIF.uniform((4,), 9, 0.5), MultiLevelLIF.uniform((4,), 8, 0.5)]
    with pytest.raises(UnsupportedError, match="factors of 9, 8 levels, which makes more than 64 terms"):
        nirbridge.expand(_product(factors, (4,)))


def test_temporal_mix_in_substeps() -> None:
    """LM-HT: a window of 4 steps whose input is constant, each cut into as many binary steps as there are levels."""
    graph = line(TemporalMix(np.full((4, 4), 0.25)), MultiLevelLIF.uniform((3,), 2, 0.5), shape=(3,))
    x = np.repeat(dyadic((3, 8, 3), 0, 3, 0.25, 2), 4, axis=0)
    found = _outputs(nirbridge.expand(graph, exact_for="substeps"), repeat_substeps(x, 2), reset="subtract")["output"]
    expected = _outputs(graph, x)["output"]
    assert np.array_equal(join_substeps(found, 2), expected)
    assert expected.any()
    behind = line(MultiLevelLIF.uniform((3,), 2, 0.5), TemporalMix(np.full((4, 4), 0.25)), shape=(3,))
    with pytest.raises(UnsupportedError, match="an input that it does not leave constant"):
        nirbridge.expand(behind, exact_for="substeps")


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
    for dt in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="is not a positive number of seconds"):
            nirbridge.expand(graph, dt=dt)
    for taken in ("act.spikes", "input.share"):
        nodes = {"act": MultiLevelLIF.uniform((4,), 2, 1.0), taken: nir.Scale(np.ones(4))}
        with pytest.raises(nirbridge.errors.GraphError, match=f"node '{taken}': its name is needed"):
            nirbridge.expand(net(nodes, f"input {taken} act output", shape=(4,)), exact_for="substeps")


@pytest.mark.parametrize("target", [None, "norse", "sinabs"])
@pytest.mark.parametrize(("tau", "found"), [(-0.01, "not above 0"), (np.nan, "NaN or infinite")])
def test_a_graph_that_is_not_valid_is_refused(tau: float, found: str, target: str | None) -> None:
    one = np.ones(3)
    graph = line(nir.LIF(tau * one, one, 0 * one, one, 0 * one), shape=(3,))
    with pytest.raises(nirbridge.errors.GraphError, match=found):
        nirbridge.expand(graph, target=target)


def test_metadata_are_kept_both_ways() -> None:
    graph = line(MultiLevelLIF.one_hot((2,), 2), shape=(2,))
    graph.metadata = {"made": "here"}
    core = nirbridge.expand(graph)
    assert core.metadata == nirbridge.fuse(core).metadata == {"made": "here"}
