"""The width of numbers and the steps of an inference that a graph says itself."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main
from nirbridge.errors import InputError
from nirbridge.evaluating import candidate, sweep
from nirbridge.ir import MultiLevelLIF, Quantize, TemporalMix, mark_inference
from tests.conformance.cases import Graph, line

X = np.random.default_rng(0).random((5, 3, 4))


def network() -> Graph:
    weight = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    return line(nir.Linear(weight), nir.IF(np.ones(6), np.ones(6)), nir.Linear(weight[:2, :1] * np.ones(6)), shape=(4,))


def whole(high: int, dtype: type, *before: nir.NIRNode) -> Graph:
    return line(*before, nir.Linear(np.array([[1, -2, 3, high]], dtype)), nir.I(np.ones(1, dtype)), shape=(4,))


@pytest.mark.parametrize(
    ("graph", "bits"),
    [
        (network(), 32),
        (nirbridge.quantize(network(), X), 8),
        (nirbridge.quantize(network(), X, weight_bits=3), 8),
        (nirbridge.quantize(network(), X, input="integers"), 8),
        (whole(127, np.int32), 8),
        (whole(128, np.int32), 32),
        (whole(127, np.float32), 32),
        (whole(127, np.float32, Quantize((4,), 0.1)), 8),
        (whole(1000, np.float32, Quantize((4,), 0.1)), 32),
    ],
)
def test_eight_bit_graphs_are_priced_as_such(graph: Graph, bits: int) -> None:
    """One dense layer of MACs: 4.6 pJ each in floating point, 0.23 in integers of 8 bits."""
    report = nirbridge.energy(graph, X)
    assert report.bits == bits
    first = report.layers[0]
    assert first.pj == pytest.approx(first.operations * (4.6 if bits == 32 else 0.23))
    assert any("priced at 8 bits" in text for text in report.assumptions) is (bits == 8)
    other = nirbridge.energy(graph, X, bits=40 - bits)
    assert other.bits == 40 - bits
    assert "as asked, although it" in other.assumptions[0]


def qcfs(steps: int) -> Graph:
    """What conversion makes of one layer with Q = 4: T steps of one frame, L = 4/T levels, and their mean."""
    levels = 4 // steps
    mixes = [TemporalMix(np.ones((steps, 1))), TemporalMix(np.full((1, steps), 1 / steps))]
    inner = [nir.Linear(np.eye(4)), MultiLevelLIF.uniform((4,), levels, 1 / levels, v_init=0.5 / levels)]
    nodes = inner if steps == 1 else [mixes[0], *inner, mixes[1]]
    graph = line(*nodes, nir.Linear(np.ones((2, 4))), shape=(4,))
    mark_inference(graph, 1)
    return graph


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_converted_graph_is_judged_at_its_own_steps(steps: int) -> None:
    images, labels = np.random.default_rng(2).random((7, 4)), np.zeros(7, dtype=np.int64)
    expected = sweep([candidate("a", qcfs(steps), images[None], labels)]).outcomes[0]
    assert expected.steps == expected.latency == steps
    for given in (None, 1, steps):
        found = sweep([candidate("a", qcfs(steps), images, labels, steps=given)]).outcomes[0]
        assert found == expected
    with pytest.raises(InputError, match=f"converted for T = {steps}, but 3 steps are asked for. Leave --steps out"):
        candidate("a", qcfs(steps), images, labels, steps=3)


def test_frames_of_a_converted_graph_are_inferences() -> None:
    x = np.random.default_rng(2).random((1, 7, 4))
    one, three = (nirbridge.energy(qcfs(2), np.repeat(x, count, axis=0)) for count in (1, 3))
    assert (one.inferences, three.inferences) == (1, 3)
    assert one.assumptions[0] == "converted for 1 frame an inference, T = 2"
    assert three.assumptions[0].endswith("3 inferences follow one another, and membranes carry over between them")
    assert three.layers[1].pj == pytest.approx(one.layers[1].pj)
    forced = nirbridge.energy(qcfs(2), np.repeat(x, 3, axis=0), inferences=1)
    assert forced.assumptions[0].endswith("here an inference has 3 frames")


def test_the_command_line_says_what_it_took(tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "a.nir", network())
    nirbridge.write(tmp_path / "q.nir", nirbridge.quantize(network(), X))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.zeros(3, dtype=np.int64))

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(main, [a if "." not in a else str(tmp_path / a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "model 'm-lif', 8 bits" in said("energy", "q.nir", "-i", "x.npy")
    assert "model 'm-lif', 32 bits" in said("energy", "a.nir", "-i", "x.npy")
    both = said("frontier", "a.nir", "q.nir", "-i", "x.npy", "--labels", "y.npy")
    assert both.splitlines()[0].split()[:4] == ["network", "neurons", "T", "bits"]
    assert "8 and 32 bits" in both
    asked = said("frontier", "a.nir", "q.nir", "-i", "x.npy", "--labels", "y.npy", "--bits", "8")
    assert asked.splitlines()[0].split()[:4] == ["network", "neurons", "T", "accuracy"]
