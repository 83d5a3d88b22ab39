"""Runs a module and its graph on the same data."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import nirbridge
from nirbridge.exporting import export


def dyadic(*shape: int, seed: int = 0, low: int = -8, high: int = 24) -> torch.Tensor:
    """Multiples of 1/8, so that sums are exact in double precision whatever their order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator).double() / 8


def make_dyadic(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives every parameter small dyadic values; the module is in double precision afterwards."""
    module.double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-8, 9, parameter.shape, generator=generator).double() / 8)
    return module


def randomise_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives batch normalisations statistics and factors as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for inner in module.modules():
            if isinstance(inner, nn.modules.batchnorm._BatchNorm):
                inner.running_mean.copy_(torch.randn(inner.num_features, generator=generator) * 0.3)
                inner.running_var.copy_(torch.rand(inner.num_features, generator=generator) + 0.3)
                if inner.affine:
                    inner.weight.copy_(torch.randn(inner.num_features, generator=generator))
                    inner.bias.copy_(torch.randn(inner.num_features, generator=generator) * 0.2)
    return module


def run_graph(graph, x: np.ndarray):
    """The graph's output on runtime reference."""
    with nirbridge.compile(graph, "reference", dt=1e-3) as program:
        return program.run(x).output


def run_module(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """The module's own forward in evaluation mode."""
    training = module.training
    module.eval()
    with torch.no_grad():
        y = module(x)
    module.train(training)
    return y.numpy()


def compare(module: nn.Module, x: torch.Tensor, *, exact: bool = True, tolerance: float = 1e-9):
    """Exports ``module``, runs both on ``x`` [T, B, ...] and compares; gives the graph.

    Args:
        exact: every value equal, bit by bit; else within ``tolerance``.
    """
    graph = export(module, tuple(x.shape[2:]))
    expected, found = run_module(module, x), run_graph(graph, x.numpy())
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0, "the test data exercise nothing"
    if exact:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return graph
