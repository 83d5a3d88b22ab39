"""Calibration that keeps decisions: codes, ceilings, ranges, biases, and what is told of odd data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.converting import Conversion, calibration, convert_in_full, measure
from nirbridge.converting.coding import Code
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Relu
from nirbridge.converting.observing import Observed
from nirbridge.converting.ranges import scale
from nirbridge.errors import InputError
from nirbridge.ir import PhaseIF
from nirbridge.primitives.phase_if import _run, _values
from tests.converting.exact import assert_exact
from tests.converting.networks import Trained


def trains(a: np.ndarray, code: Code) -> np.ndarray:
    """What a PhaseIF itself makes of activations in units of λ, decoded: they are its bias, and nothing enters."""
    steps = code.phases, code.phases, 2.0, code.base
    node = PhaseIF(a.shape, *steps, np.asarray(1.0), a, code.first_phase, code.rounding, code.spikes)
    fired, _ = _run([np.zeros(a.shape)] * code.phases, **_values(node))
    return np.tensordot(code.levels, np.asarray(fired, dtype=float), (0, 0))


@pytest.mark.parametrize(("base", "phases", "first", "spikes"), [
    (1.3, 16, 1, 1), (2.0, 4, 0, 1), (1.5, 12, 1, 2), (2.0, 8, 1, 4), (1.2, 6, 2, 9),
])  # fmt: skip
@pytest.mark.parametrize("rounding", [True, False])
def test_the_staircase_is_what_the_neuron_sends(
    base: float, phases: int, first: int, spikes: int, rounding: bool
) -> None:
    code = Code(base, phases, first, rounding, spikes)
    a = np.random.default_rng(0).uniform(-0.2, 1.3 * code.largest, 4000)
    found = code(torch.tensor(a)).numpy()
    np.testing.assert_allclose(found, trains(a, code), rtol=1e-9, atol=1e-12)
    assert found.max() == pytest.approx(code.largest)
    assert (found[a < code.smallest] == 0).all()


class Bounded(nn.Module):
    def __init__(self, activation: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Linear(64, 3)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.activation(20 * self.first(x)).flatten(1))


BOUNDED = {
    "ReLU6": (nn.ReLU6(), 6),
    "relu6": (nn.functional.relu6, 6),
    "Hardtanh": (nn.Hardtanh(0, 2.5), 2.5),
    "hardtanh": (lambda x: nn.functional.hardtanh(x, 0, 2.5), 2.5),
    "clamp": (lambda x: torch.clamp(x, 0, 4), 4),
    "method": (lambda x: x.clamp(min=0.0, max=4.0), 4),
    "clip": (lambda x: x.clip(0, 4), 4),
    "clamp_min": (lambda x: x.clamp_min(0), np.inf),
    "Threshold": (nn.Threshold(0, 0), np.inf),
    "threshold": (lambda x: nn.functional.threshold(x, 0, 0.0), np.inf),
    "only below": (lambda x: torch.clamp(x, min=0), np.inf),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_ceiling_is_where_the_code_ends(name: str) -> None:
    activation, ceiling = BOUNDED[name]
    x = np.random.default_rng(0).random((6, 2, 6, 6))
    conversion = assert_exact(Bounded(activation), x)
    (layer,) = conversion.layers
    assert layer.code is not None
    ends = layer.scale * layer.code.largest
    assert (ends <= ceiling * (1 + 1e-12)).all()
    assert np.isclose(ends, ceiling).any() == np.isfinite(ceiling)


@pytest.mark.parametrize("function", [
    lambda x: x.clamp(-1, 1), lambda x: x.clamp(max=3), lambda x: x.clamp(0, 0),
    lambda x: x.clamp(0, torch.ones(4, 1, 1)),
])  # fmt: skip
def test_other_bounds_are_refused(function: Any) -> None:
    with pytest.raises(nirbridge.errors.ExportError, match="keeps values between .* Clamp from 0"):
        nirbridge.convert(Bounded(function), np.random.default_rng(0).random((4, 2, 6, 6)))


def test_ranges_by_rule() -> None:
    """Paper: the maximum; margin: room above it, as far as batch normalisation says, at most the ceiling."""
    code = Code(1.5, 8)
    rows = torch.rand(2, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    observed = Observed(np.array([[1.0], [2.0]]), rows * torch.tensor([[1.0], [2.0]]))
    largest = observed.largest
    np.testing.assert_allclose(scale(code, observed, "paper", 1.5, Relu()), largest)
    np.testing.assert_allclose(scale(code, observed, "margin", 1.5, Relu()) * code.largest, 1.5 * largest)
    told = Relu(center=np.array([[0.0], [0.0]]), spread=np.array([[0.5], [9.0]]))
    np.testing.assert_allclose(scale(code, observed, "margin", 1.5, told) * code.largest, [[2.25], [4.5]])
    np.testing.assert_allclose(scale(code, observed, "margin", 1.5, Relu(ceiling=1.2)) * code.largest, 1.2)
    found = scale(code, observed, "error", 1.5, Relu())
    for row, lam in zip(observed.sample, found.ravel(), strict=True):
        errors = [float(((row - unit * code(row / unit)) ** 2).sum()) for unit in (lam, 0.8 * lam, 1.25 * lam)]
        assert errors[0] == min(errors)


def test_biases_keep_the_means_of_channels(cnn: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the calibration data, of every layer, and so the output is nearer on others."""
    options: dict[str, Any] = {"phases": 4, "base": 1.6, "margin": 1.3}
    moved = convert_in_full(cnn.module, cnn.train, **options)
    monkeypatch.setattr(calibration, "corrected", lambda graph, coded, *others: coded)
    plain = convert_in_full(cnn.module, cnn.train, **options)
    for name in ("relu", "relu_1"):
        wanted = channel_means(cnn, cnn.train[:200])[name]
        apart = [np.abs(decoded_means(found, name, cnn.train[:200]) - wanted).sum() for found in (moved, plain)]
        assert apart[0] < 0.5 * apart[1], name
    errors = [measure(found, cnn.test[:100], "norse").output_error for found in (moved, plain)]
    assert errors[0] < 0.8 * errors[1]


