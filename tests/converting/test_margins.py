"""How far codes reach: two halves of the calibration data tell, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nirbridge.converting import convert_in_full
from nirbridge.converting.analog import analog_graph
from nirbridge.converting.coding import Code
from nirbridge.converting.margins import reach, trial
from nirbridge.converting.markers import Relu
from nirbridge.converting.observing import Half, Observed, observe

CODE = Code(1.3, 12)


def observed(first: torch.Tensor, second: torch.Tensor) -> Observed:
    """A layer that sends these values [channels, samples]."""
    both = torch.cat([first, second], 1)
    halves = [Half(part, part.topk(min(16, part.shape[1]), 1).values, part.shape[1]) for part in (first, second)]
    return Observed(both.amax(1).numpy().reshape(-1, 1), both, tuple(halves))


def test_losses_are_those_of_the_other_half() -> None:
    """Value by value, of what is sent and what its code stands for."""
    dice = torch.Generator().manual_seed(0)
    first, second = (torch.rand(3, 12, generator=dice, dtype=torch.float64) ** 3 * s for s in (1.0, 2.0))
    tried = trial(CODE, observed(first, second), Relu(ceiling=1.7), None)
    wanted = []
    for margin in tried.margins:
        error = 0.0
        for known, other in ((first, second), (second, first)):
            for channel, values in enumerate(other):
                end = min(margin * float(known[channel].max()), 1.7)
                scale = end / CODE.largest
                error += float(((values - scale * CODE(values / scale)) ** 2).sum())
        wanted.append(error / float((first**2).sum() + (second**2).sum()))
    np.testing.assert_allclose(tried.losses(CODE).numpy(), wanted, rtol=1e-9)
    assert tried.margins[int(np.argmin(wanted))] == tried.best(CODE)


def test_rare_large_values_get_room_and_bounded_ones_none() -> None:
    dice = torch.Generator().manual_seed(0)
    bounded = [torch.rand(4, 400, generator=dice, dtype=torch.float64) for _ in range(2)]
    assert trial(CODE, observed(*bounded), Relu(), None).best(CODE) <= 1.25
    rare = [torch.randn(40, 30, generator=dice, dtype=torch.float64).mul(1.5).exp() for _ in range(2)]
    assert trial(CODE, observed(*rare), Relu(), None).best(CODE) > 2


def test_what_a_half_never_activates_says_nothing() -> None:
    silent, active = torch.zeros(1, 20, dtype=torch.float64), torch.ones(1, 20, dtype=torch.float64)
    tried = trial(CODE, observed(silent, active), Relu(), None)
    assert not tried.parts
    assert tried.best(CODE) == tried.margins[0] == 1


def test_a_given_margin_and_few_samples_are_not_tried() -> None:
    some = observed(torch.rand(2, 20).double(), torch.rand(2, 20).double())
    assert trial(CODE, some, Relu(), 1.7).margins == (1.7,)
    alone = Observed(some.largest, some.sample)
    assert trial(CODE, alone, Relu(), None).margins == (2.5,)
    assert trial(Code(1.3, 12, spikes=2), alone, Relu(), None).margins == (6.0,)


def test_a_batch_normalisation_extends_the_reach_within_limits() -> None:
    largest = np.array([[1.0], [1.0], [1.0]])
    told = Relu(center=np.zeros((3, 1)), spread=np.array([[0.1], [0.4], [9.0]]), ceiling=4.0)
    np.testing.assert_allclose(reach(largest, 1.5, told).ravel(), [1.5, 2.0, 2.25])
    np.testing.assert_allclose(reach(largest, 3.0, told).ravel(), [3.0, 3.0, 4.0])


@pytest.mark.parametrize("batches", [1, 3, 16])
def test_halves_are_the_first_and_the_second_samples(batches: int) -> None:
    """However the data come in batches; peaks are the largest of a line of places."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).double().eval()
    x = torch.rand(16, 1, 8, 8, dtype=torch.float64)
    graph = analog_graph(network, (1, 8, 8))
    (found,) = observe(graph, list(x.chunk(batches)), lambda line: None).values()
    y = network(x).detach()
    for half, part in zip(found.halves, (y[:8], y[8:]), strict=True):
        assert half.count == 8 * 36
        lines = part.amax(-1).transpose(0, 1).flatten(1).sort(1, descending=True).values
        torch.testing.assert_close(half.peaks, lines[:, :16])
    np.testing.assert_array_equal(found.largest.ravel(), y.amax((0, 2, 3)).numpy())
    assert not next(iter(observe(graph, [x[:7]], lambda line: None).values())).halves
    assert not next(iter(observe(graph, [x], lambda line: None, 99.0).values())).halves


def test_a_conversion_has_room_where_its_data_disagree() -> None:
    """Pictures of which some are ten times as bright, against all alike."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()
    x = np.random.default_rng(0).random((64, 1, 8, 8))
    bright = x * np.where(np.arange(64) == 40, 10, 1)[:, None, None, None]
    ends = []
    for data in (x, bright):
        (layer,) = convert_in_full(network, data).layers
        with torch.no_grad():
            largest = network[:2](torch.tensor(data)).amax((0, 2, 3)).numpy()
        ends.append(np.median(layer.scale.ravel() * layer.code.largest / largest))
    assert ends[0] <= 1.25 < ends[1]
