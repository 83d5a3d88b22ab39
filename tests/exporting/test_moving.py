"""Code that only moves values: the graph gives what torch gives, with as few nodes as the whole way needs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.errors import ExportError
from nirbridge.exporting.along import along
from nirbridge.exporting.settling import nodes_for
from nirbridge.exporting.signal import RefusalError
from nirbridge.ir import Place
from nirbridge.neurons import OverTime
from tests.exporting.running import compare, dyadic


class Code(nn.Module):
    """A function as a network; the sum with its input's own mean shows that nodes go on behind it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.function(x)


class ChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def _shuffle(x: Tensor) -> Tensor:
    """As torchvision's ShuffleNet has it."""
    batch, channels, height, width = x.size()
    y = x.view(batch, 2, channels // 2, height, width)
    return torch.transpose(y, 1, 2).contiguous().view(batch, channels, height, width)


def _swin_merging(x: Tensor) -> Tensor:
    parts = [x[..., 0::2, 0::2], x[..., 1::2, 0::2], x[..., 0::2, 1::2], x[..., 1::2, 1::2]]
    return torch.cat(parts, 1)


KINDS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], list[type]]] = {
    "channel shuffle": (_shuffle, (6, 3, 2), [nir.Conv2d]),
    "its module": (nn.ChannelShuffle(3), (6, 3, 2), [nir.Conv2d]),
    "a half of the channels": (lambda x: x.chunk(2, dim=1)[1], (6, 3, 2), [nir.Conv2d]),
    "shuffled, then a half": (lambda x: _shuffle(x).chunk(2, 1)[0], (6, 3, 2), [nir.Conv2d]),
    "split by sizes": (lambda x: x.split([1, 3, 2], 1)[1], (6, 3, 2), [nir.Conv2d]),
    "a list of channels": (lambda x: x[:, [4, 0, 0]], (6, 3, 2), [nir.Conv2d]),
    "one channel": (lambda x: x[:, 1], (3, 4, 2), [nir.Conv2d, nir.Flatten]),
    "one channel kept": (lambda x: torch.unsqueeze(x[:, 1], 1), (3, 4, 2), [nir.Conv2d]),
    "unbound": (lambda x: x.unbind(1)[2] + x.select(1, 0), (3, 4, 2), [nir.Conv2d, nir.Flatten] * 2),
    "a crop": (lambda x: x[:, :, 1:3, ::3], (2, 5, 7), [nir.Conv2d]),
    "the end": (lambda x: x[..., -2:], (2, 3, 5), [nir.Conv2d]),
    "every second from 1": (lambda x: x[:, :, 1::2], (2, 9), [nir.Conv1d]),
    "places to channels": (lambda x: functional.pixel_unshuffle(x, 2), (2, 4, 6), [nir.Conv2d]),
    "four slices": (_swin_merging, (2, 4, 6), [nir.Conv2d, Place] * 4),
    "turned round": (lambda x: x.flip(-1), (2, 3, 5), [nir.Linear]),
    "rows turned round": (lambda x: x.flip(2), (2, 3, 5), [nir.Conv2d, nir.Conv2d]),
    "rows rolled": (lambda x: x.roll(1, 2), (2, 3, 5), [nir.Conv2d, nir.Conv2d]),
    "channels rolled": (lambda x: torch.roll(x, -1, 1), (3, 4, 2), [nir.Conv2d]),
    "tiles": (lambda x: x.tile(2, 1, 1), (3, 4, 2), [nir.Conv2d]),
    "a diagonal": (lambda x: x.diagonal(0, 2, 3).flatten(1), (2, 3, 3), [nir.Flatten, nir.Linear]),
    "a quarter turn": (lambda x: x.rot90(1, (2, 3)).flatten(1), (2, 3, 3), [nir.Flatten, nir.Linear]),
    "repeated": (lambda x: x.expand(-1, -1, 4, 3), (2, 1, 1), [Place]),
    "features of a vector": (lambda x: x[:, 2:5], (7,), [nir.Linear]),
    "channels last": (lambda x: x.permute(0, 2, 3, 1).flatten(1), (3, 4, 2), [nir.Flatten, nir.Linear]),
    "channels last, by a module": (nn.Sequential(ChannelsLast(), nn.Flatten()), (3, 4, 2), [nir.Flatten, nir.Linear]),
    "there and back": (lambda x: x.transpose(1, 2).transpose(2, 1), (3, 4), []),
    "split and merged": (lambda x: x.unflatten(1, (2, 3)).flatten(2).reshape(x.shape[0], -1), (6, 4), [nir.Flatten]),
    "an index": (lambda x: x.index_select(1, torch.tensor([2, 0])), (3, 4), [nir.Conv1d]),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_gives_what_torch_gives(name: str) -> None:
    function, shape, kinds = KINDS[name]
    graph = compare(OverTime(Code(function)), dyadic(3, 2, *shape))
    found = [type(node) for node in graph.nodes.values() if type(node) not in (nir.Input, nir.Output, nir.Scale)]
    assert sorted(found, key=str) == sorted(kinds, key=str)


def test_one_move_that_two_layers_take_is_made_once() -> None:
    graph = compare(OverTime(Code(lambda x: (y := x.flip(1)) + 3 * (2 * y))), dyadic(3, 2, 4, 2))
    assert sum(type(node) is nir.Conv1d for node in graph.nodes.values()) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.transpose(0, 1),
        lambda x: x[:2],
        lambda x: x[:6] + x[:6],
        lambda x: x.split(2)[0],
        lambda x: x.chunk(2)[1],
        lambda x: x.flip(0),
        lambda x: x.narrow(0, 0, 2),
        lambda x: x.repeat(2, 1, 1),
        lambda x: x[0:1],
        lambda x: x[None],
    ],
)
def test_time_and_batch_stay_where_they_are(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ExportError, match=r"takes parts of time or batch|moves values of|takes single steps"):
        nirbridge.export(Code(function), (2, 3))
    with pytest.raises(ExportError, match=r"takes parts of time or batch|moves values of"):
        nirbridge.export(OverTime(Code(function)), (2, 3))


