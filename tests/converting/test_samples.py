"""Whatever holds samples gives the same array; what does not is refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from nirbridge.converting.samples import samples
from nirbridge.errors import InputError
from nirbridge.ir import graphs_equal
from tests.converting.published import convert_in_full

X = np.random.default_rng(0).random((10, 3, 4)).astype(np.float32)
Y = np.arange(10) % 3
TX, TY = torch.as_tensor(X), torch.as_tensor(Y)


class Rows(Dataset):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        return {"pixel_values": TX[index], "labels": int(Y[index])}


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(TX, Y.tolist(), strict=True))


def _endless() -> Iterator[Tensor]:
    for index in count():
        yield TX[index % 10][None]


WITH_LABELS: dict[str, Callable[[], Any]] = {
    "loader": lambda: DataLoader(TensorDataset(TX, TY), batch_size=4),
    "loader of single samples": lambda: DataLoader(TensorDataset(TX, TY), batch_size=None),
    "loader of dictionaries": lambda: DataLoader(Rows(), batch_size=3),
    "data set": lambda: TensorDataset(TX, TY),
    "data set of dictionaries": Rows,
    "iterable data set": Stream,
    "its loader": lambda: DataLoader(Stream(), batch_size=4),
    "pair": lambda: (X, Y),
    "pair of tensors": lambda: (TX, TY),
    "list of pairs": lambda: list(zip(TX, Y.tolist(), strict=True)),
    "list of batches": lambda: [(TX[:6], TY[:6]), (TX[6:], TY[6:])],
    "generator of batches": lambda: ((X[i : i + 5], Y[i : i + 5]) for i in (0, 5)),
    "generator of samples": lambda: ((x, int(y)) for x, y in zip(X, Y, strict=True)),
    "dictionaries with other numbers": lambda: [{"x": TX, "label": TY, "path": list("abcdefghij"), "id": TY + 7}],
}
WITHOUT: dict[str, Callable[[], Any]] = {
    "array": lambda: X,
    "tensor": lambda: TX,
    "half precision": lambda: (TX * 256).round().to(torch.bfloat16) / 256,
    "nested lists": X.tolist,
    "list of samples": lambda: list(TX),
    "generator": lambda: (TX[i : i + 4] for i in (0, 4, 8)),
    "generator of targets that are no labels": lambda: ((TX[i : i + 5], TX[i : i + 5]) for i in (0, 5)),
    "dictionaries with one tensor": lambda: ({"sound": TX[i : i + 5]} for i in (0, 5)),
}


@pytest.mark.parametrize("name", WITH_LABELS)
def test_samples_with_labels(name: str) -> None:
    found, note = samples(WITH_LABELS[name]())
    np.testing.assert_array_equal(found, X)
    assert note == ""


@pytest.mark.parametrize("name", WITHOUT)
def test_samples_without_labels(name: str) -> None:
    found, note = samples(WITHOUT[name]())
    np.testing.assert_allclose(found, X, atol=0.01 if name == "half precision" else 0)
    assert note == ""


def test_sources_are_limited() -> None:
    found, note = samples(_endless(), 25)
    np.testing.assert_array_equal(found, np.concatenate([X, X, X[:5]]))
    assert note == "the first 25 samples of it were taken"
    loader = DataLoader(TensorDataset(TX, TY), batch_size=4)
    assert samples(loader, 10).note == ""
    found, note = samples(loader, 7)
    np.testing.assert_array_equal(found, X[:7])
    assert note
    assert samples(_endless()).data.shape == (1024, 3, 4)
    np.testing.assert_array_equal(samples(X, 3).data, X)


def _failing() -> Iterator[Tensor]:
    yield TX
    raise OSError("disk gone")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (lambda: iter([TX[:2], TX[:2, :2]]), r"samples of shapes \(3, 4\) and \(2, 4\)"),
        (lambda: [TX[0], TX[0, :2]], r"samples of shapes \(3, 4\) and \(2, 4\)"),
        (lambda: iter([{"a": TX, "b": TX}]), r"a dictionary with \['a', 'b'\].*Name it as one of image"),
        (lambda: iter([{"label": TY}]), "does not say what the network takes"),
        (lambda: iter([]), "gives no sample"),
        (lambda: (TX[:0] for _ in count()), "gives no sample"),
        (_failing, "raises OSError: disk gone while it is read"),
        (lambda: "pictures", "is a str, which holds no samples"),
        (lambda: 3, "is a int, which holds no samples"),
        (lambda: {"x": TX}, "is a dict, which holds no samples"),
        (lambda: iter(["a", "b"]), "not numbers"),
        (lambda: iter([TX[0, 0]]), r"batches of shape \(4,\)"),
        (lambda: np.array([["a"]]), "not numbers"),
    ],
)
def test_what_holds_no_samples(source: Callable[[], Any], text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        samples(source())
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("argument 'data'")


@pytest.mark.parametrize("limit", [0, -1, 2.5, True])
def test_bad_limits(limit: Any) -> None:
    with pytest.raises(InputError, match="option 'limit'"):
        samples(X, limit)


def test_conversion_takes_any_of_them() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    whole = convert_in_full(net, X).graph
    loader = DataLoader(TensorDataset(TX, TY), batch_size=4)
    assert graphs_equal(convert_in_full(net, loader).graph, whole)
    few = convert_in_full(net, loader, limit=5)
    assert graphs_equal(few.graph, convert_in_full(net, X[:5]).graph)
    assert [note.rule for note in few.notes] == ["samples_taken"]
