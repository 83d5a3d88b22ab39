"""What ``expand`` writes for other platforms, judged by what they computed themselves."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import nirbridge
from docs.generate_reach import PAGE, generate
from nirbridge.cli.expand import TARGETS
from nirbridge.conformance.cases import Case, all_cases, data
from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.expanding import lane_code, reach, target_names
from nirbridge.expanding.lowering import matrices
from nirbridge.expanding.lowering.matrices import in_one_row
from nirbridge.expanding.targets import target_named
from nirbridge.ir import MultiLevelLIF, build_graph, flatten
from tests.expanding.targets.networks import NETWORKS
from tests.expanding.targets.peers import (
    PACKAGES,
    RECORDED,
    MissingPeerError,
    differing,
    digest,
    expected,
    outputs_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::nirbridge.errors.GraphWarning")


NO_CYCLES = ("rockpool", "sinabs")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", PACKAGES)
def test_what_the_platform_computed_is_what_the_network_means(target: str, name: str) -> None:
    with np.load(RECORDED / f"{target}.npz") as recorded:
        if name == "recurrent" and target in NO_CYCLES:
            with pytest.raises(UnsupportedError, match="lies on a cycle, and .* runs a node over all steps"):
                reach(NETWORKS[name](), target)
            assert name not in recorded
            return
        assert str(recorded[f"{name}.digest"]) == digest(reach(NETWORKS[name](), target)), "record it again"
        wanted = expected(name)
        assert len(np.unique(wanted)) > 1
        assert differing(recorded[name], wanted) == 0


@pytest.mark.parametrize("target", PACKAGES)
def test_the_platform_computes_it_now(target: str, tmp_path: Path) -> None:
    try:
        outputs = outputs_of(target, tmp_path)
    except MissingPeerError as error:
        pytest.skip(str(error))
    assert len(outputs) == len(NETWORKS) - (target in NO_CYCLES)
    assert {differing(output, expected(name)) for name, output in outputs.items()} == {0}


def test_the_page_says_what_is_recorded() -> None:
    assert PAGE.read_text(encoding="utf-8") == generate()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("sinabs/backend/dynapcnn/dynapcnn_layer.py", "Only `IAFSqueeze` layers are supported."),
        ("rockpool/nn/modules/module.py", "does not implement the graph serialisation API"),
    ],
)
def test_what_the_page_says_of_chips_stands_in_the_source(file: str, said: str) -> None:
    found = next((folder / file for folder in map(Path, (os.environ.get("NIRBRIDGE_PEERS", ""), *sys.path))
                  if (folder / file).is_file()), None)  # fmt: skip
    if found is None:
        pytest.skip(f"{file} is not installed")
    assert said in found.read_text(encoding="utf-8")


def test_recorded_platforms_are_those_that_say_so() -> None:
    assert {name for name in target_names() if target_named(name).ran} == set(PACKAGES)
    assert {target_named(name).name for name in target_names()} == set(target_names()) == set(TARGETS)


_SMALL = [
    case
    for case in all_cases()
    if not any(type(node) is MultiLevelLIF and node.lanes > 4 for node in case.graph().nodes.values())
]


def _taken(case: Case, target: str) -> nir.NIRGraph | None:
    try:
        return nirbridge.expand(case.graph(), target=target, dt=case.dt)
    except UnsupportedError:
        return None


def _apart(case: Case, graph: nir.NIRGraph) -> bool:
    x = data(case)
    with nirbridge.compile(case.graph(), dt=case.dt) as one, nirbridge.compile(graph, dt=1.0) as other:
        wanted, found = one.run(x).output, other.run(next(iter(x.values()))).output
    return not np.allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_what_is_written_means_the_same() -> None:
    target = target_named("nirtorch")
    taken = [(case, graph) for case in _SMALL if (graph := _taken(case, target.name)) is not None]
    assert len(taken) >= 50
    assert [case.name for case, graph in taken if _apart(case, graph)] == []
    assert {type(node) for _, graph in taken for node in graph.nodes.values()} <= target.layers


@pytest.mark.parametrize(
    ("target", "name", "reason"),
    [
        ("lava-dl", "LIF MLP", "has no importer of NIR"),
        ("spinnaker2", "4-level IF", "sends spikes alone"),
        ("spinnaker2", "M-LIF CNN", "sends spikes alone"),
    ],
)
def test_what_no_file_helps_is_refused_with_the_reason(target: str, name: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        reach(NETWORKS[name](), target)


def _line(*nodes: nir.NIRNode, shape: tuple[int, ...], sends: tuple[int, ...]) -> nir.NIRGraph:
    made = {"in": nir.Input(np.array(shape)), **{f"n{place}": node for place, node in enumerate(nodes)}}
    return build_graph({**made, "out": nir.Output(np.array(sends))}, list(itertools.pairwise([*made, "out"])))


def _own_thresholds(*shape: int, along: int) -> MultiLevelLIF:
    """Two lanes, whose thresholds differ along one axis."""
    own = np.moveaxis(np.arange(1, shape[along] + 1).reshape(-1, *(1,) * (len(shape) - 1)) / 2, 0, along)
    thresholds = np.stack([own, 2 * own])
    lanes = np.array([1.0, 3.0]).reshape(2, *(1,) * len(shape))
    return MultiLevelLIF(shape, 0.5, 1.0, 0.0, thresholds, lanes, thresholds / 2, 0.0)


def _lif(tau: Any, threshold: Any, shape: tuple[int, ...] = (5,)) -> nir.LIF:
    """Of ``tau`` steps, R = tau."""
    steps, one = np.broadcast_to(tau, shape) * 1.0, np.ones(shape)
    return nir.LIF(1e-3 * steps, steps, 0 * one, threshold * one, 0 * one)


WRITTEN: dict[str, tuple[str, nir.NIRGraph]] = {
    "neurons of two axes": ("norse", _line(MultiLevelLIF.one_hot((3, 4), 2, decay=0.5), shape=(3, 4), sends=(3, 4))),
    "neurons of four axes": (
        "norse",
        _line(MultiLevelLIF.one_hot((2, 2, 1, 3), 2), shape=(2, 2, 1, 3), sends=(2, 2, 1, 3)),
    ),
    "a Scale along the last axis": (
        "snntorch",
        _line(nir.Scale(np.tile([1.0, 2, 4], (2, 2, 1))), nir.Linear(np.eye(3)[:2]), shape=(2, 2, 3), sends=(2, 2, 2)),
    ),
    "Conv1d": (
        "nirtorch",
        _line(
            nir.Conv1d(8, np.ones((2, 1, 3)) / 2, 2, "valid", 1, 2, np.array([0.25, 0])),
            _own_thresholds(2, 3, along=0),
            shape=(2, 8),
            sends=(2, 3),
        ),
    ),
    "thresholds of neurons": ("snntorch", _line(_own_thresholds(4, along=0), shape=(4,), sends=(4,))),
    "thresholds of channels": (
        "spikingjelly",
        _line(_own_thresholds(3, 2, 2, along=0), shape=(3, 2, 2), sends=(3, 2, 2)),
    ),
    "thresholds of columns": ("snntorch", _line(_own_thresholds(2, 2, 3, along=2), shape=(2, 2, 3), sends=(2, 2, 3))),
    "LIF with thresholds and tau of their own": (
        "snntorch",
        _line(_lif([2, 2, 4, 4, 2], [0.5, 1, 1, 1, 0.5]), shape=(5,), sends=(5,)),
    ),
    "LIF with thresholds of channels": (
        "spikingjelly",
        _line(_lif(2, np.reshape([0.5, 1, 1], (3, 1, 1)), (3, 2, 2)), shape=(3, 2, 2), sends=(3, 2, 2)),
    ),
    "LIF with thresholds of places": (
        "spikingjelly",
        _line(_lif(2, np.arange(1, 13).reshape(3, 2, 2) / 4, (3, 2, 2)), shape=(3, 2, 2), sends=(3, 2, 2)),
    ),
    "IF with thresholds of their own": (
        "snntorch",
        _line(nir.IF(np.ones(3), np.arange(1, 4), np.zeros(3)), shape=(3,), sends=(3,)),
    ),
    "a Scale of places": (
        "norse",
        _line(nir.Scale(np.arange(12.0).reshape(3, 2, 2)), _lif(2, 2, (3, 2, 2)), shape=(3, 2, 2), sends=(3, 2, 2)),
    ),
    "Conv1d in a row": (
        "spikingjelly",
        _line(
            nir.Conv1d(6, np.ones((2, 1, 4)) / 2, 1, "same", 1, 2, np.ones(2)),
            _lif(2, 2, (2, 6)),
            shape=(2, 6),
            sends=(2, 6),
        ),
    ),
    "delays": ("snntorch", _line(nir.Delay(np.array([1e-3, 0, 3e-3])), _lif(2, 2, (3,)), shape=(3,), sends=(3,))),
    "delays of pictures": (
        "norse",
        _line(
            nir.Delay(np.reshape([1e-3, 0, 2e-3], (3, 1, 1))), _lif(2, 2, (3, 2, 1)), shape=(3, 2, 1), sends=(3, 2, 1)
        ),
    ),
    "a matrix for each place": (
        "norse",
        _line(
            nir.Linear(np.arange(24.0).reshape(2, 3, 4) / 4),
            nir.Scale(np.array([1.0, 2, 4])),
            _lif(2, 20, (2, 3)),
            shape=(2, 4),
            sends=(2, 3),
        ),
    ),
    "a matrix for each place, as wide as there are places": (
        "snntorch",
        _line(
            nir.Affine(np.arange(27.0).reshape(3, 3, 3) / 4, np.array([0.5, 0, 1])),
            nir.Scale(np.array([1.0, 2, 4])),
            _lif(2, 20, (3, 3)),
            shape=(3, 3),
            sends=(3, 3),
        ),
    ),
    "an IF in double precision": ("nirtorch", _line(nir.IF(*np.ones((2, 3)), np.zeros(3)), shape=(3,), sends=(3,))),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_platform_gets_means_the_same(name: str) -> None:
    target, graph = WRITTEN[name]
    reached = reach(graph, target)
    assert {type(node) for node in reached.graph.nodes.values()} <= reached.target.layers
    x = np.random.default_rng(3).integers(-4, 17, (30, 2, *graph.nodes["in"].input_type["input"])) / 4
    given = x.reshape(30, 2, -1) if reached.one_row else x
    with nirbridge.compile(graph, dt=1e-3) as one, nirbridge.compile(reached.graph, dt=reached.target.dt) as other:
        wanted = one.run(x).output
        assert np.array_equal(other.run(given).output.reshape(wanted.shape), wanted)
    assert (".flatten(2)" in reached.code("g.nir")) == reached.one_row
    assert len(np.unique(wanted)) > 1


@pytest.mark.parametrize(
    "node",
    [
        nir.Conv2d((5, 4), np.arange(36.0).reshape(3, 2, 3, 2), (2, 1), (1, 0), (1, 2), 1, np.arange(3.0)),
        nir.Conv2d((5, 4), np.arange(36.0).reshape(3, 2, 3, 2), 1, 2, 1, 1, np.zeros(3)),
        nir.Affine(np.arange(12.0).reshape(3, 4), np.arange(3.0)),
        nir.Scale(np.arange(40.0).reshape(2, 5, 4)),
        nir.LIF(*(value * np.ones((2, 5, 4)) for value in (2e-3, 2, 0, 3, 0))),
    ],
)
def test_data_in_one_row_are_the_same(node: nir.NIRNode) -> None:
    graph = build_graph({"in": nir.Input([2, 5, 4]), "n": node, "out": nir.Output(None)}, [("in", "n"), ("n", "out")])
    rows = in_one_row(flatten(graph))
    x = np.random.default_rng(4).integers(-9, 9, (4, 3, 2, 5, 4)).astype(float)
    with nirbridge.compile(graph) as one, nirbridge.compile(build_graph(rows.nodes, rows.edges)) as other:
        wanted = one.run(x).output
        assert np.array_equal(other.run(x.reshape(4, 3, -1)).output, wanted.reshape(4, 3, -1))


def test_matrices_that_no_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = nir.Conv2d((64, 64), np.ones((16, 4, 3, 3)), 1, 1, 1, 1, np.zeros(16))
    with pytest.raises(UnsupportedError, match=r"'n0' \(Conv2d\): would be a matrix of 1,073,741,824 weights"):
        reach(_line(convolution, shape=(4, 64, 64), sends=(16, 64, 64)), "rockpool")
    monkeypatch.setattr(matrices, "MOST_WEIGHTS", 20)
    assert reach(_line(nir.Linear(np.ones((5, 6))), shape=(6,), sends=(5,)), "rockpool").one_row, "made already"
    both = nir.Linear(np.ones((1, 3))), nir.Linear(np.ones((3, 1)))
    with pytest.raises(UnsupportedError, match=r"a matrix of 12 weights, and all matrices hold 24"):
        reach(_line(*both, shape=(2, 3), sends=(2, 3)), "rockpool")


@pytest.mark.parametrize("along", [0, 1, 2])
@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_the_code_of_several_levels_computes_them(along: int, reset: str) -> None:
    neuron = _own_thresholds(2, 3, 4, along=along)
    neuron.reset, neuron.v_reset, neuron.boundary = reset, np.full(3, 0.25)[:, None], ">="
    x = np.random.default_rng(5).integers(-4, 17, (20, 2, 2, 3, 4)) / 4
    graph = _line(neuron, shape=(2, 3, 4), sends=(2, 3, 4))
    with nirbridge.compile(graph) as program:
        wanted = program.run(x).output
    for target, frames in (("sinabs", x), ("rockpool", x.reshape(20, 2, -1))):
        (lanes,) = reach(graph, target).lanes.items()
        names: dict[str, Any] = {"torch": torch}
        exec(f"{lane_code.SPIKES}\nspikes = {{{lane_code.rows(dict([lanes]))}}}", names)
        (spikes,), sent = names["spikes"].values(), []
        v = torch.zeros(frames.shape[1:])
        for frame in torch.as_tensor(frames).float():
            v = 0.5 * v + frame
            sent.append(spikes.pick(spikes.weight, spikes.lane(v)))
            v = spikes.after(v)
        assert np.array_equal(torch.stack(sent).numpy().reshape(wanted.shape), wanted), target


@pytest.mark.parametrize("target", NO_CYCLES)
def test_a_start_that_decays_is_a_bias(target: str) -> None:
    """v - v_init = decay (v[t-1] - v_init) + x - (1 - decay) v_init."""
    neuron = MultiLevelLIF.uniform((3,), levels=2, step=0.5, v_init=0.25, decay=0.5, output="level")
    reached = reach(_line(neuron, shape=(3,), sends=(3,)), target)
    (bias,) = (node.bias for node in reached.graph.nodes.values() if type(node) is nir.Affine)
    (lanes,) = reached.lanes.values()
    assert np.array_equal(bias, [-0.125] * 3)
    assert np.array_equal(lanes.threshold.ravel(), [0.25, 0.75])


@pytest.mark.parametrize("decay", [-0.5, 1.5])
@pytest.mark.parametrize("target", NO_CYCLES)
def test_a_decay_that_no_exponential_has_is_refused(target: str, decay: float) -> None:
    with pytest.raises(UnsupportedError, match=f"decays by {decay:g} a step"):
        reach(_line(MultiLevelLIF.one_hot((3,), 2, decay=decay), shape=(3,), sends=(3,)), target)


def test_what_nothing_says_is_refused_for_the_form_with_axes() -> None:
    wide = nir.Scale(np.arange(4 * 64 * 64.0).reshape(4, 64, 64))
    convolution = nir.Conv2d((64, 64), np.ones((16, 4, 3, 3)), 1, 1, 1, 1, np.zeros(16))
    with pytest.raises(UnsupportedError, match=r"'n0' \(Scale\): has a number of its own for each place"):
        reach(_line(wide, convolution, shape=(4, 64, 64), sends=(16, 64, 64)), "norse")


def test_one_node_of_snntorch_has_one_threshold() -> None:
    reached = reach(_line(_lif([2, 2, 4, 4, 2], [0.5, 1, 1, 1, 0.5]), shape=(5,), sends=(5,)), "snntorch")
    neurons = [node for node in reached.graph.nodes.values() if type(node) is nir.LIF]
    assert sorted(node.v_threshold.size for node in neurons) == [1, 2, 2]
    assert all(np.unique(node.v_threshold).size == np.unique(node.tau).size == 1 for node in neurons)


@pytest.mark.parametrize("target", PACKAGES)
def test_integer_weights_become_what_torch_takes(target: str) -> None:
    weights = np.ones((2, 1, 2, 2), np.int8), np.ones(2, np.int64), np.ones((3, 18), np.int8)
    convolution, flat = nir.Conv2d((4, 4), weights[0], 1, 0, 1, 1, weights[1]), nir.Flatten(None, 0, -1)
    reached = reach(_line(convolution, flat, nir.Linear(weights[2]), shape=(1, 4, 4), sends=(3,)), target)
    found = [getattr(node, "weight", None) for node in reached.graph.nodes.values()]
    kinds = {weight.dtype for weight in found if weight is not None}
    assert kinds == {np.dtype(np.float64 if reached.target.double else np.float32)}


def test_spikingjelly_has_no_tau_of_one_step() -> None:
    reached = reach(_line(_lif(1, 1, (3,)), shape=(3,), sends=(3,)), "spikingjelly")
    (neuron,) = (node for node in reached.graph.nodes.values() if type(node) is nir.LIF)
    assert (neuron.tau / reached.target.dt > 1).all()


def test_a_target_is_known_and_stands_alone() -> None:
    with pytest.raises(InputError, match="no platform 'spyx' is known"):
        nirbridge.expand(NETWORKS["LIF MLP"](), target="spyx")
    with pytest.raises(InputError, match="exact_for"):
        nirbridge.expand(NETWORKS["LIF MLP"](), target="norse", exact_for="substeps")


def test_approximations_are_said() -> None:
    neuron = MultiLevelLIF.one_hot((3,), 2, 1.0, 0.5, "value", ">=")
    graph = build_graph({"in": nir.Input([3]), "n": neuron, "out": nir.Output([3])}, [("in", "n"), ("n", "out")])
    with pytest.raises(UnsupportedError, match="resets to a value at >="):
        nirbridge.expand(graph, target="norse")
    with pytest.warns(GraphWarning, match="takes the lane's threshold off"):
        nirbridge.expand(graph, target="norse", approximate=True)
    assert reach(graph, "sinabs").notes == [], "its code states any lanes"
