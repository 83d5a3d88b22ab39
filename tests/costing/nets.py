"""Small networks, and VGG-16 as the published energies assume it."""

from __future__ import annotations

import itertools

import nir
import numpy as np

from nirbridge.ir import build_graph

VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
"""Channels of the 3x3 convolutions; the 32x32 variant ends so, the 224x224 one with a fifth pooling."""


def line(*nodes: nir.NIRNode, entry: nir.NIRNode, leaves: tuple[int, ...] | None = None) -> nir.NIRGraph:
    """entry → n0 → n1 → ... → output, which only files need the shape of."""
    end = nir.Output(None if leaves is None else np.array(leaves))
    named = {"input": entry, **{f"n{i}": node for i, node in enumerate(nodes)}, "output": end}
    return build_graph(named, list(itertools.pairwise(named)))


def net(nodes: dict[str, nir.NIRNode], *paths: str) -> nir.NIRGraph:
    """A graph from paths such as ``"input a b output"``."""
    named = {**nodes, "output": nir.Output(None)}
    edges = [pair for path in paths for pair in itertools.pairwise(path.split())]
    return build_graph(named, edges)


def entry(*shape: int) -> nir.Input:
    return nir.Input(np.array(shape))


def conv(weight: np.ndarray, bias: float = 0.0, stride: int = 1, padding: int = 0, groups: int = 1) -> nir.Conv2d:
    return nir.Conv2d(None, weight, stride, padding, 1, groups, np.full(weight.shape[0], bias))


def zeros(*shape: int) -> np.ndarray:
    """Zeros that take no memory: the large VGG-16 has 138 million weights."""
    return np.broadcast_to(np.float64(0), shape)


def vgg16(size: int, classes: int) -> nir.NIRGraph:
    """VGG-16 for ``size`` x ``size`` images: 32 (CIFAR, no pooling before the linear layers) or 224 (ImageNet)."""
    one, zero, two = np.array(1.0), np.array(0.0), np.array([2, 2])
    image, channels, nodes = entry(3, size, size), 3, []
    for step in (*VGG16, "pool") if size == 224 else VGG16:
        if step == "pool":
            nodes.append(nir.AvgPool2d(two, two, np.array([0, 0])))
            size //= 2
        else:
            nodes += [nir.Conv2d(None, zeros(step, channels, 3, 3), 1, 1, 1, 1, zeros(step)), nir.IF(one, one, zero)]
            channels = step
    nodes.append(nir.Flatten({"input": np.array([channels, size, size])}, 0, -1))
    widths = (channels * size * size, 4096, 4096, classes)
    for columns, rows in itertools.pairwise(widths):
        nodes += [nir.Affine(zeros(rows, columns), zeros(rows)), nir.IF(one, one, zero)]
    return line(*nodes[:-1], entry=image)
