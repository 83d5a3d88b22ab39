"""Weights fitted to what the spikes before them stand for: the ridge solution, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from nirbridge.converting import convert_in_full
from nirbridge.converting.evaluate import function
from nirbridge.converting.refitting import refits, refitted
from nirbridge.quantizing.patches import patches


def conv(groups: int = 1, stride: int = 1) -> nir.Conv2d:
    rng = np.random.default_rng(0)
    return nir.Conv2d((6, 6), rng.standard_normal((4, 4 // groups, 3, 3)), stride, 1, 1, groups, rng.standard_normal(4))


def sums(node: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return function(node, torch.float64)(torch.as_tensor(x)).numpy()


@pytest.mark.parametrize("node", [conv(), conv(2), conv(1, 2), nir.Affine(np.eye(5, 8), np.ones(5))])
def test_a_node_whose_inputs_lose_nothing_keeps_its_weights(node: Any) -> None:
    x = np.random.default_rng(1).standard_normal((300, 4, 6, 6) if node.weight.ndim == 4 else (900, 8))
    found = refitted(node, x, sums(node, x))
    np.testing.assert_allclose(found.weight, node.weight, atol=1e-12)
    np.testing.assert_allclose(found.bias, node.bias, atol=1e-12)


@pytest.mark.parametrize("node", [conv(), conv(2), conv(1, 2), nir.Affine(np.eye(5, 8), np.ones(5))])
def test_lost_input_is_made_up_for_on_other_data(node: Any) -> None:
    """Inputs that arrive rounded down to multiples of 1/2: less error, on data that the fit has not seen."""
    rng = np.random.default_rng(2)
    shape = (4, 6, 6) if node.weight.ndim == 4 else (8,)
    told, others = (np.abs(rng.standard_normal((600, *shape))) for _ in range(2))
    new = refitted(node, np.floor(2 * told) / 2, sums(node, told))
    before, after = (
        ((sums(which, np.floor(2 * others) / 2) - sums(node, others)) ** 2).mean() for which in (node, new)
    )
    assert after < 0.6 * before


def test_the_solution_is_that_of_the_normal_equations() -> None:
    """Ridge regression of a matrix, written as one least-squares problem with extra rows."""
    rng = np.random.default_rng(3)
    node = nir.Affine(rng.standard_normal((3, 4)), rng.standard_normal(3))
    x, z = rng.standard_normal((256, 4)), rng.standard_normal((256, 3))
    new = refitted(node, x, z)
    rows = patches(node, x, 256)
    extra = np.hstack([np.sqrt(1e-2 * (rows**2).sum() / 4) * np.eye(4), np.zeros((4, 1))])
    design = np.vstack([np.hstack([rows, np.ones((256, 1))]), extra])
    wanted = np.vstack([z - rows @ node.weight.T - node.bias, np.zeros((4, 3))])
    change = np.linalg.lstsq(design, wanted, rcond=None)[0]
    np.testing.assert_allclose(new.weight, node.weight + change[:4].T, atol=1e-10)
    np.testing.assert_allclose(new.bias, node.bias + change[4], atol=1e-10)


def test_few_samples_and_what_only_moves_values_stay() -> None:
    assert refits(conv(), 256)
    assert not refits(conv(), 255)
    assert not refits(nir.Scale(np.ones(4)), 1000)


def test_rounded_weights_stay_on_their_grid() -> None:
    """With enough samples weights are fitted, then rounded; biases alone change after that."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    x = np.random.default_rng(0).random((400, 6))
    found = convert_in_full(net.double(), x, phases=4, weight_bits=3)
    whole = convert_in_full(net, x, phases=4)
    for name in ("2", "4"):
        lambda_in = {layer.name: layer.scale for layer in found.layers}[str(int(name) - 1)]
        weights = found.coded.nodes[name].weight * lambda_in
        steps = np.abs(weights).max(1, keepdims=True) / 3
        np.testing.assert_allclose(weights / steps, np.rint(weights / steps), atol=1e-9)
        fitted = whole.coded.nodes[name].weight
        assert np.abs(fitted - net[int(name)].weight.detach().numpy()).max() > 1e-3, "the fit changed something"
