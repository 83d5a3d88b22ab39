"""The report, the runtimes it may come from, and what is refused."""

from __future__ import annotations

import itertools
import json

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.costing import EnergyReport
from nirbridge.errors import GraphError, InputError, RuntimeUnavailableError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, PhaseEncode
from tests.costing.nets import conv, entry, line, net

MODELS = ("m-lif", "one-spike", "memory")


def small() -> nir.NIRGraph:
    """A convolution, pooling and a linear layer, all weights dyadic."""
    rng = np.random.default_rng(3)
    two = np.array([2, 2])
    return line(
        conv(rng.integers(-2, 4, (4, 2, 3, 3)) * 0.25, 0.25, padding=1),
        MultiLevelLIF.one_hot((4, 6, 6), 3),
        nir.SumPool2d(two, two, np.array([0, 0])),
        nir.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        nir.Affine(rng.integers(-2, 4, (3, 36)) * 0.25, np.zeros(3)),
        entry=entry(2, 6, 6),
        leaves=(3,),
    )


X = np.random.default_rng(4).integers(0, 3, (3, 2, 2, 6, 6)).astype(np.float64)


@pytest.mark.parametrize("model", MODELS)
def test_totals_are_the_sums_of_the_rows(model: str) -> None:
    report = nirbridge.energy(small(), X, model=model, input_kind="events")
    for name in ("pj", "ann_pj", "macs", "operations", "events", "values"):
        assert getattr(report, name) == pytest.approx(sum(getattr(row, name) for row in report.layers))
    assert report.ratio == pytest.approx(report.ann_pj / report.pj)
    for row in report.layers:
        assert sum(row.parts.values()) == pytest.approx(row.pj)


@pytest.mark.parametrize("model", MODELS)
def test_every_node_is_a_row_a_neuron_of_one_or_listed(model: str) -> None:
    graph = small()
    report = nirbridge.energy(graph, X, model=model)
    rows = [row.layer for row in report.layers]
    neurons = itertools.chain.from_iterable(row.neurons for row in report.layers) if model == "memory" else ()
    assert sorted([*rows, *neurons, *report.not_counted]) == sorted(graph.nodes)
    assert all(report.not_counted.values())


@pytest.mark.parametrize("model", MODELS)
def test_runtimes_give_one_report(model: str) -> None:
    pytest.importorskip("norse")
    reports = [nirbridge.energy(small(), X, runtime, model).to_dict() for runtime in ("reference", "norse")]
    assert [report.pop("runtime") for report in reports] == ["reference", "norse"]
    assert reports[0] == reports[1]


def test_the_report_is_plain_data() -> None:
    report = nirbridge.energy(small(), X, model="memory", bits=8)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["total"]["pj"] == pytest.approx(report.pj)
    assert data["layers"][0]["counts"]["weights reads"] == report["n0"].counts["weights reads"]
    assert data["layers"][1]["neurons"] == []
    assert list(data["not_counted"]) == ["input", "n2", "n3", "output"]


def test_the_table_shows_rows_totals_and_reasons() -> None:
    report = nirbridge.energy(small(), X)
    lines = report.table().splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert lines[0].split()[-4:] == ["pJ", "ANN", "pJ", "ANN/SNN"]
    assert [line.split()[0] for line in lines[1:4]] == ["n0", "n4", "total"]
    assert f"{report['n4'].rate:.4f}" in lines[2]
    assert "not counted: n3: renames positions, moves no data" in lines


def test_silence_has_no_ratio() -> None:
    report = nirbridge.energy(small(), 0 * X, input_kind="events", model="m-lif")
    assert report["n0"].ratio is None
    assert report["n0"].pj == 0
    assert report.table().splitlines()[1].split()[-1] == "-"
    json.dumps(report.to_dict(), allow_nan=False)


def test_several_inputs_come_by_name() -> None:
    nodes = {"a": entry(2), "b": entry(2), "fc": nir.Linear(np.ones((3, 2)))}
    graph = net(nodes, "a fc output", "b fc")
    report = nirbridge.energy(graph, {"a": np.ones((2, 1, 2)), "b": np.zeros((2, 1, 2))}, input_kind="events")
    assert (report["fc"].events, report["fc"].values) == (4, 4)
    assert len(report.assumptions) == 2


def _energy(x: object = X, **options: object) -> EnergyReport:
    return nirbridge.energy(small(), x, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "joules"}, "option 'model': 'joules' is not among 'm-lif', 'one-spike', 'memory'"),
        ({"bits": 4}, "option 'bits': 4 is not among 32, 8"),
        ({"input_kind": "spikes"}, "option 'input_kind': 'spikes' is not among 'analog', 'events'"),
        ({"inferences": 2}, "option 'inferences': 3 steps do not divide into 2 inferences"),
        ({"inferences": 0}, "option 'inferences': 0 is not a whole number from 1 on"),
        ({"inferences": True}, "option 'inferences': True is not a whole number"),
        ({"x": X[0]}, "input for node 'input' (Input): shape (2, 2, 6, 6), expected [T, B, 2, 6, 6]"),
        ({"x": X[:, :0]}, "holds no step or no sample"),
        ({"x": np.float64(1.0)}, "shape (), expected [T, B, 2, 6, 6]"),
        ({"x": np.full_like(X, np.nan)}, "holds NaN or infinity"),
        ({"x": {"other": X}}, "data for ['other'], but the inputs are ['input']"),
        ({"x": X.astype(str)}, "expected real numbers"),
    ],
)
def test_what_does_not_fit_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        _energy(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_value_in_a_later_part_is_found() -> None:
    x = np.ones((1, 40, 2, 6, 6))
    x[0, 39, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="holds NaN or infinity"):
        _energy(x)


def test_runtimes_and_options_are_those_of_compile() -> None:
    with pytest.raises(RuntimeUnavailableError):
        _energy(runtime="loihi9")
    with pytest.raises(UnsupportedError):
        _energy(colour="red")


def test_graphs_without_synapses_or_with_two_codes_are_refused() -> None:
    with pytest.raises(InputError, match="has no layer of synapses"):
        nirbridge.energy(line(MultiLevelLIF.one_hot((2,), 2), entry=entry(2)), np.ones((1, 1, 2)))
    two_codes = line(PhaseEncode((2,), 4), nir.Linear(np.ones((1, 2))), PhaseEncode((1,), 2), entry=entry(2))
    assert nirbridge.energy(two_codes, np.ones((3, 1, 2)), inferences=3).inferences == 3
    with pytest.raises(InputError, match="the phase-coded nodes make 3 and 12 windows of these data"):
        nirbridge.energy(two_codes, np.ones((3, 1, 2)))
    with pytest.raises(GraphError):
        nirbridge.energy(nir.NIRGraph({"input": entry(2)}, [("input", "gone")], type_check=False), np.ones((1, 1, 2)))
