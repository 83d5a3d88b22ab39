"""λ as a percentile of the activations: against numpy, in batches, and in a converted network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nirbridge.converting import measure
from nirbridge.converting.percentiles import TopValues
from tests.converting.published import convert_in_full


@settings(max_examples=60, deadline=None)
@given(
    percentile=st.sampled_from([50.0, 73.2, 90.0, 99.0, 99.9, 100.0]),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    shift=st.sampled_from([0.0, 1.0, 9.0]),
    seed=st.integers(0, 99),
)
def test_is_numpy_s_percentile_of_what_is_above_0(percentile: float, sizes: list[int], shift: float, seed: int) -> None:
    rows = np.maximum(np.random.default_rng(seed).normal(size=(3, sum(sizes))) - shift, 0)
    top = TopValues(percentile, rows.shape[1])
    for part in np.split(rows, np.cumsum(sizes)[:-1], axis=1):
        top.add(torch.as_tensor(part))
    expected = [np.percentile(row[row > 0], percentile) if (row > 0).any() else 0.0 for row in rows]
    np.testing.assert_allclose(top.result(), expected, rtol=1e-12)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6), nn.ReLU(), nn.Linear(6, 3))


def test_scales_of_a_network() -> None:
    """Per channel behind a convolution, per layer behind a linear one, over all samples of all batches."""
    net, x = _network().double(), np.random.default_rng(0).random((150, 1, 8, 8))
    with torch.no_grad():
        first = net[1](net[0](torch.as_tensor(x))).numpy()
        second = net[:5](torch.as_tensor(x)).numpy()
    layers = convert_in_full(net, x, percentile=99.0).layers
    channels = [np.percentile(values[values > 0], 99.0) for values in first.swapaxes(0, 1).reshape(4, -1)]
    np.testing.assert_allclose(layers[0].scale.ravel(), channels)
    np.testing.assert_allclose(layers[1].scale, np.percentile(second[second > 0], 99.0))
    largest = convert_in_full(net, x).layers
    np.testing.assert_allclose(largest[0].scale.ravel(), first.max((0, 2, 3)))


def test_an_outlier_in_the_data_spoils_the_largest_and_not_the_percentile() -> None:
    net, x = _network().double(), np.random.default_rng(0).random((150, 1, 8, 8))
    spoiled = np.concatenate([x, 60 * x[:1]])
    options = {"phases": 10, "base": 1.3, "input_scale": 1.0}
    errors = [
        measure(convert_in_full(net, spoiled, percentile=percentile, **options), x).output_error
        for percentile in (100.0, 99.0)
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("value", [0, 49.9, 100.1, float("nan"), "99", True])
def test_out_of_range(value: object) -> None:
    from nirbridge.errors import InputError

    with pytest.raises(InputError, match="option 'percentile'"):
        convert_in_full(_network(), np.ones((2, 1, 8, 8)), percentile=value)