def decoded_means(conversion: Conversion, name: str, x: np.ndarray) -> np.ndarray:
    layer = next(layer for layer in conversion.layers if layer.name == name)
    assert layer.code is not None
    with nirbridge.compile(conversion.graph, "norse") as program:
        spikes = program.run(x[None], record=[name]).records[name]
    return (np.tensordot(layer.code.levels, spikes, (0, 0)) * layer.scale).mean((0, 2, 3))


def channel_means(trained: Trained, x: np.ndarray) -> dict[str, np.ndarray]:
    graph = convert_in_full(trained.module, x, calibrate="paper").analog
    assert graph is not None
    whole = torch.as_tensor(x)
    with torch.no_grad():
        run = functions(graph, whole.dtype)
        return {name: y.mean((0, 2, 3)).numpy() for name, _, y in values(graph, run, whole) if y.ndim == 4}


@pytest.mark.parametrize("spikes", [2, 4])
def test_several_spikes_are_nearer(cnn: Trained, spikes: int) -> None:
    one, several = (
        measure(convert_in_full(cnn.module, cnn.train, phases=8, spikes=k), cnn.test[:100], "norse")
        for k in (1, spikes)
    )
    assert several.output_error < 0.6 * one.output_error
    assert several.correlation > one.correlation
    for layer, other in zip(several.layers, one.layers, strict=True):
        assert layer.own_error < other.own_error
        assert layer.rate <= spikes


@pytest.mark.parametrize("options", [
    {"spikes": 0}, {"spikes": 17}, {"spikes": 1.5}, {"margin": 0.5}, {"margin": "much"}, {"calibrate": "best"},
    {"margin": 2.0, "calibrate": "paper"}, {"margin": 2.0, "calibrate": "error"},
])  # fmt: skip
def test_options_out_of_range(options: dict[str, Any]) -> None:
    name, *_ = options
    with pytest.raises(InputError, match=f"option '{name}'"):
        nirbridge.convert(Bounded(nn.ReLU()), np.random.default_rng(0).random((4, 2, 6, 6)), **options)


class Normed(nn.Module):
    """Batch normalisation that was trained on values around 0 of deviation 1."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.second = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)
        self(torch.randn(64, 1, 8, 8))
        self.norm.momentum = None
        self.norm.reset_running_stats()
        self(torch.randn(256, 1, 8, 8))
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.norm(self.first(x)).relu().flatten(1))


def rules(net: nn.Module, x: np.ndarray, **options: Any) -> dict[str, str]:
    return {note.rule: str(note) for note in convert_in_full(net, x, **options).notes}


def test_odd_data_are_named() -> None:
    x = np.random.default_rng(0).normal(size=(20, 1, 8, 8))
    net = Normed()
    assert not rules(net, x)
    assert "single sample" in rules(net, x[:1])["single_sample"]
    assert "Check the range" in rules(net, 255 * x)["foreign_data"]
    assert "Check the range" in rules(net, x + 12)["foreign_data"]
    assert "Check the range" in rules(net, x / 255)["foreign_data"]
    x[3] = 0.25
    assert "1 of 20 samples hold one value throughout" in rules(net, x)["constant_samples"]
    x[5] *= 1e9  # beside which all others are small, not of one value
    assert "1 of 20 samples hold one value throughout" in rules(net, x)["constant_samples"]


def test_bytes_of_pictures_are_named_where_no_normalisation_tells_the_range() -> None:
    x = np.random.default_rng(0).integers(0, 256, (64, 4))
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    assert "Divide them by 255" in rules(net, x)["unscaled_data"]
    assert "unscaled_data" in rules(net, x.astype(np.uint8))
    for fine in (x / 255, x + 0.5, x % 20, x - 128, 2 * x):
        assert "unscaled_data" not in rules(net, fine)
    assert "unscaled_data" not in rules(net, x, mean=[0], std=[255])
