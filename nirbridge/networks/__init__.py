"""The papers' networks over [B, ...], of any width, with any neuron; ``OverTime`` runs them over [T, B, ...]."""

from collections.abc import Callable
from typing import Any

from torch import nn

from nirbridge.errors import InputError, reason_of
from nirbridge.networks.barriers import make_barrier
from nirbridge.networks.blocks import BLOCKS, MSBlock, SEWBlock, SparseBlock, SpikingBlock
from nirbridge.networks.gcn import TextGCN, text_gcn
from nirbridge.networks.parts import MakeNeuron, default_neuron
from nirbridge.networks.resnet import (
    RESNETS,
    ResNet,
    resnet18,
    resnet19,
    resnet20,
    resnet34,
    sparse_neuron,
    sparse_resnet18,
)
from nirbridge.networks.small import SmallConv, SmallDense
from nirbridge.networks.transformer import SpikeTransformer, transformer_neuron
from nirbridge.networks.vgg import VGG, VGGSNN, vgg13, vgg16
from nirbridge.neurons.arguments import choose

__all__ = [
    "BLOCKS",
    "NETWORKS",
    "RESNETS",
    "VGG",
    "VGGSNN",
    "MSBlock",
    "ResNet",
    "SEWBlock",
    "SmallConv",
    "SmallDense",
    "SparseBlock",
    "SpikeTransformer",
    "SpikingBlock",
    "TextGCN",
    "build_network",
    "make_barrier",
    "own_neuron",
    "resnet18",
    "resnet19",
    "resnet20",
    "resnet34",
    "sparse_resnet18",
    "vgg13",
    "vgg16",
]

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small-conv": SmallConv,
    "small-dense": SmallDense,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "vggsnn": VGGSNN,
    **RESNETS,
    "spike-transformer": SpikeTransformer,
    "text-gcn": text_gcn,
}
"""What builds each network, by the name that :func:`build_network` and configurations take."""

_NEURONS: dict[str, MakeNeuron] = {"sparse-resnet18": sparse_neuron, "spike-transformer": transformer_neuron}


def own_neuron(name: str) -> MakeNeuron:
    """What makes the neurons of that network where none are given."""
    return _NEURONS.get(name, default_neuron)


def build_network(name: str, **options: Any) -> nn.Module:
    """The network of that name in ``NETWORKS``.

    Raises:
        InputError: an unknown name or option, or sizes that do not fit.
    """
    choose("network", "network", name, tuple(NETWORKS))
    try:
        return NETWORKS[name](**options)
    except TypeError as error:
        raise InputError(f"network '{name}'", str(error)[:200], "Check the names of its options") from error
    except (RuntimeError, MemoryError) as error:  # torch's allocator raises the former
        found = f"cannot be built ({reason_of(error)})"
        raise InputError(f"network '{name}'", found, "Choose smaller sizes") from error
