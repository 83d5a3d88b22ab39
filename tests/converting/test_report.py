"""The report: errors, activity and latency against computations of their own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.converting import Latency, measure, quantised
from nirbridge.converting.plotting import draw
from nirbridge.errors import InputError
from tests.converting.networks import Trained
from tests.converting.published import convert_in_full


def test_latency_with_and_without_pipelining() -> None:
    latency = Latency(phases=16, wait=10, depth=5)
    assert latency.pipelined(100) == 100 * 16 + 5 * 10
    assert latency.sequential(100) == 100 * (16 + 5 * 10)
    assert latency.pipelined() == latency.sequential() == 66


def test_errors_are_those_of_decoded_spikes(mlp: Trained) -> None:
    x = mlp.test[:50]
    conversion = convert_in_full(mlp.module, mlp.train, phases=16, base=1.3)
    report = measure(conversion, x)
    with nirbridge.compile(conversion.graph) as program:
        run = program.run(x[None], record=["act2"])
    hooked = []
    handle = mlp.module.act2.register_forward_hook(lambda m, i, y: hooked.append(y.numpy().copy()))
    with torch.no_grad():
        mlp.module(torch.as_tensor(x))
    handle.remove()
    spikes, scale = run.records["act2"], hooked[0].max()
    lam = conversion.layers[1].scale
    decoded = sum(1.3**-k * spikes[k - 1] for k in range(1, 17)) * lam
    error = np.abs(decoded - hooked[0])
    layer = report.layers[1]
    assert scale <= lam * 1.2
    assert layer.name == "act2"
    assert layer.neurons == 32
    assert layer.mean_absolute == pytest.approx(error.mean(), rel=1e-9)
    power = (hooked[0].astype(float) ** 2).sum()
    assert layer.error == pytest.approx((error.astype(float) ** 2).sum() / power, rel=1e-6)
    own = lam * quantised(hooked[0].astype(float) / lam, 1.3, 16) - hooked[0]
    assert layer.own_error == pytest.approx((own**2).sum() / power, rel=1e-6)
    last = lam * 1.3**-16 * (1 + 1 / 1.3) / 2
    some = hooked[0][hooked[0] > 0]
    assert layer.below == pytest.approx((some < last).mean(), rel=1e-9)
    assert layer.rate == pytest.approx(spikes.sum() / hooked[0].size, rel=1e-12)
    assert layer.silent == pytest.approx(1 - spikes.any((0, 1)).mean(), rel=1e-12)
    assert layer.clipped == pytest.approx((hooked[0] > lam / 1.3).mean(), rel=1e-9)
    assert layer.scale == (lam, lam)
    assert report.agreement == (run.output[-1].argmax(1) == mlp.analog()[:50].argmax(1)).mean()


def test_small_batches_change_nothing(cnn: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    conversion = convert_in_full(cnn.module, cnn.train)
    expected = measure(conversion, cnn.test[:7], "norse", dtype="float64").to_dict()
    monkeypatch.setattr("nirbridge.runtime.program._RECORDED", 1)
    found = measure(conversion, cnn.test[:7], "norse", dtype="float64").to_dict()
    assert found["agreement"] == expected["agreement"]
    for layer, other in zip(found["layers"], expected["layers"], strict=True):
        assert layer["error"] == pytest.approx(other["error"], rel=1e-9)
        assert layer["silent"] == other["silent"]


def test_the_report_is_plain_data(cnn: Trained) -> None:
    report = measure(convert_in_full(cnn.module, cnn.train, weight_bits=8), cnn.test[:20], "norse")
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["options"]["weight_bits"] == 8
    assert [layer["name"] for layer in data["layers"]] == ["relu", "relu_1", "avgpool.spike"]
    assert data["latency"]["pipelined"] == 20 * 16 + 3 * 16
    assert data["samples"] == 20


def test_the_plot_has_a_bar_for_every_layer(cnn: Trained, tmp_path) -> None:
    from matplotlib import image

    draw(measure(convert_in_full(cnn.module, cnn.train), cnn.test[:10], "norse"), tmp_path / "r.png")
    picture = image.imread(tmp_path / "r.png")
    assert min(picture.shape[:2]) > 400
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["r.png"]


def test_no_legend_covers_a_bar(cnn: Trained, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nirbridge.converting import plotting

    drawn = []
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: drawn.append(figure))
    draw(measure(convert_in_full(cnn.module, cnn.train), cnn.test[:4]), tmp_path / "r.png")
    (figure,) = drawn
    figure.draw_without_rendering()
    assert len(figure.axes) == 3
    for axis in figure.axes:
        assert axis.get_legend().get_window_extent().y0 >= axis.get_window_extent().y1


def test_a_network_without_neurons_has_no_plot(tmp_path) -> None:
    torch.manual_seed(0)
    x = np.ones((2, 3))
    report = measure(convert_in_full(nn.Sequential(nn.Linear(3, 2)), x), x)
    assert report.layers == ()
    with pytest.raises(InputError, match="no spiking layer"):
        draw(report, tmp_path / "r.png")
    assert not list(tmp_path.iterdir())
