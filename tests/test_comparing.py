"""Comparing runtimes: what counts as a difference, what is allowed, and what is skipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main
from nirbridge.comparing import compare
from nirbridge.comparing.exactness import is_dyadic
from nirbridge.errors import ExecutionError, InputError, RuntimeUnavailableError, UnsupportedError
from nirbridge.ir import MaxPool2d, MultiLevelLIF, TemporalMix, build_graph
from nirbridge.runtime import Recording, make_plan
from nirbridge.runtime import compile as compile_graph

Change = Callable[[dict[str, np.ndarray]], None]


def network(weight: float = 0.5, size: int = 4) -> nir.NIRGraph:
    nodes = {
        "input": nir.Input(np.array([size])),
        "fc": nir.Linear(np.eye(size) * weight),
        "act": MultiLevelLIF.one_hot((size,), lanes=2, decay=0.5),
        "readout": nir.Linear(np.ones((2, size))),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "fc"), ("fc", "act"), ("act", "readout"), ("readout", "output")]
    return build_graph(nodes, edges)


def data(steps: int = 12, batch: int = 3, size: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 8, (steps, batch, size)).astype(np.float64)


class Altered:
    """The reference's program with its recordings changed: a runtime that is wrong in a known way."""

    def __init__(self, graph: nir.NIRGraph, change: Change, refused: Sequence[str] = ()) -> None:
        self.program = compile_graph(graph)
        self.plan = self.program.plan
        self.change, self.refused = change, refused

    def __enter__(self) -> Altered:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.close()

    def run(self, x: Any, record: Sequence[str] = ()) -> Recording:
        for name in record:
            if name in self.refused:
                raise UnsupportedError(f"record '{name}'", "is fused away", "Record another")
        found = self.program.run(x, record)
        values = {name: array.copy() for name, array in found.records.items()} | {"output": found.output.copy()}
        self.change(values)
        return Recording(values.pop("output"), values)


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a runtime called 'odd' that changes what the reference gives."""

    def install(change: Change = lambda values: None, refused: Sequence[str] = ()) -> None:
        def fake(graph: nir.NIRGraph, runtime: str, **options: Any) -> Any:
            return Altered(graph, change, refused) if runtime == "odd" else compile_graph(graph, runtime, **options)

        monkeypatch.setattr("nirbridge.comparing.against_reference.compile", fake)
        monkeypatch.setattr("nirbridge.comparing.against_reference.runtime_names", lambda: ("reference", "odd"))

    return install


def test_equal_recordings_agree_and_all_nodes_are_compared(altered: Callable[..., None]) -> None:
    altered()
    found = compare(network(), data(), ["odd"])
    assert [node.node for node in found.nodes] == ["fc", "act", "readout", "output"]
    assert found.agrees
    assert found.exact
    assert all(node.mismatches == 0 and node.largest_difference == 0 for node in found.nodes)
    act = found.nodes[1]
    expected = compile_graph(network()).run(data(), ["act"]).records["act"]
    assert (act.reference_spikes, act.spikes, act.values) == ((expected != 0).sum(),) * 2 + (expected.size,)
    assert act.reference_spikes > 10


def test_a_silent_network_is_told_to_be_one(altered: Callable[..., None]) -> None:
    altered()
    silent = compare(network(), np.zeros((4, 2, 4)), ["odd"])
    warning = "WARNING: no neuron fired"
    assert silent.agrees
    assert silent.to_dict()["silent"] is True
    assert any(line.startswith(warning) for line in silent.verdicts())
    spiking = compare(network(), data(), ["odd"])
    assert spiking.to_dict()["silent"] is False
    assert not any(line.startswith(warning) for line in spiking.verdicts())
    analog = build_graph(
        {"input": nir.Input(np.array([2])), "fc": nir.Linear(np.eye(2)), "output": nir.Output(np.array([2]))},
        [("input", "fc"), ("fc", "output")],
    )
    assert not compare(analog, np.zeros((1, 1, 2)), ["odd"]).silent


def test_one_wrong_spike_of_an_exact_graph_is_beyond_tolerance(altered: Callable[..., None]) -> None:
    def change(values: dict[str, np.ndarray]) -> None:
        t, b, n = np.argwhere(values["act"] == 2)[0]
        values["act"][t, b, n] = 1

    altered(change)
    found = compare(network(), data(), ["odd"])
    act = next(node for node in found.nodes if node.node == "act")
    assert (act.mismatches, act.largest_difference, act.allowed, act.agrees) == (1, 1.0, 0, False)
    assert not found.agrees
    assert found.differing_spikes("odd") == (1, act.reference_spikes)


def test_one_spike_in_ten_thousand_may_differ_where_weights_are_not_dyadic(altered: Callable[..., None]) -> None:
    x = data(steps=1500, batch=4)

    def flip(count: int) -> Change:
        def change(values: dict[str, np.ndarray]) -> None:
            spikes = np.argwhere(values["act"] == 2)[:count]
            values["act"][tuple(spikes.T)] = 0

        return change

    altered(flip(1))
    found = compare(network(0.7), x, ["odd"])
    act = found.nodes[1]
    assert not found.exact
    assert 10_000 <= act.reference_spikes < 30_000
    assert act.allowed == act.reference_spikes // 10_000
    assert found.agrees
    altered(flip(act.allowed + 1))
    assert not compare(network(0.7), x, ["odd"]).agrees
    assert compare(network(0.7), x, ["odd"], tolerance=1e-3).agrees
    altered(flip(1))
    assert not compare(network(0.7), x, ["odd"], tolerance=0.0).agrees


def test_levels_may_be_rounded_to_single_precision(altered: Callable[..., None]) -> None:
    graph = network(0.7)
    graph.nodes["act"] = MultiLevelLIF.uniform((4,), 3, 0.3, output="value")

    def change(values: dict[str, np.ndarray]) -> None:
        values["act"] = values["act"].astype(np.float32)

    altered(change)
    act = compare(graph, data(), ["odd"]).nodes[1]
    assert act.largest_difference > 0
    assert act.mismatches == 0


def test_analog_values_have_a_relative_tolerance(altered: Callable[..., None]) -> None:
    def shift(share: float) -> Change:
        def change(values: dict[str, np.ndarray]) -> None:
            values["fc"][5, 1, 2] += share * np.abs(values["fc"]).max()

        return change

    altered(shift(0.9e-4))
    assert compare(network(), data(), ["odd"]).agrees
    altered(shift(1.1e-4))
    found = compare(network(), data(), ["odd"])
    assert [(n.node, n.mismatches) for n in found.nodes if not n.agrees] == [("fc", 1)]


def test_analog_values_are_judged_up_to_the_first_differing_spike(altered: Callable[..., None]) -> None:
    def change(values: dict[str, np.ndarray]) -> None:
        values["act"][6, 1, 0] += 1
        values["readout"][6:, 1] += 5
        values["readout"][4, 1, 0] += 5
        values["readout"][9, 2, 0] += 5

    altered(change)
    readout = next(n for n in compare(network(), data(), ["odd"]).nodes if n.node == "readout")
    # Step 4 of sample 1 lies before the spike; sample 2 has no differing spike at all.
    assert readout.mismatches == 2
    assert readout.largest_difference == 5


def test_in_windows_a_spike_excuses_its_whole_window_and_no_earlier_one(altered: Callable[..., None]) -> None:
    graph = network()
    graph.nodes["readout"] = TemporalMix(np.ones((2, 4)))
    graph.nodes["output"] = nir.Output(np.array([4]))
    graph = build_graph(graph.nodes, graph.edges)

    def change(values: dict[str, np.ndarray]) -> None:
        values["act"][7, 0, 0] += 1
        values["readout"][1:4, 0, 0] += 5

    altered(change)
    # 12 steps are 3 windows of 4, which become 3 windows of 2: step 7 lies in window 1, the steps 2 and 3 of the mix.
    readout = next(n for n in compare(graph, data(), ["odd"]).nodes if n.node == "readout")
    assert readout.mismatches == 1


def test_values_that_are_not_finite_never_agree(altered: Callable[..., None]) -> None:
    def change(values: dict[str, np.ndarray]) -> None:
        values["fc"][0, 0, 0] = np.nan
        values["act"][0, 0, 0] = np.nan

    altered(change)
    found = compare(network(), data(), ["odd"])
    assert [node.agrees for node in found.nodes[:2]] == [False, False]
    assert found.nodes[0].largest_difference == float("inf")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["nodes"][0]["largest_difference"] is None


def test_another_shape_is_a_defect_of_the_runtime(altered: Callable[..., None]) -> None:
    def change(values: dict[str, np.ndarray]) -> None:
        values["fc"] = values["fc"][1:]

    altered(change)
    with pytest.raises(ExecutionError, match=r"runtime 'odd': gave shape \(11, 3, 4\) for node 'fc'"):
        compare(network(), data(), ["odd"])


def test_a_node_that_cannot_be_recorded_is_named(altered: Callable[..., None]) -> None:
    altered(refused=("fc", "readout"))
    found = compare(network(), data(), ["odd"])
    assert found.unrecorded == {"odd": ("fc", "readout")}
    assert [node.node for node in found.nodes] == ["act", "output"]


def test_a_runtime_that_cannot_run_it_is_skipped_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(graph: nir.NIRGraph, runtime: str, **options: Any) -> Any:
        if runtime == "gone":
            raise RuntimeUnavailableError("runtime 'gone'", "is missing", "Install it")
        return compile_graph(graph, "reference", **options)

    monkeypatch.setattr("nirbridge.comparing.against_reference.compile", fake)
    monkeypatch.setattr("nirbridge.comparing.against_reference.runtime_names", lambda: ("reference", "gone", "twin"))
    found = compare(network(), data())
    assert found.runtimes == ("twin",)
    assert found.skipped == {"gone": "runtime 'gone': is missing. Install it."}
    with pytest.raises(RuntimeUnavailableError, match="is missing"):
        compare(network(), data(), ["twin", "gone"])
    monkeypatch.setattr("nirbridge.comparing.against_reference.runtime_names", lambda: ("reference", "gone"))
    with pytest.raises(InputError, match=r"none besides the reference runs this graph here \(gone: runtime 'gone'"):
        compare(network(), data())


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan")])
def test_a_tolerance_that_is_no_share(tolerance: float) -> None:
    with pytest.raises(InputError, match="not within 0..1"):
        compare(network(), data(), ["norse"], tolerance)


def test_only_the_reference_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="no runtime besides the reference"):
        compare(network(), data(), ["reference"])


@pytest.mark.parametrize(
    ("spoil", "dyadic"),
    [
        (lambda graph, x: None, True),
        (lambda graph, x: graph.nodes["fc"].weight.__imul__(0.7), False),
        (lambda graph, x: graph.nodes["fc"].weight.__imul__(2.0**-14), False),
        (lambda graph, x: graph.nodes["fc"].weight.__imul__(2.0**14), False),
        (lambda graph, x: setattr(graph.nodes["act"], "decay", np.array(0.9)), False),
        (lambda graph, x: x.__iadd__(0.1), False),
    ],
    ids=["dyadic", "weight", "fine", "large", "decay", "data"],
)
def test_short_dyadic_numbers(spoil: Callable[..., None], dyadic: bool) -> None:
    graph, x = network(), data()
    spoil(graph, x)
    assert is_dyadic(make_plan(graph), [x]) is dyadic


def test_a_time_constant_counts_as_dt_over_tau() -> None:
    one = np.ones(1)
    nodes = {
        "in": nir.Input(np.array([1])),
        "lif": nir.LIF(one * 0.004, one, one * 0, one),
        "out": nir.Output(np.array([1])),
    }
    graph = build_graph(nodes, [("in", "lif"), ("lif", "out")])
    assert is_dyadic(make_plan(graph, dt=0.001), [])
    assert not is_dyadic(make_plan(graph, dt=0.0013), [])


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    nirbridge.write(tmp_path / "m.nir", network())
    np.save(tmp_path / "x.npy", data())
    return str(tmp_path / "m.nir"), str(tmp_path / "x.npy")


def test_the_command_agrees_with_exit_code_0(files: tuple[str, str], altered: Callable[..., None]) -> None:
    altered(refused=("fc",))
    result = CliRunner().invoke(main, ["compare", files[0], "-i", files[1]])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["node", "type", "runtime"]
    assert lines[1].split()[:3] == ["act", "MultiLevelLIF", "odd"]
    assert lines[1].endswith("agrees")
    assert "odd: did not record fc" in lines
    assert any(line.startswith("odd: agrees with the reference; 0 of ") for line in lines)


def test_the_command_differs_with_exit_code_1(files: tuple[str, str], altered: Callable[..., None]) -> None:
    def change(values: dict[str, np.ndarray]) -> None:
        values["act"][3, 0, 0] += 1

    altered(change)
    result = CliRunner().invoke(main, ["compare", files[0], "-i", files[1]])
    assert result.exit_code == 1
    assert result.stderr == ""
    assert "odd: differs beyond the tolerance in act; 1 of " in result.stdout
    parsed = CliRunner().invoke(main, ["compare", files[0], "-i", files[1], "--json"])
    assert parsed.exit_code == 1
    found = json.loads(parsed.stdout)
    assert not found["agrees"]
    assert [node["mismatches"] for node in found["nodes"]] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("names", "found"), [("odd,loihi9", "runtime 'loihi9': is not installed"), ("reference", "no runtime besides")]
)
def test_the_command_refuses_names_with_exit_code_2(
    names: str, found: str, files: tuple[str, str], altered: Callable[..., None]
) -> None:
    altered()
    result = CliRunner().invoke(main, ["compare", files[0], "-i", files[1], "--runtimes", names])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert found in result.stderr


def test_norse_agrees_on_a_dyadic_graph() -> None:
    if not nirbridge.runtimes()["norse"].usable:
        pytest.skip("the norse runtime cannot be used here")
    found = compare(network(), data(), ["norse"])
    assert found.exact
    assert found.agrees
    assert found.differing_spikes("norse")[0] == 0


def handing_on(weight: float = 1.0) -> nir.NIRGraph:
    """A neuron whose spikes go through nodes that hand them on, and an analog output beside."""
    nodes = {
        "input": nir.Input(np.array([1, 4, 4])),
        "act": nir.IF(*(np.full((1, 4, 4), value) for value in (weight, 1.0, 0.0))),
        "late": nir.Delay(np.full((1, 4, 4), 2e-3)),
        "pool": MaxPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1),
        "spikes": nir.Output(np.array([4])),
        "sum": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "analog": nir.Output(np.array([1, 2, 2])),
    }
    path = ["input", "act", "late", "pool", "flat", "spikes"]
    return build_graph(nodes, [*pairwise(path), ("act", "sum"), ("sum", "analog")])


def test_spikes_that_are_handed_on_are_judged_as_spikes(altered: Callable[..., None]) -> None:
    """One by one and by their share, not by the tolerance of analog values; and those are not judged as spikes."""
    altered()
    x = np.random.default_rng(0).integers(0, 3, (20, 1, 1, 4, 4)).astype(np.float64)
    found = {node.node: node for node in compare(handing_on(), x, ["odd"]).nodes}
    assert {name for name, node in found.items() if node.spiking} == {"act", "late", "pool", "flat", "spikes"}
    for node in found.values():
        assert (node.to_dict()["spikes"] is None) is not node.spiking
        assert node.to_dict()["nonzero"] == node.spikes
    altered(lambda values: values["pool"].__setitem__((3, 0, 0, 0, 0), values["pool"][3, 0, 0, 0, 0] + 1e-4))
    assert [node.node for node in compare(handing_on(0.7), x, ["odd"]).nodes if node.mismatches] == ["pool"]
    altered(lambda values: values["sum"].__iadd__(1e-5))
    assert compare(handing_on(0.7), x, ["odd"]).agrees


def test_an_analog_graph_has_no_word_of_spikes(altered: Callable[..., None]) -> None:
    altered()
    nodes = {"input": nir.Input(np.array([2])), "fc": nir.Linear(np.eye(2)), "output": nir.Output(np.array([2]))}
    found = compare(build_graph(nodes, [("input", "fc"), ("fc", "output")]), np.ones((1, 1, 2)), ["odd"])
    assert found.verdicts()[1] == "odd: agrees with the reference"
    assert "spike" not in found.table()