@pytest.mark.parametrize("seed", range(40))
def test_random_ways_through_shapes(seed: int) -> None:
    """Nodes for a way, run on the indices themselves, give the way's own result; where there are none, it says so."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    index = np.arange(prod(shape)).reshape(shape)
    swapped = False
    for _ in range(rng.integers(1, 4)):
        axis = int(rng.integers(index.ndim))
        match int(rng.integers(5)):
            case 0:
                index = np.flip(index, axis)
            case 1:
                start = int(rng.integers(index.shape[axis]))
                index = np.moveaxis(np.moveaxis(index, axis, 0)[start :: int(rng.integers(1, 3))], 0, axis)
            case 2:
                index = np.take(index, rng.integers(index.shape[axis], size=rng.integers(1, 6)), axis)
            case 3:
                index = np.repeat(index, 2, axis)
            case 4:
                index, swapped = np.swapaxes(index, axis, 0), True
    nodes = nodes_for(shape, np.ascontiguousarray(index), np.float64)
    if nodes is None:
        assert swapped, "each axis by itself can always be moved"
        return
    values = rng.standard_normal(shape)
    expected = values.ravel()[index]
    if not nodes:
        np.testing.assert_array_equal(values, expected)
        return
    named = {str(number): node for number, node in enumerate(nodes)}
    nodes_all = {"input": nir.Input({"input": np.array(shape)}), **named}
    nodes_all["output"] = nir.Output({"output": np.array(index.shape)})
    graph = nir.NIRGraph(nodes_all, list(pairwise(nodes_all)), type_check=False)
    with nirbridge.compile(graph, "reference") as program:
        np.testing.assert_array_equal(program.run(values[None, None]).output[0, 0], expected)


def test_rows_of_large_pictures_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"makes 224 rows of 112 in features \(64, 112, 112\)"):
        along((64, 112, 112), 1, np.zeros((224, 112)))
