"""What is measured in residual networks besides their accuracy: what blocks hand on, and what gradients do in them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nirbridge.networks.blocks import MSBlock, SEWBlock, SparseBlock, SpikingBlock
from nirbridge.neurons import Barrier
from nirbridge.training import make_loss
from training import Data, TrainingStage
from training.batches import SizedBatches
from training.configuration import Configuration

_BLOCKS = (SpikingBlock, SEWBlock, MSBlock, SparseBlock)


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The residual blocks, in their order."""
    return [module for module in network.modules() if isinstance(module, _BLOCKS)]


def sums(network: nn.Module, frames: Tensor, threshold: float) -> dict[str, list[float]]:
    """Of each block: the largest value that it hands on, and the share of its sums above V_th, which a barrier cuts.

    Lists are empty without blocks.
    """
    largest, above = list[float](), list[float]()

    def handed_on(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        largest.append(_rounded(output.max()))

    def summed(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        # A barrier gets its block's sum; of other blocks the sum is what they hand on.
        total = inputs[0] if isinstance(module, Barrier) else output
        above.append(_rounded((total > threshold * (1 + 1e-6)).double().mean()))

    handles = []
    for block in blocks_of(network):
        handles.append(block.register_forward_hook(handed_on))
        last = block.barrier if isinstance(block, SparseBlock) else block
        handles.append(last.register_forward_hook(summed))
    try:
        with torch.inference_mode():
            network(frames)
    finally:
        for handle in handles:
            handle.remove()
    return {"largest_sums": largest, "above_threshold": above}


def _rounded(value: Tensor) -> float:
    return float(np.round(float(value), 4))


def gradient_growth(stage: TrainingStage, configuration: Configuration, data: Data) -> float:
    """How many times longer the loss's gradient over what enters the first block is than over what leaves the last.

    Of the network as training finds it, on its first batch of training samples.
    """
    torch.manual_seed(configuration.seed)
    batches = SizedBatches(data.train, configuration.batch, stage.steps, data.has_time, False)
    frames, labels = next(iter(batches))
    network = stage.begin(None, frames[0]).train()
    blocks, kept = blocks_of(network), list[Tensor]()
    handles = [
        blocks[0].register_forward_pre_hook(lambda m, x: kept.append(x[0])),
        blocks[-1].register_forward_hook(lambda m, x, y: kept.append(y)),
    ]
    try:
        options = dict(configuration.loss)
        loss = make_loss(options.pop("name"), **options)(network(frames), labels)
    finally:
        for handle in handles:
            handle.remove()
    first, last = torch.autograd.grad(loss, kept)
    return float(first.norm() / last.norm())
