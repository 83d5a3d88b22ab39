"""Recurrent layers: what torch computes, as a cycle of the graph on every runtime, trained through time."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.errors import ExportError, InputError
from nirbridge.ir import find_spec
from nirbridge.neurons import LMHT, QCFS, MultiLevelIF, MultiLevelLIF, OverTime, PrimitiveNeuron, Recurrent
from tests.exporting.running import dyadic, make_dyadic

LIF = {"tau": 0.004, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}


def lif() -> PrimitiveNeuron:
    spec = find_spec(nir.LIF)
    assert spec is not None
    return PrimitiveNeuron(spec, **LIF).double()


def same_conv(bias: bool) -> nn.Module:
    return nn.Conv2d(2, 2, 3, padding=1, bias=bias)


CASES = {
    "all to all": ((4,), lambda: Recurrent(MultiLevelLIF(lanes=3, decay=0.5), nn.Linear(4, 4, bias=False))),
    "with a bias": ((4,), lambda: Recurrent(MultiLevelLIF(lanes=3, decay=0.5), nn.Linear(4, 4))),
    "to itself": ((4,), lambda: Recurrent(MultiLevelIF(levels=4), nn.Identity())),
    "two layers back": (
        (4,),
        lambda: Recurrent(MultiLevelLIF(reset="value"), nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 4))),
    ),
    "primitive": ((4,), lambda: Recurrent(lif(), nn.Linear(4, 4))),
    "convolution": ((2, 3, 5), lambda: OverTime(Recurrent(MultiLevelLIF(decay=0.5), same_conv(bias=True)))),
    "between layers": (
        (4,),
        lambda: nn.Sequential(
            nn.Linear(4, 5), Recurrent(MultiLevelLIF(), nn.Linear(5, 5)), nn.Linear(5, 3), MultiLevelLIF()
        ),
    ),
    "one in another's way": (
        (4,),
        lambda: OverTime(
            nn.Sequential(
                Recurrent(MultiLevelLIF(), nn.Linear(4, 4)), nn.Linear(4, 4), Recurrent(lif(), nn.Linear(4, 4))
            )
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cycle_computes_what_torch_does(name: str) -> None:
    shape, make = CASES[name]
    module = make_dyadic(make(), seed=3).eval()
    x = dyadic(7, 3, *shape, seed=1, low=-4, high=12)
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.count_nonzero(expected)
    graph = nirbridge.export(module, shape)
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime) as program:
            assert np.array_equal(program.run(x.numpy()).output, expected), runtime
    assert nirbridge.check(graph) == []


def test_the_cycle_computes_what_torch_does_on_lava() -> None:
    pytest.importorskip("lava")
    shape, make = CASES["with a bias"]
    module = make_dyadic(make(), seed=3).eval()
    x = dyadic(7, 1, *shape, seed=1, low=-4, high=12)
    graph = nirbridge.export(module, shape)
    with torch.no_grad():
        expected = module(x).numpy()
    for mapping in ("processes", "fused"):
        with nirbridge.compile(graph, "lava", mapping=mapping) as program:
            assert np.array_equal(program.run(x.numpy()).output, expected), mapping


def test_the_equation_step_by_step() -> None:
    feedback = nn.Linear(3, 3).double()
    layer = Recurrent(MultiLevelLIF(lanes=2, decay=0.5).double(), feedback)
    x = dyadic(5, 2, 3)
    v, y = torch.zeros(2, 3).double(), torch.zeros(2, 3).double()
    for step, sent in enumerate(layer(x)):
        u = 0.5 * v + x[step] + feedback(y)
        y = (u > 1).double() + (u > 2).double()
        v = u - y
        assert torch.equal(sent, y)


def test_nodes_have_the_names_of_the_module() -> None:
    layer = Recurrent(MultiLevelLIF(), nn.Linear(4, 4, bias=False))
    graph = nirbridge.export(nn.Sequential(nn.Linear(4, 4), layer), (4,))
    assert {("1", "1.feedback"), ("1.feedback", "1"), ("0", "1")} <= set(graph.edges)
    assert type(graph.nodes["1"]).__name__ == "MultiLevelLIF"


def test_it_learns_through_time() -> None:
    """Whether the first and the last of five frames agree: nothing but the memory of the cycle can tell."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 16), Recurrent(MultiLevelLIF(decay=0.9), nn.Linear(16, 16)), nn.Linear(16, 2))
    bits = torch.randint(0, 2, (2, 256)).float()
    x = torch.zeros(5, 256, 1)
    x[0, :, 0], x[4, :, 0] = 2 * bits[0] - 1, 2 * bits[1] - 1
    labels = (bits[0] == bits[1]).long()
    optimiser = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x)[4], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert net[1].feedback.weight.grad.abs().sum() > 0
    right = (net(x)[4].argmax(1) == labels).float().mean()
    assert right > 0.9
    graph = nirbridge.export(net.eval(), (1,))
    with nirbridge.compile(graph, "norse") as program:
        output = program.run(x.numpy()).output[4]
    assert (torch.from_numpy(np.asarray(output)).argmax(1) == labels).float().mean() == right


@pytest.mark.parametrize(
    ("neuron", "feedback", "found"),
    [
        (lambda: LMHT(levels=2, steps=2, threshold=1.0), lambda: nn.Identity(), "does not work step by step"),
        (lambda: QCFS(4), lambda: nn.Identity(), "does not work step by step"),
        (lambda: MultiLevelLIF(), lambda: nn.Sequential(nn.Linear(3, 3), MultiLevelLIF()), "would lose at each step"),
        (lambda: MultiLevelLIF(), lambda: 2.0, "not a torch module"),
    ],
)
def test_what_is_no_recurrent_layer_is_refused(neuron, feedback, found) -> None:
    with pytest.raises(InputError, match=found):
        Recurrent(neuron(), feedback())


def test_a_feedback_that_changes_the_shape_is_refused() -> None:
    layer = Recurrent(MultiLevelLIF(), nn.Linear(3, 1, bias=False))
    with pytest.raises(InputError, match="feedback makes"):
        layer(torch.zeros(2, 1, 3))
    with pytest.raises(ExportError, match="feedback makes"):
        nirbridge.export(layer, (3,))
