"""Layers have bases of their own where their spikes do not add up, and biases keep what two halves agree on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.converting import Conversion, convert_in_full
from nirbridge.converting.bases import adding_up
from nirbridge.converting.correcting import _believed
from nirbridge.converting.evaluate import function, values
from nirbridge.converting.markers import Relu


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.wide, self.back = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.readout = nn.Linear(6 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stream = torch.relu(self.stem(x) + 1)
        stream = torch.relu(self.back(torch.relu(self.wide(stream))) + stream)
        return self.readout(stream.flatten(1))


def samples(count: int = 80) -> np.ndarray:
    dice = np.random.default_rng(0)
    sizes = np.exp(dice.normal(0, 1.2, (count, 1, 1, 1)))
    return sizes * dice.random((count, 2, 6, 6))


@pytest.fixture(scope="module")
def conversion() -> Conversion:
    return convert_in_full(Residual().double().eval(), samples(), phases=12, margin=2.5)


def bases(conversion: Conversion) -> dict[str, float]:
    return {layer.name: layer.base_out for layer in conversion.layers}


def test_spikes_that_add_up_share_a_base(conversion: Conversion) -> None:
    first, inner, last = bases(conversion).values()
    assert first == inner, "both reach the sum before the last layer"
    assert last != first, "nothing adds to the last layer's spikes, and its values are others"
    graph = conversion.analog
    assert graph is not None
    names = [layer.name for layer in conversion.layers]
    assert {frozenset(names[:2]), frozenset(names[2:]), frozenset([graph.input])} == set(adding_up(graph))


@pytest.mark.parametrize("runtime", ["reference", "norse", "lava"])
def test_layers_of_several_bases_are_what_their_codes_say(conversion: Conversion, runtime: str) -> None:
    """The graph against the analog network with every ReLU's output put through its staircase."""
    coded, codes = conversion.coded, {layer.name: layer for layer in conversion.layers}
    assert coded is not None
    run = {name: function(node, torch.float64) for name, node in coded.nodes.items()}
    for name, layer in codes.items():
        node = coded.nodes[name]
        assert type(node) is Relu
        before, unit = function(replace(node, ceiling=np.inf), torch.float64), torch.as_tensor(layer.scale)
        run[name] = lambda x, before=before, unit=unit, code=layer.code: code(before(x) / unit) * unit
    # Inputs of 12 binary digits, which the code of the input carries exactly.
    step = conversion.options["input_scale"] / 2**12
    x = np.floor(samples(6) / step).clip(0, 2**12 - 1) * step
    *_, (_, _, expected) = values(coded, run, torch.as_tensor(x))
    options = {"norse": {"dtype": "float64"}, "lava": {"mapping": "fused"}}.get(runtime, {})
    with nirbridge.compile(conversion.graph, runtime, **options) as program:
        found = program.run(x[None]).output[-1]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-9)


def test_a_given_base_is_that_of_all(conversion: Conversion) -> None:
    given = convert_in_full(conversion.module, samples(), phases=12, base=1.4)
    assert set(bases(given).values()) == {1.4} == {given.options["base"]}


def test_the_input_s_group_stays_at_2() -> None:
    """A sum of the input and of spikes has one base, and the input's digits leave gaps above 2."""

    class Stream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.readout = nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.readout(x + torch.relu(self.inner(x)))

    x = np.exp(np.random.default_rng(0).normal(0, 2, (100, 5)))
    found = convert_in_full(Stream().eval(), x, phases=3, calibrate="margin")
    (layer,) = found.layers
    assert layer.base_out <= 2
    assert found.options["input_base"] == layer.base_out


def test_what_two_halves_agree_on_is_kept() -> None:
    dice = torch.Generator().manual_seed(0)
    true = torch.randn(2000, generator=dice)
    for noise in (0.3, 1.0, 3.0):
        first, second = (true + noise * torch.randn(2000, generator=dice) for _ in range(2))
        mean = (first + second) / 2
        kept = _believed(mean, first, second)
        assert ((kept - true) ** 2).mean() < ((mean - true) ** 2).mean()
    chance = [torch.randn(2000, generator=dice) for _ in range(2)]
    assert _believed(sum(chance) / 2, *chance).abs().mean() < 0.15
    assert torch.equal(_believed(true, true, true), true)
