"""The identities of the papers, which tie the neurons to each other and to ordinary ones."""

import pytest
import torch

from nirbridge.neurons import LMHT, QCFS, MultiLevelIF, MultiLevelLIF


def drawn(*shape, low=-0.3, high=1.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    # Multiples of 2^-12 keep every sum below exact, so that equality can be demanded bit by bit.
    return (
        torch.randint(int(low * 4096), int(high * 4096), shape, generator=generator, dtype=torch.int64).double() / 4096
    )


@pytest.mark.parametrize(("steps", "levels"), [(2, 4), (1, 4), (1, 8), (4, 1), (4, 8)])
def test_levels_over_steps_are_a_binary_if_over_their_product(steps, levels):
    """y = (q/T) Σ z equals the rate V_th/(N T) Σ s of a binary IF under the same current for N·T steps."""
    x = drawn(1, 6, 200, low=0.0)
    multi = MultiLevelIF(levels).double()(x.expand(steps, -1, -1)).mean(0)
    binary = MultiLevelIF(1).double()(x.expand(steps * levels, -1, -1)).mean(0)
    assert torch.equal(multi, binary)


@pytest.mark.parametrize(("steps", "levels"), [(2, 4), (4, 2), (1, 8), (2, 2)])
def test_there_are_n_t_plus_one_outputs_and_they_saturate_at_v_th(steps, levels):
    x = (torch.arange(0, 4097, dtype=torch.float64) / 4096)[None, None]
    y = MultiLevelIF(levels).double()(x.expand(steps, -1, -1)).mean(0)
    assert len(y.unique()) == steps * levels + 1
    assert y[0, -1] == 1.0
    over = MultiLevelIF(levels).double()(2 * x[:, :, -1:].expand(steps, -1, -1)).mean(0)
    assert over.item() == 1.0


@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_levels_in_one_step_are_steps_of_an_if(levels):
    """LM-HT lemma: L levels at x = L steps of x/L through an IF of the same θ, for v in [0, θ)."""
    x = drawn(1, 5, 300, low=-2.0, high=2.0 * levels, seed=levels)
    for v_init in (0.0, 0.5, 0.75):
        one = LMHT(levels, 1, 1.0, v_init).double()(x)
        binary = MultiLevelIF(1, 1.0, v_init=v_init).double()((x / levels).expand(levels, -1, -1))
        assert torch.equal(one[0], binary.sum(0))


@pytest.mark.parametrize(("levels", "steps"), [(4, 1), (2, 2), (1, 4), (4, 2), (2, 4)])
def test_lmht_mean_is_qcfs(levels, steps):
    """Ω = 1/T, λ = 1, v[-1] = θ/2, θ = λ_q/L: the mean over T steps is QCFS with Q = L·T."""
    scale = 2.0
    theta = scale / levels
    neuron = LMHT(levels, steps, theta, v_init=theta / 2).double()
    x = drawn(steps, 4, 500, low=-1.0, high=3.0, seed=steps)
    with torch.no_grad():
        mean = neuron(x).mean(0)
        expected = QCFS(levels * steps, scale).double()(x.mean(0))
    assert torch.equal(mean, expected)
    assert len(mean.unique()) == levels * steps + 1


def test_direct_training_of_one_level_is_an_if_for_one_step():
    x = drawn(1, 3, 100)
    assert torch.equal(LMHT(1, 1, 1.0).double()(x), MultiLevelIF(1, 1.0).double()(x))


def test_one_lane_one_level_and_the_ordinary_if_agree():
    x = drawn(12, 3, 50)
    lane = MultiLevelLIF(1, 1.0, boundary=">=").double()(x)
    assert torch.equal(lane, MultiLevelIF(1, 1.0).double()(x))
    assert set(lane.unique().tolist()) == {0.0, 1.0}


def test_two_lanes_are_two_levels():
    """Weights 1, 2 at θ are the levels 1, 2 of V_th = 2θ: one-hot and uniform neurons meet at S = N = 2."""
    x = drawn(12, 3, 50, high=3.0)
    one_hot = MultiLevelLIF(2, 0.5, boundary=">=").double()(x)
    assert torch.equal(one_hot, MultiLevelIF(2, 1.0, output="level").double()(x))


def test_single_threshold_form_of_lmht():
    """L·T sub-steps of a binary neuron: λ on the first sub-step of a block, input x/L: block sums give the same y."""
    levels, steps, theta = 4, 3, 1.0
    neuron = LMHT(levels, steps, theta, v_init=theta / 2).double()
    with torch.no_grad():
        neuron.mixing_logits.copy_(torch.tensor([[0.3, -1.0, 0.2], [1.0, 0.0, 0.1], [-0.5, 0.4, 0.9]]))
        neuron.decay_logit.fill_(-0.2)
    x = torch.rand(steps, 2, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 6
    omega, decay = neuron.mixing.detach(), neuron.decay.item()
    v, blocks = torch.full((2, 400), theta / 2, dtype=torch.float64), []
    for t in range(steps):
        current = torch.tensordot(omega[t], x, dims=1) / levels
        spikes = torch.zeros_like(v)
        for sub in range(levels):
            m = (decay * v if sub == 0 else v) + current
            fired = (m >= theta).double()
            spikes, v = spikes + fired, m - fired * theta
        blocks.append(spikes * theta)
    assert neuron(x).detach().unique().numel() == levels + 1
    assert (neuron(x).detach() != torch.stack(blocks)).sum() == 0
