"""The Triton kernels of training, run by numpy: levels bit for bit, gradients but for the order of sums."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, Sigmoid, Tet, Triangle
from nirbridge.neurons.fused import on_card, stepwise, switch
from tests.neurons.test_fused import DYADIC, PER_CHANNEL, TOLERANCE, Cubic, frames
from tests.triton_interpreter import Launched, interpreted, ptx

pytest.importorskip("triton")
KERNELS = "nirbridge.neurons.fused.kernels"


@pytest.fixture
def numpy_runs_kernels(monkeypatch) -> Iterator[None]:
    """As for tensors on CUDA, in blocks of 64 neurons."""
    monkeypatch.setattr(on_card, "BLOCK", 64)
    monkeypatch.setattr(switch, "runs_kernels", lambda x: True)
    with interpreted(KERNELS):
        yield


def results(neuron, x, cotangent, steps):
    neuron.zero_grad()
    inputs = x.clone().requires_grad_()
    y = neuron(inputs)
    assert (type(y.grad_fn).__name__ == "StackBackward0") is steps
    y.backward(cotangent)
    return [y.detach(), inputs.grad, *(parameter.grad for parameter in neuron.parameters())]


def compared(neuron, x, cotangent=None):
    """Those of the kernels, and of the steps."""
    if cotangent is None:
        cotangent = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    found = results(neuron, x, cotangent, False)
    with stepwise():
        return found, results(neuron, x, cotangent, True)


def assert_same(neuron, x):
    found, expected = compared(neuron, x)
    assert torch.equal(found[0], expected[0])
    assert found[0].unique().numel() > 1, "the test data exercise nothing"
    for one, other in zip(found[1:], expected[1:], strict=True):
        scale = float(other.abs().max())
        assert scale > 0
        torch.testing.assert_close(one, other, rtol=TOLERANCE[x.dtype], atol=TOLERANCE[x.dtype] * scale)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("surrogate", [Triangle(), Tet(0.7), Sigmoid(4.0), Cubic()])
def test_multi_level_lif(surrogate, reset, dtype):
    neuron = MultiLevelLIF(
        3, 0.7, 0.8, gain=1.25, reset=reset, learn_threshold=True, learn_decay=True, surrogate=surrogate,
        surrogate_mode="sum" if reset == "value" else "difference", v_reset=0.1 * (reset == "value"), v_init=0.25,
    ).to(dtype)  # fmt: skip
    assert_same(neuron, frames(dtype, 4, 2, 5, 7))


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "neuron",
    [
        MultiLevelIF(4, 0.75, learn_threshold=True, v_init=0.1),
        MultiLevelIF(1, 0.75, Triangle(), "single", "level", learn_threshold=True),
        Barrier(3, 0.75),
        Barrier(3, 0.75, clipped=True),
        LMHT(4, 4, 0.5, 0.25),
    ],
)
def test_equal_levels(neuron, dtype):
    assert_same(neuron.to(dtype), frames(dtype, 4, 2, 5, 7))


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("surrogate", [Sigmoid(), Cubic()])
def test_parameters_per_channel(surrogate, order):
    x = frames(torch.float64, 8, 3, 4, 5).contiguous(memory_format=order).unflatten(0, (4, 2))
    theta, decay = PER_CHANNEL.double(), PER_CHANNEL.double().flip(0) / 2
    neuron = MultiLevelLIF(3, theta, decay, learn_threshold=True, learn_decay=True, surrogate=surrogate, v_init=theta)
    assert neuron.double()(x).stride() == x.stride()
    assert_same(neuron.double(), x)
    assert_same(MultiLevelIF(3, theta, learn_threshold=True, surrogate=surrogate).double(), x)
    assert_same(Barrier(4, theta, clipped=True).double(), x)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("name", DYADIC)
def test_gradients_are_the_same_bits_on_dyadic_input(name):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-8, 24, (4, 2, 3, 17), generator=generator).double() / 8
    for one, other in zip(*compared(DYADIC[name].double(), x, torch.randint(-4, 5, x.shape).double()), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("boundary", [">", ">="])
def test_membranes_beside_a_lane(boundary, dtype):
    """w θ of all 32 lanes, its neighbours, and what is no number."""
    neuron = MultiLevelLIF(32, 1 / 3, boundary=boundary, scaled=True).to(dtype)
    ends = [torch.tensor(end, dtype=dtype) for end in (-1e38, 1e38)]
    beside = [torch.nextafter(neuron.lane_threshold, end) for end in ends]
    u = torch.cat([neuron.lane_threshold, *beside, torch.tensor([float("nan"), float("inf"), -float("inf")])])
    with stepwise():
        expected = neuron(u[None, None])
    assert expected.unique().numel() == 33
    assert torch.equal(neuron(u[None, None]), expected)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize(("q", "levels"), [(0.1, 300), (1e-30, 300)])
def test_quotients_that_round_across_a_level(q, levels):
    neuron = MultiLevelIF(levels, levels * q, output="level", surrogate=Triangle())
    products = torch.arange(1, levels + 3) * neuron.quantum()
    u = torch.cat([products, *(torch.nextafter(products, torch.tensor(end)) for end in (-1e38, 1e38))])
    with stepwise():
        expected = neuron(u[None, None])
    assert torch.equal(neuron(u[None, None]), expected)


@pytest.mark.usefixtures("numpy_runs_kernels")
def test_launches_forbid_fused_products_and_sums(monkeypatch):
    from nirbridge.neurons.fused import kernels

    for name in ("forward", "backward"):
        monkeypatch.setattr(kernels, name, Launched())
    MultiLevelLIF(3)(frames(torch.float32, 2, 2, 3).requires_grad_()).sum().backward()
    assert kernels.forward["enable_fp_fusion"] is kernels.backward["enable_fp_fusion"] is False


@pytest.mark.parametrize("real", ["fp32", "fp64"])
def test_compiled_kernels_round_after_every_operation(real):
    """For a card that is not there."""
    from nirbridge.neurons.fused import kernels

    how = {"GAIN": 1.5, "ONE_HOT": True, "LOWEST": 1.0, "HIGHEST": 4.0, "STRICT": True, "HARD": False, "V_RESET": 0.0}
    how |= {"SENDS_VALUES": False, "BLOCK": 256}
    text = ptx(kernels.forward, real, **how, KEEPS=False)
    assert f"mul.rn.f{real[2:]}" in text
    assert f"div.rn.f{real[2:]}" in text
    back = ptx(kernels.backward, real, **how, STRAIGHT=False, CARRIES=False, KIND=1, LEARNS=True)
    assert "fma" not in text + back


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DYADIC)
def test_neurons_on_cuda(name, dtype):
    """Arbitrary numbers: the levels of the CPU, and its gradients but for the order of sums."""
    neuron, x = DYADIC[name].to(dtype), frames(dtype, 4, 2, 3, 500)
    expected = results(neuron.cpu(), x, torch.ones_like(x), False)
    found = results(neuron.cuda(), x.cuda(), torch.ones_like(x).cuda(), False)
    neuron.cpu()
    assert name == "lm-ht" or torch.equal(found[0].cpu(), expected[0])  # LM-HT mixes steps by a product of matrices
    for one, other in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))
