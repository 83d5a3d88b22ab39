"""What ``expand`` writes for other platforms, judged by what they computed themselves."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from docs.generate_reach import PAGE, generate
from nirbridge.cli.expand import TARGETS
from nirbridge.conformance.cases import Case, all_cases, data
from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.expanding import reach, target_names
from nirbridge.expanding.targets import target_named
from nirbridge.ir import MultiLevelLIF, build_graph
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


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", PACKAGES)
def test_what_the_platform_computed_is_what_the_network_means(target: str, name: str) -> None:
    with np.load(RECORDED / f"{target}.npz") as recorded:
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
    assert {name: differing(output, expected(name)) for name, output in outputs.items()} == dict.fromkeys(NETWORKS, 0)


def test_the_page_says_what_is_recorded() -> None:
    assert PAGE.read_text(encoding="utf-8") == generate()


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
        ("rockpool", "LIF MLP", "reads tau_mem from a LIF"),
        ("lava-dl", "LIF MLP", "has no importer of NIR"),
        ("spinnaker2", "4-level IF", "sends spikes alone"),
        ("spinnaker2", "M-LIF CNN", "sends spikes alone"),
    ],
)
def test_what_no_file_helps_is_refused_with_the_reason(target: str, name: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        reach(NETWORKS[name](), target)


def test_one_node_of_snntorch_has_one_threshold() -> None:
    one = np.ones(2)
    nodes = {"in": nir.Input([2]), "n": nir.LIF(2e-3 * one, one, 0 * one, np.array([1, 2]), 0 * one)}
    graph = build_graph({**nodes, "out": nir.Output([2])}, [("in", "n"), ("n", "out")])
    with pytest.raises(UnsupportedError, match=r"'n' \(LIF\): has thresholds or tau that differ"):
        reach(graph, "snntorch")
    assert nirbridge.expand(graph, target="norse") is not None


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
