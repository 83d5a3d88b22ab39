"""Trained networks keep their accuracy in integers."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.quantizing import quantize_with_report

COUNT = 120


def accuracy(graph: nir.NIRGraph, x: np.ndarray, labels: np.ndarray) -> float:
    with nirbridge.compile(graph, "norse") as program:
        return float((program.run(x).output.mean(0).argmax(1) == labels).mean())


def assert_no_mismatch(graph: nir.NIRGraph, x: np.ndarray, names: list[str]) -> None:
    """Spikes, membranes and scores of reference and norse."""
    names = [*names, *(f"{name}:v" for name in names)]
    found = []
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime) as program:
            assert program.plan.input_limit
            found.append(program.run(x, record=names))
    assert (found[0].output == found[1].output).all()
    for name in names:
        assert (found[0].records[name] == found[1].records[name]).all(), name
        assert np.count_nonzero(found[0].records[name]) > 100


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[nir.NIRGraph, np.ndarray, np.ndarray]:
    pytest.importorskip("sklearn")
    pytest.importorskip("norse")
    from nirbridge.demo.run import export_network
    from nirbridge.demo.scene import TRAINING, digits, film, frames

    images, labels = digits()
    chosen = slice(TRAINING, TRAINING + COUNT)
    x = np.stack([frames(film(image)) for image in images[chosen]], axis=1)
    return export_network(tmp_path_factory.mktemp("demo") / "demo.nir"), x, labels[chosen]


@pytest.mark.parametrize(("bits", "loss"), [(8, 0.01), (6, 0.025), (5, 0.05)])
def test_digits(demo: tuple[nir.NIRGraph, np.ndarray, np.ndarray], bits: int, loss: float) -> None:
    graph, x, labels = demo
    integers, report = quantize_with_report(graph, bits, x[:, :30])
    before, after = accuracy(graph, x, labels), accuracy(integers, x, labels)
    assert before > 0.85
    assert after >= before - loss
    assert all(layer.states_saturated == 0 for layer in report.layers)
    assert_no_mismatch(integers, x[:, :20], ["conv_act", "hidden_act"])
