"""The fused passes against the steps with torch operations: the same bits forward, the same gradients backward."""

import itertools
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, OverTime, Sigmoid, Tet, Triangle
from nirbridge.neurons.fused import is_fusable, stepwise
from nirbridge.neurons.fused.layout import CHUNK_BYTES, Layout

pytest.importorskip("numba")
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}
PER_CHANNEL = torch.tensor([0.5, 0.9, 1.4]).reshape(3, 1, 1)


@dataclass(frozen=True)
class Cubic:
    """A surrogate that the passes do not know."""

    def derivative(self, r):
        return (1 - r * r).clamp(min=0) ** 2

    def primitive(self, r):
        raise NotImplementedError


def both(neuron, x, seed=0):
    """Outputs and gradients of the pass, then of the steps."""
    cotangent = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    results = []
    for steps in (False, True):
        neuron.zero_grad()
        inputs = x.clone().requires_grad_()
        if steps:
            with stepwise():
                y = neuron(inputs)
        else:
            y = neuron(inputs)
        in_one_pass = {"_FusedBackward", "_StraightThroughBackward"}
        assert (type(y.grad_fn).__name__ in in_one_pass) is not steps
        y.backward(cotangent)
        results.append((y.detach(), {"x": inputs.grad, **{k: p.grad for k, p in neuron.named_parameters()}}))
    return results


def assert_same(neuron, x, seed=0):
    (y, grads), (expected, expected_grads) = both(neuron, x, seed)
    assert torch.equal(y, expected)
    assert y.unique().numel() > 1, "the test data exercise nothing"
    assert grads.keys() == expected_grads.keys()
    tolerance = TOLERANCE[x.dtype]
    for name, grad in grads.items():
        scale = float(expected_grads[name].abs().max())
        assert scale > 0
        torch.testing.assert_close(grad, expected_grads[name], rtol=tolerance, atol=tolerance * scale, msg=name)
        assert grad.shape == expected_grads[name].shape


def frames(dtype, *shape, mean=0.8):
    return mean + 1.5 * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(len(shape)))


ONE_HOT = list(
    itertools.product(
        (Triangle(), Tet(0.7), Sigmoid(4.0), Cubic()), ("difference", "sum"), ("subtract", "value"), (1, 4)
    )
)


