"""Batch normalisation folded into the layer before it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from nirbridge.errors import InputError
from nirbridge.training.replacing import set_module

_FUSIONS = {
    (nn.Conv1d, nn.BatchNorm1d): fuse_conv_bn_eval,
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
}
_TOLERANCE = 1e-3


def fold_batch_norms(network: nn.Module, x: Tensor) -> nn.Module:
    """A copy in evaluation mode, each batch normalisation behind a linear layer folded into its weights.

    w' = w γ/sqrt(σ² + ε) and b' = (b - μ) γ/sqrt(σ² + ε) + β per output channel, with the running statistics; an
    ``nn.Identity`` takes the normalisation's place. Which layer comes before is seen on ``x``. A normalisation behind
    anything else stays, and so does one without running statistics.

    Args:
        network: stays as it is.
        x: a batch [B, ...] that the network accepts.

    Raises:
        InputError: folding changes the outputs, as where the layer's output is used without normalisation as well.
    """
    folded = copy.deepcopy(network).eval()
    with torch.no_grad():
        before = folded(x)
    for layer, norm in _pairs(folded, x):
        linear, batch_norm = folded.get_submodule(layer), folded.get_submodule(norm)
        if batch_norm.weight is None:  # of affine=False, which torch folds into convolutions alone
            batch_norm.weight = nn.Parameter(torch.ones_like(batch_norm.running_var))
            batch_norm.bias = nn.Parameter(torch.zeros_like(batch_norm.running_var))
        fuse = _FUSIONS[type(linear), type(batch_norm)]
        set_module(folded, layer, fuse(linear, batch_norm))
        set_module(folded, norm, nn.Identity())
    with torch.no_grad():
        after = folded(x)
    if not torch.allclose(before, after, rtol=_TOLERANCE, atol=_TOLERANCE * float(before.abs().max())):
        found = f"folding batch normalisation changes the outputs by up to {float((after - before).abs().max()):.3g}"
        raise InputError(f"network {type(network).__name__}", found, "Use each layer's output through its norm alone")
    return folded


def _pairs(network: nn.Module, x: Tensor) -> list[tuple[str, str]]:
    """(layer, normalisation) by name, where the one hands its output to the other."""
    made: dict[int, tuple[str, Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    names = {module: name for name, module in network.named_modules()}

    def made_by(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # The tensor is kept, so that no later one can get its id.
        made[id(output)] = (names[module], output)

    def taken_by(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer = made.get(id(inputs[0]))
        if layer is not None and (type(network.get_submodule(layer[0])), type(module)) in _FUSIONS:
            pairs.append((layer[0], names[module]))

    handles = []
    for module in network.modules():
        if type(module) in {layer for layer, _ in _FUSIONS}:
            handles.append(module.register_forward_hook(made_by))
        elif type(module) in {norm for _, norm in _FUSIONS} and module.running_var is not None:
            handles.append(module.register_forward_pre_hook(taken_by))
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return pairs
