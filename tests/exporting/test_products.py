"""Products of two tensors: Place for each factor and Product, by torch's own broadcasting."""

from __future__ import annotations

from collections.abc import Callable

import nir
import pytest
import torch
from torch import Tensor, nn

from nirbridge.errors import ExportError
from nirbridge.exporting import export
from nirbridge.ir import Place, Product
from nirbridge.neurons import MultiLevelLIF, OverTime
from tests.exporting.running import compare, dyadic, make_dyadic


class Code(nn.Module):
    """Two layers of spikes, (2, 6, 6) each, and what a function makes of them."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), MultiLevelLIF(3, decay=0.5))
        self.b = nn.Sequential(nn.Conv2d(2, 2, 1), MultiLevelLIF(2, decay=1.0))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.a(x), self.b(x))


def _in_place(a: Tensor, b: Tensor) -> Tensor:
    y = a * 1
    y *= b
    return y


CODE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "spikes": lambda a, b: a * b,
    "a square": lambda a, b: a * a,
    "three factors": lambda a, b: a * b * a,
    "method": lambda a, b: a.mul(b),
    "function": torch.mul,
    "in place": _in_place,
    "a sum of spikes": lambda a, b: (a + b) * b,
    "a gate for each channel": lambda a, b: a * b.sum((-2, -1), keepdim=True),
    "a gate first": lambda a, b: b.sum((-2, -1), keepdim=True) * a,
    "both broadcast": lambda a, b: a.sum((-2, -1), keepdim=True) * (b * 0.5),
    "linear attention": lambda a, b: a * (a * b).sum((-2, -1), keepdim=True),
    "features alone": lambda a, b: a.flatten(1) * b.flatten(1),
    "a sum with a product": lambda a, b: a * b + a,
}


@pytest.mark.parametrize("name", CODE)
def test_exact(name: str) -> None:
    network = OverTime(make_dyadic(Code(CODE[name])))
    graph = compare(network, dyadic(3, 2, 2, 6, 6))
    kinds = [type(node) for node in graph.nodes.values()]
    assert kinds.count(Place) == 2 * kinds.count(Product) > 0


def test_names_and_fields() -> None:
    graph = export(OverTime(Code(lambda a, b: a * b.sum((-2, -1), keepdim=True))), (2, 6, 6))
    (product,) = [name for name, node in graph.nodes.items() if type(node) is Product]
    places = [graph.nodes[source] for source, target in graph.edges if target == product]
    fields = [(place.input_shape, place.output_shape, place.start, place.stop) for place in places]
    assert fields == [((2, 6, 6), (4, 6, 6), 0, 2), ((2, 1, 1), (4, 6, 6), 2, 4)]
    assert any(type(node) is nir.SumPool2d for node in graph.nodes.values())


def test_time_and_batch_must_stand_alike() -> None:
    """[T, B, C] times [T*B, C] is not what a graph says, even where torch would repeat an axis."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = MultiLevelLIF(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x).flatten(0, 1) * x

    with pytest.raises(ExportError, match=r"multiplies features \(3,\) of \[T\*B, ...\] and \(3,\) of \[T, B, ...\]"):
        export(Mixed(), (3,))


def test_single_precision_weights_agree_closely() -> None:
    torch.manual_seed(0)
    network = OverTime(Code(CODE["linear attention"]))
    graph = compare(network, torch.rand(4, 3, 2, 6, 6) * 16, exact=False, tolerance=1e-5)
    assert {node.weight.dtype.name for node in graph.nodes.values() if type(node) is nir.Conv2d} == {"float32"}
