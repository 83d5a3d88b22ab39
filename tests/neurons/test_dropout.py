"""Dropout with one mask for all steps of an image."""

import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.errors import InputError
from nirbridge.networks import build_network
from nirbridge.neurons import MultiLevelLIF, OverTime, TimeDropout

STEPS, BATCH, SIZE = 5, 7, 400


def dropped(mask: str, p: float = 0.25) -> torch.Tensor:
    torch.manual_seed(0)
    return OverTime(TimeDropout(p, mask)).train()(torch.ones(STEPS, BATCH, SIZE))


def test_one_mask_per_image_holds_over_its_steps():
    y = dropped("image")
    assert torch.equal(y, y[:1].expand_as(y))
    assert not torch.equal(y[0, 0], y[0, 1])
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float((y[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_one_mask_per_step_changes():
    y = dropped("step")
    assert not torch.equal(y[0], y[1])
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_gradients_are_those_of_the_kept_inputs():
    x = torch.randn(STEPS, BATCH, SIZE, requires_grad=True)
    torch.manual_seed(0)
    y = OverTime(TimeDropout(0.25)).train()(x)
    y.sum().backward()
    assert torch.equal(x.grad, dropped("image"))
    assert torch.equal(y, x * x.grad)


def test_evaluation_and_graphs_pass_everything_on():
    body = nn.Sequential(nn.Linear(4, 6), MultiLevelLIF(2), TimeDropout(0.5), nn.Linear(6, 2))
    network = OverTime(body).eval()
    graph = nirbridge.export(network, input_shape=(4,))
    x = torch.randn(3, 2, 4)
    with nirbridge.compile(graph) as program:
        torch.testing.assert_close(
            torch.from_numpy(program.run(x.numpy()).output).float(), network(x), atol=1e-5, rtol=0
        )
    for p, training in ((0.5, False), (0.0, True)):
        assert torch.equal(TimeDropout(p).train(training)(x), x)


def test_outside_of_time_each_sample_has_its_mask():
    torch.manual_seed(0)
    y = TimeDropout(0.5).train()(torch.ones(3, 100))
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("name", ["vgg16", "small-conv"])
def test_networks_take_the_kind_of_mask(name):
    shape = {"input_shape": (1, 32, 32), "width": 1}
    found = [m.mask for m in build_network(name, dropout=0.1, **shape).modules() if isinstance(m, TimeDropout)]
    assert found
    assert set(found) == {"image"}
    network = build_network(name, dropout=0.1, dropout_mask="step", **shape)
    assert {m.mask for m in network.modules() if isinstance(m, TimeDropout)} == {"step"}


@pytest.mark.parametrize("arguments", [(1.0,), (-0.1,), (float("nan"),), (0.5, "batch")])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match="TimeDropout"):
        TimeDropout(*arguments)
