"""MultiLevelLIF backward against central differences of its smooth primitive.

The witness is a numpy network in which the level of each step is the smooth function whose slope the surrogate is,
and what the reset detaches (which lane fired) is a constant taken from the exact forward.
"""

import itertools

import numpy as np
import pytest
import torch
from finite_differences import PRIMITIVES, central

from nirbridge.neurons import MultiLevelLIF, Sigmoid
from nirbridge.neurons.gradients import bounded

SMOOTH = list(itertools.product(("triangle", "tet", "sigmoid"), ("difference", "sum"), (1, 2, 4)))


def smooth_level(u, theta, units, name, mode):
    """Σ_s w_s lane_s, lane_s = H(r_s) ∓ H(r_{s+1}), term by term as equation 10 has it."""
    primitive = PRIMITIVES[name]
    level = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(theta)))
    for s, w in enumerate(units):
        lane = primitive(u / (w * theta) - 1)
        if s + 1 < len(units):
            upper = primitive(u / (units[s + 1] * theta) - 1)
            lane = lane - upper if mode == "difference" else lane + upper
        level += w * lane
    return level


def exact_levels(x, theta, decay, gain, units, reset):
    v, fired = np.zeros(x.shape[1:]), []
    for current in x:
        u = decay * v + gain * current
        level = np.zeros_like(u)
        for w in units:
            level = np.where(u > w * theta, w, level)
        fired.append(level)
        v = u - level * theta if reset == "subtract" else np.where(level > 0, 0.0, u)
    return fired


def smooth_run(x, theta, decay, gain, units, name, mode, reset, fired):
    v, outputs = np.zeros(x.shape[1:]), []
    for current, level in zip(x, fired, strict=True):
        u = decay * v + gain * current
        outputs.append(smooth_level(u, theta, units, name, mode))
        v = u - level * theta if reset == "subtract" else np.where(level > 0, 0.0, u)
    return np.stack(outputs)


@pytest.mark.parametrize(("name", "mode", "lanes"), SMOOTH)
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("steps", [1, 4])
def test_input_threshold_and_decay(name, mode, lanes, reset, steps):
    rng = np.random.default_rng(lanes + steps)
    x, cotangent = rng.normal(1.2, 1.6, (steps, 2, 5)), rng.normal(size=(steps, 2, 5))
    theta, decay, gain = 0.8, 0.7, 1.3
    neuron = MultiLevelLIF(
        lanes,
        threshold=theta,
        decay=decay,
        gain=gain,
        reset=reset,
        learn_threshold=True,
        learn_decay=True,
        surrogate=name,
        surrogate_mode=mode,
    ).double()
    # .double() keeps the values rounded to float32.
    theta, decay = neuron.threshold.item(), neuron.decay_parameter.item()
    units = [2.0**s for s in range(lanes)]
    fired = exact_levels(x, theta, decay, gain, units, reset)
    assert np.any(np.stack(fired) > 0)

    def loss(x=x, theta=theta, decay=decay):
        y = smooth_run(x, theta, decay, gain, units, name, mode, reset, fired)
        return float(np.sum(cotangent * y))

    inputs = torch.from_numpy(x).requires_grad_()
    y = neuron(inputs)
    np.testing.assert_array_equal(y.detach().numpy(), np.stack(fired))
    (y * torch.from_numpy(cotangent)).sum().backward()
    np.testing.assert_allclose(inputs.grad.numpy(), central(lambda a: loss(x=a), x), atol=1e-7)
    np.testing.assert_allclose(neuron.threshold.grad, central(lambda a: loss(theta=float(a)), theta), atol=1e-6)
    np.testing.assert_allclose(neuron.decay_parameter.grad, central(lambda a: loss(decay=float(a)), decay), atol=1e-6)
    if steps > 1:
        assert abs(neuron.decay_parameter.grad.item()) > 1e-3


def test_scaled_lanes():
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 0.7, (1, 3, 6))
    units = [0.25, 0.5, 1.0]
    neuron = MultiLevelLIF(3, scaled=True, surrogate=Sigmoid(4.0)).double()
    inputs = torch.from_numpy(x).requires_grad_()
    neuron(inputs).sum().backward()
    expected = central(lambda a: float(smooth_level(a, 1.0, units, "sigmoid", "difference").sum()), x)
    np.testing.assert_allclose(inputs.grad.numpy(), expected, atol=1e-7)