@pytest.mark.parametrize(("surrogate", "mode", "reset", "lanes"), ONE_HOT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_multi_level_lif(surrogate, mode, reset, lanes, dtype):
    neuron = MultiLevelLIF(
        lanes, 0.7, 0.8, gain=1.25, reset=reset, learn_threshold=True, learn_decay=True, surrogate=surrogate,
        surrogate_mode=mode, v_reset=0.125 if reset == "value" else 0.0, v_init=0.25,
    ).to(dtype)  # fmt: skip
    assert_same(neuron, frames(dtype, 5, 2, 3, 4))


@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("scaled", [True, False])
def test_boundaries_and_scaled_lanes(boundary, scaled):
    """On dyadic input, where membranes meet thresholds exactly."""
    x = torch.randint(-4, 12, (6, 3, 50), generator=torch.Generator().manual_seed(0)).double() / 4
    assert_same(MultiLevelLIF(3, 1.0, 0.5, boundary=boundary, scaled=scaled).double(), x)


@pytest.mark.parametrize("surrogate", [Triangle(), Sigmoid(), Cubic()])
def test_parameters_per_channel(surrogate):
    x = frames(torch.float64, 4, 2, 3, 5, 6)
    theta, decay = PER_CHANNEL.double(), PER_CHANNEL.double().flip(0) / 2
    neuron = MultiLevelLIF(3, theta, decay, learn_threshold=True, learn_decay=True, surrogate=surrogate, v_init=theta)
    assert_same(neuron.double(), x)
    assert_same(MultiLevelIF(3, theta, learn_threshold=True, surrogate=surrogate).double(), x)
    assert_same(Barrier(4, theta, clipped=True).double(), x)
    assert_same(LMHT(2, 4, theta, theta / 2).double(), x)


UNIFORM = list(itertools.product((Sigmoid(5.0), Triangle(), Cubic()), ("sum", "single"), ("value", "level"), (1, 5)))


@pytest.mark.parametrize(("surrogate", "mode", "output", "levels"), UNIFORM)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_multi_level_if(surrogate, mode, output, levels, dtype):
    neuron = MultiLevelIF(levels, 0.75, surrogate, mode, output, learn_threshold=True, v_init=0.1).to(dtype)
    assert_same(neuron, frames(dtype, 5, 2, 3, 4))


@pytest.mark.parametrize("clipped", [True, False])
def test_barrier(clipped):
    assert_same(Barrier(3, 0.75, clipped).double(), frames(torch.float64, 5, 2, 30))


@pytest.mark.parametrize(("levels", "steps"), [(1, 4), (4, 2), (2, 7), (2, 40)])
def test_lmht(levels, steps):
    neuron = LMHT(levels, steps, 0.5, 0.25).double()
    with torch.no_grad():
        neuron.mixing_logits.normal_(generator=torch.Generator().manual_seed(0))
        neuron.decay_logit.fill_(0.4)
    assert_same(neuron, frames(torch.float64, steps, 3, 40))


@pytest.mark.parametrize("frozen", ["mixing_logits", "decay_logit"])
def test_lmht_of_which_a_part_is_frozen(frozen):
    neuron, x, found = LMHT(3, 3, 0.5).double(), frames(torch.float64, 3, 2, 37), []
    neuron.get_parameter(frozen).requires_grad_(False)
    (learned,) = (parameter for parameter in neuron.parameters() if parameter.requires_grad)
    for how in (nullcontext, stepwise):
        inputs = x.clone().requires_grad_()
        with how():
            found.append(torch.autograd.grad(neuron(inputs).square().sum(), [inputs, learned]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "make", [lambda q: LMHT(2, 3, q), lambda q: LMHT(2, 20, q), lambda q: Barrier(2, q, clipped=True)]
)
@pytest.mark.parametrize("theta", [torch.tensor(0.5), PER_CHANNEL])
def test_thresholds_that_never_learn_get_no_gradient(make, theta):
    """As in the steps, also where somebody asks for one."""
    neuron = make(theta)
    neuron.threshold.requires_grad_()
    x = frames(torch.float32, getattr(neuron, "steps", 3), 2, 3, 4, 5).requires_grad_()
    for how in (nullcontext, stepwise):
        with how():
            neuron(x).sum().backward()
        assert neuron.threshold.grad is None
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize(("q", "levels"), [(0.1, 512), (1 / 3, 65_536), (1e-30, 65_536), (7.7e20, 300)])
def test_quotients_that_round_across_a_level(q, levels):
    """k q in float32, and its neighbours: floor(u/q) and floor(u·(1/q)) alone are wrong for some of them."""
    neuron = MultiLevelIF(levels, levels * q, output="level", surrogate=Triangle())
    held = neuron.quantum()
    products = torch.arange(1, levels + 3) * held
    ends = (torch.tensor(-1e38), torch.tensor(1e38))
    u = torch.cat([products, *(torch.nextafter(products, end) for end in ends)])
    with stepwise():
        expected = neuron(u[None, None])
    assert torch.equal(neuron(u[None, None]), expected)
    assert not torch.equal(torch.floor(u * (1 / held)).clamp(0, levels), expected[0, 0]), "the estimate suffices here"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize(("theta", "scaled"), [(0.1, False), (1 / 3, True), (1e-30, True), (7.7e20, False)])
def test_membranes_beside_a_lane(theta, scaled, boundary, dtype):
    """w θ of all 32 lanes, and its neighbours."""
    neuron = MultiLevelLIF(32, theta, boundary=boundary, scaled=scaled).to(dtype)
    ends = (torch.tensor(-1e38, dtype=dtype), torch.tensor(1e38, dtype=dtype))
    u = torch.cat([neuron.lane_threshold, *(torch.nextafter(neuron.lane_threshold, end) for end in ends)])
    with stepwise():
        expected = neuron(u[None, None])
    assert expected.unique().numel() == 33
    assert torch.equal(neuron(u[None, None]), expected)


def test_many_chunks_and_threads():
    before = torch.get_num_threads()
    x = frames(torch.float32, 8, 3, 3, 60, 61)
    try:
        torch.set_num_threads(2)
        for theta, groups in ((torch.tensor(0.8), 1), (PER_CHANNEL, 3)):
            layout = Layout.of(x, (theta,))
            assert layout.threads == 2
            assert len(layout.parts) >= 2
            chunks = np.concatenate(layout.parts)
            covered = np.concatenate([np.arange(first, last) for first, last, _ in chunks])
            assert np.array_equal(np.sort(covered), np.arange(x[0].numel()))
            assert (chunks[:, 1] - chunks[:, 0]).max() <= CHUNK_BYTES // 4
            places = np.arange(x[0].numel()) // (60 * 61) % 3
            assert all((places[first:last] == group).all() for first, last, group in chunks if groups == 3)
            assert_same(MultiLevelLIF(3, theta, 0.5, learn_threshold=True, learn_decay=True), x)
            assert_same(LMHT(4, 8, theta, theta / 2), x)
    finally:
        torch.set_num_threads(before)


DYADIC = {
    "soft": MultiLevelLIF(3, 0.5, 0.5, gain=2.0, learn_threshold=True, learn_decay=True, surrogate=Triangle(0.25)),
    "hard": MultiLevelLIF(5, 0.5, 0.5, reset="value", learn_threshold=True, surrogate=Tet(0.5), surrogate_mode="sum"),
    "lif": MultiLevelLIF(1, 1.0, 0.5, boundary=">=", learn_decay=True, surrogate=Triangle(0.5)),
    "uniform": MultiLevelIF(4, 2.0, Triangle(0.25), learn_threshold=True),
    "levels": MultiLevelIF(2, 1.0, Triangle(0.25), output="level", learn_threshold=True),
    "barrier": Barrier(4),
    "clipped": Barrier(4, clipped=True),
    "lm-ht": LMHT(4, 4, 0.5, 0.25),
}


@pytest.mark.parametrize("name", DYADIC)
def test_gradients_are_the_same_bits_on_dyadic_input(name):
    """Every product and sum is exact there, in whatever order: nothing but the equations is left."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-8, 24, (4, 2, 3, 70), generator=generator).double() / 8
    cotangent = torch.randint(-4, 5, x.shape, generator=generator).double()
    neuron, results = DYADIC[name].double(), []
    for steps in (False, True):
        neuron.zero_grad()
        inputs = x.clone().requires_grad_()
        with stepwise() if steps else nullcontext():
            y = neuron(inputs)
        y.backward(cotangent)
        results.append([y.detach(), inputs.grad, *(p.grad for p in neuron.parameters())])
    assert all(float(each.abs().sum()) > 0 for each in results[0])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("neuron", [MultiLevelLIF(3, 0.5, 0.5), MultiLevelIF(4), Barrier(2), LMHT(2, 4, 0.5)])
def test_in_bfloat16_autocast_neurons_compute_in_float32(neuron):
    """The layer before gives bfloat16; levels, state and gradient are those of float32."""
    x = frames(torch.float32, 4, 3, 40).bfloat16()
    plain, mixed = x.float().requires_grad_(), x.clone().requires_grad_()
    expected = neuron(plain)
    expected.sum().backward()
    for how in (nullcontext, stepwise):
        mixed.grad = None
        with torch.autocast("cpu", torch.bfloat16), how():
            y = neuron(mixed)
        assert y.dtype == torch.float32
        assert torch.equal(y, expected)
        y.sum().backward()
        torch.testing.assert_close(mixed.grad.float(), plain.grad, rtol=1e-2, atol=1e-2)


def test_half_precision_neurons_step():
    """Thresholds in bfloat16: torch operations, in that precision."""
    neuron = MultiLevelLIF(3, 0.5, 0.5).bfloat16()
    x = frames(torch.float32, 4, 3, 40).bfloat16().requires_grad_()
    y = neuron(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    assert float(x.grad.abs().sum()) > 0


def test_inputs_changed_before_the_backward_pass_are_noticed():
    x = frames(torch.float32, 4, 3, 40).requires_grad_()
    current = x * 1.0
    y = MultiLevelLIF(3, 0.5)(current)
    with torch.no_grad():
        current.add_(1.0)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


def test_noncontiguous_input_and_gradient():
    x = frames(torch.float64, 7, 3, 5).permute(2, 1, 0)
    assert not x.is_contiguous()
    assert_same(MultiLevelLIF(2, 0.9, 0.5).double(), x)
    inputs = x.clone().requires_grad_()
    MultiLevelLIF(2, 0.9, 0.5).double()(inputs).sum().backward()  # an expanded gradient, stride 0
    assert inputs.grad.abs().sum() > 0


def test_without_gradient_the_membranes_are_not_kept():
    x = frames(torch.float32, 6, 2, 9)
    neuron = MultiLevelLIF(3, 0.5)
    with torch.no_grad():
        quiet = neuron(x)
    loud = neuron(x.clone().requires_grad_())
    assert torch.equal(quiet, loud.detach())
    assert loud.grad_fn is not None
    assert x.equal(frames(torch.float32, 6, 2, 9)), "the input was written to"


def test_nan_and_infinity_as_in_the_steps():
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.5]).expand(3, 1, 4)
    for neuron in (MultiLevelLIF(3), MultiLevelLIF(3, reset="value"), MultiLevelIF(3), Barrier(2), LMHT(2, 3, 1.0)):
        with stepwise():
            expected = neuron(x)
        assert torch.equal(neuron(x).nan_to_num(-7.0), expected.nan_to_num(-7.0))


def test_what_is_left_to_the_steps():
    x, v = torch.zeros(2, 1, 3), torch.zeros(1, 3)
    assert is_fusable(x, v)
    assert not is_fusable(x.half(), v)
    assert not is_fusable(x.to("meta"), v.to("meta"))
    assert not is_fusable(x[:, :0], v[:0])
    assert not is_fusable(x, v.clone().requires_grad_())
    with stepwise():
        assert not is_fusable(x, v)


def test_gradients_of_gradients_need_the_steps():
    neuron = MultiLevelLIF(2, 0.9, surrogate=Sigmoid()).double()
    x = frames(torch.float64, 2, 1, 4).requires_grad_()
    with stepwise():
        (first,) = torch.autograd.grad(neuron(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert second.abs().sum() > 0
    (first,) = torch.autograd.grad((neuron(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_inside_over_time():
    network = OverTime(torch.nn.Sequential(torch.nn.Linear(4, 6), MultiLevelLIF(3, 0.3), torch.nn.Linear(6, 2)))
    x = frames(torch.float32, 3, 5, 4)
    network(x).sum().backward()
    fused = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    with stepwise():
        network(x).sum().backward()
    for a, b in zip(fused, [p.grad for p in network.parameters()], strict=True):
        torch.testing.assert_close(a, b)
