"""Forward of the neurons with equal levels, bit by bit, against loops over single numbers."""

import numpy as np
import pytest
import torch

from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF


def naive_uniform(x, levels, q, decay=1.0, v_init=0.0):
    """z and z·q of each step: the highest k with u >= k·q, found by trying every k."""
    x = np.asarray(x, dtype=np.float64)
    z = np.zeros_like(x)
    for index in np.ndindex(x.shape[1:]):
        v = float(v_init)
        for t in range(x.shape[0]):
            u = decay * v + float(x[(t, *index)])
            passed = [k for k in range(1, levels + 1) if u >= k * q]
            k = max(passed, default=0)
            z[(t, *index)] = k
            v = u - k * q
    return z


def drawn(seed, shape=(8, 3, 6)):
    return np.random.default_rng(seed).normal(0.4, 0.8, shape)


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 8, 17])
@pytest.mark.parametrize("output", ["value", "level"])
def test_multi_level_if(levels, output):
    neuron = MultiLevelIF(levels, torch.tensor(0.7, dtype=torch.float64), output=output, v_init=0.1)
    x, q = drawn(levels), 0.7 / levels
    z = naive_uniform(x, levels, q, v_init=0.1)
    assert z.max() == levels
    expected = z if output == "level" else z * q
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("clipped", [False, True])
def test_barrier_has_the_same_forward(clipped):
    x = torch.from_numpy(drawn(2))
    assert torch.equal(Barrier(4, 0.9, clipped).double()(x), MultiLevelIF(4, 0.9).double()(x))


@pytest.mark.parametrize("theta", [0.1, 0.3, 0.7, 1.1, 1 / 3])
def test_levels_are_decided_by_products_not_quotients(theta):
    """u = k·q must give k even where floor(u/q) gives k - 1 or the float before k·q rounds up to k."""
    levels = 40
    q = theta / levels
    at = np.arange(1, levels + 1) * q
    wrong = int(np.sum(np.floor(at / q) != np.arange(1, levels + 1)))
    wrong += int(np.sum(np.floor(np.nextafter(at, 0) / q) != np.arange(levels)))
    assert wrong > 0, "the case shows nothing: the quotient never rounds here"
    x = np.stack([np.nextafter(at, 0), at, np.nextafter(at, 1e9)], axis=1)[None]
    neuron = MultiLevelIF(levels, torch.tensor(theta, dtype=torch.float64), output="level")
    expected = np.stack([np.arange(levels), np.arange(1, levels + 1), np.arange(1, levels + 1)], axis=1)[None]
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_the_lanes_that_export_reads_decide_the_same():
    neuron = MultiLevelIF(7, 0.9).double()
    u = torch.from_numpy(drawn(4, (1, 40, 50)))
    lanes = neuron.lane_threshold
    count = (u[..., None] >= lanes).sum(-1)
    value = torch.cat([torch.zeros(1, dtype=torch.float64), neuron.lane_weight])[count]
    assert torch.equal(neuron(u), value)
    assert torch.equal(neuron.lane_reset, lanes)
    assert MultiLevelIF(3, output="level").lane_weight.tolist() == [1.0, 2.0, 3.0]
    assert (neuron.boundary, neuron.reset, neuron.decay, neuron.gain) == (">=", "subtract", 1.0, 1.0)
    assert (neuron.v_init, neuron.v_reset, neuron.levels) == (0.0, 0.0, 7)


def test_a_threshold_per_channel():
    x = drawn(5, (5, 2, 3, 2, 2))
    theta = torch.tensor([0.3, 1.0, 2.2], dtype=torch.float64).reshape(3, 1, 1)
    y = MultiLevelIF(4, theta, output="level")(torch.from_numpy(x)).numpy()
    for channel in range(3):
        expected = naive_uniform(x[:, :, channel], 4, float(theta[channel]) / 4)
        np.testing.assert_array_equal(y[:, :, channel], expected)


def test_infinite_currents_saturate_and_nan_stays_nan():
    x = torch.tensor([[[float("inf"), -float("inf"), float("nan")]]])
    y = MultiLevelIF(4, output="level")(x)[0, 0]
    assert y[:2].tolist() == [4.0, 0.0]
    assert torch.isnan(y[2])


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_lmht(steps, levels):
    torch.manual_seed(steps)
    neuron = LMHT(levels, steps, 0.6, v_init=0.3).double()
    with torch.no_grad():
        neuron.mixing_logits.normal_()
        neuron.decay_logit.fill_(-0.4)
    x = drawn(levels, (steps, 3, 6)) * steps
    omega = neuron.mixing.detach().numpy()
    decay = float(neuron.decay.detach())
    assert decay == pytest.approx(1 / (1 + np.exp(0.4)) + 0.5)
    np.testing.assert_allclose(omega, 2 / (1 + np.exp(-neuron.mixing_logits.detach().numpy())) / steps, rtol=1e-14)
    current = np.einsum("tj,j...->t...", omega, x)
    theta = float(neuron.threshold)
    expected = naive_uniform(current, levels, theta, decay, v_init=0.3) * theta
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).detach().numpy(), expected)


def test_lmht_starts_as_the_mean_without_leak():
    neuron = LMHT(2, 4, 1.0)
    assert torch.equal(neuron.mixing, torch.full((4, 4), 0.25))
    assert float(neuron.decay.detach()) == 1.0
    assert neuron.lane_threshold.tolist() == neuron.lane_weight.tolist() == neuron.lane_reset.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("levels", [1, 4, 8])
def test_qcfs(levels):
    x = np.random.default_rng(levels).uniform(-4, 14, (5, 7))
    expected = 8 * np.clip(np.floor(x * levels / 8 + 0.5) / levels, 0, 1)
    np.testing.assert_array_equal(QCFS(levels).double()(torch.from_numpy(x)).detach().numpy(), expected)
    assert QCFS(levels).scale.item() == 8.0