def test_a_threshold_per_channel_gets_a_gradient_per_channel():
    rng = np.random.default_rng(1)
    x, cotangent = rng.normal(1.5, 1.5, (1, 2, 3, 2, 2)), rng.normal(size=(1, 2, 3, 2, 2))
    theta = np.array([0.5, 1.0, 1.7]).reshape(3, 1, 1)
    neuron = MultiLevelLIF(3, torch.from_numpy(theta), learn_threshold=True)
    (neuron(torch.from_numpy(x)) * torch.from_numpy(cotangent)).sum().backward()
    units = [1.0, 2.0, 4.0]
    expected = central(lambda a: float(np.sum(cotangent * smooth_level(x, a, units, "triangle", "difference"))), theta)
    assert neuron.threshold.grad.shape == (3, 1, 1)
    np.testing.assert_allclose(neuron.threshold.grad.numpy(), expected, atol=1e-7)


def test_difference_form_in_closed_form():
    """dy/du = (1/θ)(h(r_0) + ½ Σ_{s>=1} h(r_s)): the lanes' terms telescope."""
    u = torch.linspace(-1, 9, 41, dtype=torch.float64)
    inputs = u[None].clone().requires_grad_()
    MultiLevelLIF(3, 1.0).double()(inputs).sum().backward()
    h = [0.3 * (1 - (u / w - 1).abs()).clamp(min=0) for w in (1, 2, 4)]
    torch.testing.assert_close(inputs.grad[0], h[0] + 0.5 * h[1] + 0.5 * h[2])


def test_detached_reset_lets_the_gradient_pass_from_step_to_step():
    """Soft: dv/du = 1 although the neuron fired. Hard: 0 where it fired. Only y[1] is in the loss."""
    x = torch.tensor([[[3.0, 0.4]], [[0.1, 0.1]]], dtype=torch.float64)
    gradients = {}
    for reset in ("subtract", "value"):
        inputs = x.clone().requires_grad_()
        MultiLevelLIF(2, 1.0, decay=0.5, reset=reset).double()(inputs)[1].sum().backward()
        gradients[reset] = inputs.grad
    for gradient in gradients.values():
        torch.testing.assert_close(gradient[0, 0, 1], 0.5 * gradient[1, 0, 1])
    assert gradients["subtract"][0, 0, 0] == 0.5 * gradients["subtract"][1, 0, 0] > 0
    assert gradients["value"][0, 0, 0] == 0


def test_a_learned_decay_is_kept_within_its_limits_and_can_come_back():
    neuron = MultiLevelLIF(1, decay=1.0, learn_decay=True)
    with torch.no_grad():
        neuron.decay_parameter.fill_(1.2)
    assert neuron.decay.item() == 1.0
    optimizer = torch.optim.SGD(neuron.parameters(), lr=0.1)
    for direction, moves in ((-1.0, False), (1.0, True)):
        optimizer.zero_grad()
        (direction * neuron.decay).backward()
        before = neuron.decay_parameter.item()
        optimizer.step()
        assert (neuron.decay_parameter.item() != before) is moves


def test_bounded_is_a_clamp_whose_gradient_points_inwards():
    parameter = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0], requires_grad=True)
    assert bounded(parameter, 0.0, 1.0).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    for sign, expected in ((1.0, [0, 1, 1, 1, 1]), (-1.0, [-1, -1, -1, -1, 0])):
        (gradient,) = torch.autograd.grad((sign * bounded(parameter, 0.0, 1.0)).sum(), parameter)
        assert gradient.tolist() == expected


def test_a_learned_threshold_stays_above_zero():
    neuron = MultiLevelLIF(2, learn_threshold=True)
    with torch.no_grad():
        neuron.threshold.fill_(-3.0)
    assert neuron.lane_threshold[0].item() == pytest.approx(1e-6)
    neuron(torch.ones(1, 1)).sum().backward()
    assert torch.isfinite(neuron.threshold.grad)
