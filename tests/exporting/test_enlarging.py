"""Transposed convolutions, upsampling and pixel shuffle: the graph gives what torch gives."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.ir import Place
from nirbridge.neurons import OverTime
from tests.exporting.running import dyadic, make_dyadic, run_graph

CASES = {
    "stride 1": (lambda: nn.ConvTranspose2d(2, 3, (3, 2)), (2, 4, 5)),
    "padding": (lambda: nn.ConvTranspose2d(2, 3, 3, padding=(1, 2)), (2, 4, 5)),
    "groups, dilation, no bias": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, bias=False), (4, 4, 5)),
    "stride over one place": (lambda: nn.ConvTranspose2d(3, 2, 4, stride=2), (3, 1, 1)),
    "stride over one row": (lambda: nn.ConvTranspose2d(3, 2, (4, 3), stride=(2, 1)), (3, 1, 5)),
    "one axis": (lambda: nn.ConvTranspose1d(2, 3, 4, padding=1), (2, 7)),
    "upsampled place": (lambda: nn.Upsample(scale_factor=3), (2, 1, 1)),
    "upsampled row": (lambda: nn.Upsample(size=(3, 4)), (2, 1, 4)),
    "stride": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 4, 3)),
    "unlike strides": (lambda: nn.ConvTranspose2d(4, 2, (2, 3), stride=(3, 1), groups=2), (4, 3, 5)),
    "cut": (lambda: nn.ConvTranspose2d(2, 3, 2, stride=2, padding=(2, 1)), (2, 4, 3)),
    "stride along one axis": (lambda: nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1), (2, 5)),
    "upsampled": (lambda: nn.Upsample(scale_factor=2), (2, 3, 4)),
    "upsampled by 1.5": (lambda: nn.Upsample(scale_factor=1.5), (2, 5, 6)),
    "upsampled to a size": (lambda: nn.Upsample(size=(5, 3), mode="nearest-exact"), (2, 3, 4)),
    "one axis upsampled": (lambda: nn.Upsample(scale_factor=3), (2, 4)),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), (8, 3, 2)),
    "there and back": (lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2)), (2, 4, 6)),
    "upsampled by 1": (lambda: nn.Sequential(nn.UpsamplingNearest2d(scale_factor=1), nn.Conv2d(2, 2, 1)), (2, 3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_graph_gives_what_torch_gives(name: str) -> None:
    build, shape = CASES[name]
    module = make_dyadic(OverTime(nn.Sequential(build()))).eval()
    x = dyadic(3, 2, *shape)
    with torch.no_grad():
        expected = module(x).numpy()
    graph = nirbridge.export(module, shape)
    assert np.array_equal(run_graph(graph, x.numpy()), expected)
    assert np.any(expected)
    kinds = {nir.Input, nir.Conv1d, nir.Conv2d, nir.Linear, Place, nir.Output}
    assert {type(node) for node in graph.nodes.values()} <= kinds


def test_functions() -> None:
    class Code(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3, 3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            big = nn.functional.interpolate(x, scale_factor=4)
            return nn.functional.conv_transpose2d(big, self.weight, padding=1)

    module, x = make_dyadic(OverTime(Code())).eval(), dyadic(3, 2, 2, 1, 1)
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.array_equal(run_graph(nirbridge.export(module, (2, 1, 1)), x.numpy()), expected)
