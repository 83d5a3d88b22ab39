"""Trained networks keep their accuracy in integers."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseIF, TemporalMix
from nirbridge.neurons import QCFS
from nirbridge.quantizing import quantize_with_report
from nirbridge.training import lmht_from_qcfs
from tests.converting.networks import digits

COUNT = 120


def accuracy(graph: nir.NIRGraph, x: np.ndarray, labels: np.ndarray) -> float:
    """Of decisions by the mean over time."""
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


def mlp(activation: Callable[[], nn.Module]) -> tuple[nn.Module, np.ndarray, np.ndarray, np.ndarray]:
    """A network trained on digits for a second; training pictures, test pictures and labels."""
    pytest.importorskip("sklearn")
    pytest.importorskip("norse")
    x, y, test, labels = (np.asarray(a, dtype=t) for a, t in zip(digits(), ("f4", "i8") * 2, strict=True))
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 48), activation(), nn.Linear(48, 32), activation(), nn.Linear(32, 10)
    )
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    for _ in range(12):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(torch.from_numpy(x[batch])), torch.from_numpy(y[batch])).backward()
            optimizer.step()
    return module.eval(), x, test, labels


def test_one_spike_network_keeps_its_accuracy() -> None:
    """T = 16, Q = 1.3: within one point, and the same integers on two runtimes."""
    module, train, test, labels = mlp(nn.ReLU)
    graph = nirbridge.convert(module, train, method="one-spike", phases=16, base=1.3)
    integers, report = quantize_with_report(graph, train[None, :50])
    x = test[None]
    found = []
    for network in (graph, integers):
        with nirbridge.compile(network, "norse") as program:
            found.append(float((program.run(x).output[-1].argmax(1) == labels).mean()))
    assert found[0] > 0.93
    assert found[1] >= found[0] - 0.01
    assert all(layer.states_saturated == 0 for layer in report.layers)
    names = [name for name, node in integers.nodes.items() if type(node) in (PhaseIF, PhaseDecode)]
    assert len(names) == 3
    assert_no_mismatch(integers, x[:, :20], names)


def test_lm_ht_network_keeps_its_accuracy() -> None:
    """Three steps of mixing by 1/3, which integers say exactly."""
    module, train, test, labels = mlp(lambda: QCFS(12))
    graph = nirbridge.export(lmht_from_qcfs(module, 3), input_shape=(1, 8, 8))
    still, shown = (np.repeat(frames[None], 3, axis=0) for frames in (train[:50], test))
    integers = nirbridge.quantize(graph, still)
    mixes = [node for node in integers.nodes.values() if type(node) is TemporalMix]
    assert len(mixes) == 2
    assert all((mix.weight == 1).all() for mix in mixes)
    before, after = accuracy(graph, shown, labels), accuracy(integers, shown, labels)
    assert before > 0.93
    assert after >= before - 0.01
    names = [name for name, node in integers.nodes.items() if type(node) is MultiLevelLIF]
    assert_no_mismatch(integers, shown[:, :20], names)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[nir.NIRGraph, np.ndarray, np.ndarray]:
    pytest.importorskip("sklearn")
    pytest.importorskip("norse")
    from nirbridge.demo.run import export_network
    from nirbridge.demo.scene import TRAINING, film, frames
    from nirbridge.demo.scene import digits as demo_digits

    images, labels = demo_digits()
    chosen = slice(TRAINING, TRAINING + COUNT)
    x = np.stack([frames(film(image)) for image in images[chosen]], axis=1)
    return export_network(tmp_path_factory.mktemp("demo") / "demo.nir"), x, labels[chosen]


@pytest.mark.parametrize(("bits", "loss"), [(8, 0.01), (6, 0.025), (5, 0.05)])
def test_digits(demo: tuple[nir.NIRGraph, np.ndarray, np.ndarray], bits: int, loss: float) -> None:
    graph, x, labels = demo
    integers, report = quantize_with_report(graph, x[:, :30], weight_bits=bits)
    before, after = accuracy(graph, x, labels), accuracy(integers, x, labels)
    assert before > 0.85
    assert after >= before - loss
    assert all(layer.states_saturated == 0 for layer in report.layers)
    assert_no_mismatch(integers, x[:, :20], ["conv_act", "hidden_act"])
