"""Backward of the neurons with equal levels: central differences of the smooth primitive, or the closed form."""

import numpy as np
import pytest
import torch
from finite_differences import central, sigmoid

from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF


def smooth_z(u, q, levels, mode):
    """The rise of z that the surrogate is the slope of, α = 5."""
    if mode == "single":
        return levels * sigmoid(u / (levels * q) - 1, 5.0)
    return sum(sigmoid(u / q - n, 5.0) for n in range(1, levels + 1))


@pytest.mark.parametrize("mode", ["sum", "single"])
@pytest.mark.parametrize("output", ["value", "level"])
@pytest.mark.parametrize("levels", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 4])
def test_multi_level_if_input_and_threshold(mode, output, levels, steps):
    """Around the exact run, each level varies as its smooth primitive does, in the output and in the reset."""
    rng = np.random.default_rng(levels)
    x, cotangent = rng.normal(0.4, 0.5, (steps, 2, 5)), rng.normal(size=(steps, 2, 5))
    neuron = MultiLevelIF(levels, 0.75, surrogate_mode=mode, output=output, learn_threshold=True).double()
    theta = neuron.threshold.item()

    def rise(x, theta, anchor):
        q, v, y = theta / levels, np.zeros(x.shape[1:]), []
        for t, current in enumerate(x):
            u = v + current
            z = np.clip(np.floor(u / q), 0, levels)
            if anchor is not None:
                z = anchor[0][t] + smooth_z(u, q, levels, mode) - anchor[1][t]
            y.append((u, z))
            v = u - z * q
        return y

    exact = rise(x, theta, None)
    anchor = [z for _, z in exact], [smooth_z(u, theta / levels, levels, mode) for u, _ in exact]

    def loss(x=x, theta=theta):
        factor = theta / levels if output == "value" else 1.0
        z = np.stack([z for _, z in rise(x, theta, anchor)])
        return float(np.sum(cotangent * z * factor))

    inputs = torch.from_numpy(x).requires_grad_()
    (neuron(inputs) * torch.from_numpy(cotangent)).sum().backward()
    np.testing.assert_allclose(inputs.grad.numpy(), central(lambda a: loss(x=a), x), atol=1e-6)
    np.testing.assert_allclose(neuron.threshold.grad, central(lambda a: loss(theta=float(a)), theta), atol=1e-5)


def test_the_surrogate_of_one_level_is_that_of_the_published_neuron():
    """V_th = 1, N = 1: dy/dv = α σ(αx)(1 - σ(αx)) at x = v - 1, α = 5; and both modes agree."""
    u = torch.linspace(-1, 3, 17, dtype=torch.float64)
    for mode in ("sum", "single"):
        inputs = u[None].clone().requires_grad_()
        MultiLevelIF(1, surrogate_mode=mode).double()(inputs).sum().backward()
        s = torch.sigmoid(5 * (u - 1))
        torch.testing.assert_close(inputs.grad[0], 5 * s * (1 - s))


def test_barrier_passes_the_gradient_straight_through():
    x = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cotangent = torch.arange(30, dtype=torch.float64).reshape(5, 2, 3)
    (gradient,) = torch.autograd.grad((Barrier(4).double()(x) * cotangent).sum(), x)
    torch.testing.assert_close(gradient, cotangent)


def test_clipped_barrier_in_closed_form():
    """Inside 0 <= u <= V_th the step's output takes the gradient, outside the membrane hands it to the next step."""
    u = torch.tensor([-0.1, 0.0, 0.6, 1.0, 1.3], dtype=torch.float64)
    x = torch.stack([u, torch.zeros_like(u)])[:, None].requires_grad_()
    y = Barrier(2, 1.0, clipped=True).double()(x)
    (first,) = torch.autograd.grad(y[0].sum(), x, retain_graph=True)
    assert first[0, 0].tolist() == [0, 1, 1, 1, 0]
    (second,) = torch.autograd.grad(y[1].sum(), x)
    # u of step 1 is the rest: -0.1 (outside again), 0, 0.1, 0, 0.3.
    assert second[0, 0].tolist() == [0, 0, 0, 0, 1]
    assert second[1, 0].tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(("levels", "steps"), [(1, 1), (2, 3), (4, 2), (3, 4)])
def test_lmht_equations_13_to_16(levels, steps):
    """dL/dm = dL/ds ∘ window; dL/dx_j = Σ_t Ω_tj dL/dm_t; dL/dΩ_tj = <dL/dm_t, x_j>; dL/dλ = Σ_t <dL/dm_t, v_{t-1}>."""
    torch.manual_seed(10 * levels + steps)
    theta, v_init = 0.5, 0.25
    neuron = LMHT(levels, steps, theta, v_init).double()
    with torch.no_grad():
        neuron.mixing_logits.normal_()
        neuron.decay_logit.fill_(0.3)
    x = torch.randn(steps, 4, 6, dtype=torch.float64) * 2 + 0.8
    cotangent = torch.randn_like(x)
    omega, decay = neuron.mixing.detach(), neuron.decay.item()

    v, slopes, states = torch.full((4, 6), v_init, dtype=torch.float64), [], []
    for t in range(steps):
        m = decay * v + sum(omega[t, j] * x[j] for j in range(steps))
        states.append(v)
        slopes.append(cotangent[t] * ((m >= 0.5 * theta) & (m <= (levels + 0.5) * theta)))
        v = m - torch.clamp(torch.floor(m / theta), 0, levels) * theta
    dm, states = torch.stack(slopes), torch.stack(states)
    assert 0 < int((dm == 0).sum()) < dm.numel()
    d_omega = torch.stack([torch.stack([(dm[t] * x[j]).sum() for j in range(steps)]) for t in range(steps)])
    d_decay = (dm * states).sum()

    inputs = x.clone().requires_grad_()
    (neuron(inputs) * cotangent).sum().backward()
    torch.testing.assert_close(
        inputs.grad, torch.stack([sum(omega[t, j] * dm[t] for t in range(steps)) for j in range(steps)])
    )
    sigma = torch.sigmoid(neuron.mixing_logits.detach())
    torch.testing.assert_close(neuron.mixing_logits.grad, d_omega * 2 * sigma * (1 - sigma) / steps)
    sigma = torch.sigmoid(neuron.decay_logit.detach())
    torch.testing.assert_close(neuron.decay_logit.grad, d_decay * sigma * (1 - sigma))


def test_lmht_window_includes_both_ends_and_theta_is_fixed():
    neuron = LMHT(2, 1, 1.0).double()
    m = torch.tensor([0.0, 0.49, 0.5, 1.7, 2.5, 2.51], dtype=torch.float64)
    inputs = m[None].clone().requires_grad_()
    neuron(inputs).sum().backward()
    assert inputs.grad[0].tolist() == [0, 0, 1, 1, 1, 0]
    assert {name for name, _ in neuron.named_parameters()} == {"mixing_logits", "decay_logit"}


def test_qcfs_in_closed_form():
    levels, scale = 4, 8.0
    x = torch.tensor([-3.0, 0.0, 0.7, 3.3, 7.9, 8.0, 9.5], dtype=torch.float64)
    inputs = x.clone().requires_grad_()
    activation = QCFS(levels, scale).double()
    y = activation(inputs)
    y.sum().backward()
    inside = (x >= 0) & (x <= scale)
    assert inputs.grad.tolist() == inside.double().tolist()
    d_scale = torch.where(x > scale, 1.0, torch.where(inside, (y.detach() - x) / scale, 0.0)).sum()
    torch.testing.assert_close(activation.scale.grad, d_scale)
