"""MultiLevelLIF forward, bit by bit, against loops over single numbers."""

import itertools

import numpy as np
import pytest
import torch

from nirbridge.neurons import MultiLevelLIF


def naive_one_hot(x, lanes, threshold, decay, gain, reset, boundary, scaled, v_init=0.0, v_reset=0.0):
    """One neuron after the other, one lane after the other, in Python floats."""
    x = np.asarray(x, dtype=np.float64)
    y = np.zeros_like(x)
    theta = np.broadcast_to(np.asarray(threshold, dtype=np.float64), x.shape[2:])
    for index in np.ndindex(x.shape[1:]):
        v = float(v_init)
        for t in range(x.shape[0]):
            u = decay * v + gain * float(x[(t, *index)])
            fired = None
            for s in range(lanes):
                w = 2.0 ** (s - lanes + 1) if scaled else 2.0**s
                limit = w * float(theta[index[1:]])
                if u > limit or (boundary == ">=" and u == limit):
                    fired = w
            if fired is None:
                v = u
            else:
                y[(t, *index)] = fired
                v = v_reset if reset == "value" else u - fired * float(theta[index[1:]])
    return y


def drawn(seed, shape=(9, 2, 5), spread=3.0):
    return np.random.default_rng(seed).normal(0.6, spread, shape)


@pytest.mark.parametrize(
    ("lanes", "reset", "boundary", "scaled"),
    list(itertools.product((1, 2, 3, 4), ("subtract", "value"), (">", ">="), (False, True))),
)
def test_equals_the_naive_loop(lanes, reset, boundary, scaled):
    neuron = MultiLevelLIF(lanes, 0.37, decay=0.83, reset=reset, boundary=boundary, scaled=scaled).double()
    x = drawn(lanes, (12, 3, 40))
    theta = float(neuron.threshold)
    expected = naive_one_hot(x, lanes, theta, 0.83, 1.0, reset, boundary, scaled)
    assert len(np.unique(expected)) == lanes + 1
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("scaled", [False, True])
def test_exactly_on_a_threshold(boundary, scaled):
    theta = 0.3
    weights = [2.0 ** (s - 3 * scaled) for s in range(4)]
    neuron = MultiLevelLIF(4, torch.tensor(theta, dtype=torch.float64), boundary=boundary, scaled=scaled)
    u = np.array([w * theta for w in weights])
    x = np.stack([np.nextafter(u, 0), u, np.nextafter(u, np.inf)], axis=1)[None]
    below = [0.0, *weights[:-1]]
    at = weights if boundary == ">=" else below
    expected = np.stack([below, at, weights], axis=1)[None]
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_the_public_codes_values_at_one_two_four_eight():
    u = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    assert MultiLevelLIF(3, boundary=">")(u).tolist() == [[0.0, 1.0, 2.0, 4.0]]
    assert MultiLevelLIF(3, boundary=">=")(u).tolist() == [[1.0, 2.0, 4.0, 4.0]]


def test_integer_currents_often_meet_the_boundary():
    x = np.random.default_rng(7).integers(-3, 6, (40, 3, 8)).astype(np.float64)
    for boundary, reset in itertools.product((">", ">="), ("subtract", "value")):
        neuron = MultiLevelLIF(3, 1.0, decay=0.5, reset=reset, boundary=boundary).double()
        expected = naive_one_hot(x, 3, 1.0, 0.5, 1.0, reset, boundary, False)
        np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_transformer_charge_moves_halfway_to_the_input():
    x = drawn(3, spread=4.0)
    neuron = MultiLevelLIF(3, 1.0, decay=0.5, gain=0.5, reset="value", scaled=True).double()
    v, expected = np.zeros(x.shape[1:]), np.zeros_like(x)
    for t, current in enumerate(x):
        u = v + (current - v) / 2
        expected[t] = np.select([u > 1.0, u > 0.5, u > 0.25], [1.0, 0.5, 0.25], 0.0)
        v = np.where(expected[t] > 0, 0.0, u)
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_one_lane_is_an_ordinary_lif():
    x = drawn(11)
    neuron = MultiLevelLIF(1, 1.0, decay=0.75).double()
    v, expected = np.zeros(x.shape[1:]), np.zeros_like(x)
    for t, current in enumerate(x):
        u = 0.75 * v + current
        expected[t] = u > 1.0
        v = u - expected[t]
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_initial_and_reset_membrane():
    x = drawn(5)
    neuron = MultiLevelLIF(2, 1.0, decay=0.9, reset="value", v_reset=-0.5, v_init=0.8).double()
    expected = naive_one_hot(x, 2, 1.0, 0.9, 1.0, "value", ">", False, v_init=0.8, v_reset=-0.5)
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)


def test_a_threshold_per_channel():
    x = drawn(6, (6, 2, 3, 2, 2))
    theta = torch.tensor([0.3, 1.0, 2.2], dtype=torch.float64).reshape(3, 1, 1)
    neuron = MultiLevelLIF(3, theta, decay=0.9)
    expected = naive_one_hot(x, 3, np.broadcast_to(theta.numpy(), (3, 2, 2)), 0.9, 1.0, "subtract", ">", False)
    np.testing.assert_array_equal(neuron(torch.from_numpy(x)).numpy(), expected)
    assert neuron.lane_threshold.shape == (3, 3, 1, 1)
    np.testing.assert_array_equal(neuron.lane_threshold[2].numpy(), 4 * theta.numpy())


def test_decay_per_channel_and_learned_decay_run_alike():
    x = torch.from_numpy(drawn(8, (6, 2, 3)))
    decay = torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64)
    one = torch.cat([MultiLevelLIF(3, decay=float(d)).double()(x[..., i : i + 1]) for i, d in enumerate(decay)], -1)
    assert torch.equal(MultiLevelLIF(3, decay=decay).double()(x), one)
    assert torch.equal(MultiLevelLIF(3, decay=decay, learn_decay=True).double()(x), one)


def test_every_call_starts_from_the_initial_membrane():
    neuron = MultiLevelLIF(3, decay=0.9)
    x = torch.from_numpy(drawn(9)).float()
    assert torch.equal(neuron(x), neuron(x))


def test_event_counts_may_be_integers_and_doubles_stay_doubles():
    counts = torch.tensor([[[3], [1]], [[0], [2]]], dtype=torch.uint8)
    neuron = MultiLevelLIF(2, boundary=">=")
    assert neuron(counts).dtype == torch.float32
    assert torch.equal(neuron(counts), neuron(counts.float()))
    assert neuron(counts.double()).dtype == torch.float64


@pytest.mark.parametrize("scaled", [False, True])
def test_what_export_reads(scaled):
    neuron = MultiLevelLIF(3, 0.5, decay=0.9, gain=0.5, reset="value", boundary=">=", scaled=scaled, v_reset=-1.0)
    weights = [0.25, 0.5, 1.0] if scaled else [1.0, 2.0, 4.0]
    assert neuron.lane_weight.tolist() == weights
    assert neuron.lane_threshold.tolist() == neuron.lane_reset.tolist() == [0.5 * w for w in weights]
    assert (neuron.decay, neuron.gain, neuron.reset, neuron.boundary) == (0.9, 0.5, "value", ">=")
    assert (neuron.v_init, neuron.v_reset, neuron.lanes) == (0.0, -1.0, 3)
