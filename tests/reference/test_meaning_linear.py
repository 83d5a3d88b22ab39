"""Sums, products and moves, in floating point and in integers: one number after the other, from their equations."""

from __future__ import annotations

from itertools import product
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.cases import net
from nirbridge.ir import Aggregate, MaxPool2d, Place, Product, SparseMatrix
from tests.reference.judging import BOTH, agree, judges, numbers, run, same, toward_zero

STEPS, BATCH = 2, 2


def data(precision: str, *shape: int) -> np.ndarray:
    return numbers(precision, STEPS, BATCH, *shape, low=-20, high=20, seed=21)


def each_frame(oracle: Any, x: np.ndarray) -> np.ndarray:
    """``oracle(frame) -> frame`` for every step of every sample."""
    return np.array([[oracle(frame) for frame in step] for step in x])


@pytest.mark.parametrize("shape", [(4,), (2, 4)])
@judges(nir.Scale, precisions=BOTH)
def test_scale(shape: tuple[int, ...], precision: str) -> None:
    factor, x = numbers(precision, 4, seed=1), data(precision, *shape)
    expected = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        expected[at] = factor[at[-1]].item() * x[at].item()
    same(run(nir.Scale(factor), x=x, precision=precision).output, expected)


@judges(nir.Input, nir.Output, precisions=BOTH)
def test_ends_of_a_graph_hand_on_what_comes(precision: str) -> None:
    x = data(precision, 2, 3)
    same(run(x=x, precision=precision).output, x.astype(float))


def rows_times(weight: np.ndarray, bias: Any, frame: np.ndarray) -> Any:
    """y[o] = Σ_i weight[o, i] x[i] + bias[o] over the last axis, the others one by one."""
    if frame.ndim > 1:
        weights = weight if weight.ndim > 2 else [weight] * len(frame)
        biases = bias if np.ndim(bias) > 1 else [bias] * len(frame)
        return [rows_times(w, b, part) for w, b, part in zip(weights, biases, frame, strict=True)]
    return [
        sum(weight[o, i].item() * frame[i].item() for i in range(len(frame))) + bias[o].item()
        for o in range(len(weight))
    ]


@pytest.mark.parametrize(
    ("weight", "bias", "shape"),
    [((3, 4), (3,), (4,)), ((3, 4), (3,), (2, 4)), ((3, 4), (2, 3), (2, 4)), ((2, 3, 4), (3,), (2, 4))],
)
@judges(nir.Affine, nir.Linear, precisions=BOTH)
def test_matrices(kind: Any, weight: Any, bias: Any, shape: Any, precision: str) -> None:
    """Over the last axis; axes before it are positions, or have matrices of their own."""
    w, b, x = numbers(precision, *weight, seed=2), numbers(precision, *bias, seed=3), data(precision, *shape)
    node = nir.Affine(w, b) if kind is nir.Affine else nir.Linear(w)
    b = b if kind is nir.Affine else 0 * b
    expected = each_frame(lambda frame: rows_times(w, b, frame), x)
    agree(precision, run(node, x=x, precision=precision).output, expected)


def convolved(
    frame: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    stride: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> np.ndarray:
    """y[o, p] = bias[o] + Σ_c Σ_k weight[o, c, k] x[c of o's group, p·stride + k·dilation - before]; 0 outside."""
    outputs, channels, *kernel = weight.shape
    sizes = [
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, a, b, d, k, s in zip(frame.shape[1:], before, after, dilation, kernel, stride, strict=True)
    ]
    y = np.zeros((outputs, *sizes))
    for o, *p in product(range(outputs), *map(range, sizes)):
        first = o // (outputs // groups) * channels
        total = bias[o].item()
        for c, *k in product(range(channels), *map(range, kernel)):
            at = [p[a] * stride[a] + k[a] * dilation[a] - before[a] for a in range(len(p))]
            if all(0 <= n < size for n, size in zip(at, frame.shape[1:], strict=True)):
                total += weight[(o, c, *k)].item() * frame[(first + c, *at)].item()
        y[(o, *p)] = total
    return y


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups", "before", "after"),
    [
        (1, 0, 1, 1, 0, 0),
        (2, 1, 1, 1, 1, 1),
        (3, 2, 2, 2, 2, 2),
        (1, "valid", 3, 2, 0, 0),
        (1, "same", 1, 1, 1, 2),  # 4 - 1 points: the odd one behind
        (1, "same", 3, 4, 4, 5),
    ],
)
@judges(nir.Conv1d, precisions=BOTH)
def test_conv1d(stride: int, padding: Any, dilation: int, groups: int, before: int, after: int, precision: str) -> None:
    weight, bias = numbers(precision, 8, 4 // groups, 4, seed=4), numbers(precision, 8, seed=5)
    x = data(precision, 4, 11)
    node = nir.Conv1d(None, weight, stride, padding, dilation, groups, bias)
    expected = each_frame(lambda f: convolved(f, weight, bias, (stride,), (before,), (after,), (dilation,), groups), x)
    agree(precision, run(node, x=x, precision=precision).output, expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "before", "after"),
    [
        ((2, 3), 1, 0, 1, 1, (0, 0), (0, 0)),
        ((3, 2), (2, 1), (1, 2), (1, 2), 2, (1, 2), (1, 2)),
        ((2, 3), (3, 2), "valid", (2, 1), 1, (0, 0), (0, 0)),
        ((2, 3), 1, "same", 1, 4, (0, 1), (1, 1)),
        ((4, 2), (1, 1), "same", (1, 3), 2, (1, 1), (2, 2)),
    ],
)
@judges(nir.Conv2d, precisions=BOTH)
def test_conv2d(
    kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, before: Any, after: Any, precision: str
) -> None:
    weight, bias = numbers(precision, 4, 4 // groups, *kernel, seed=6), numbers(precision, 4, seed=7)
    x = data(precision, 4, 7, 6)
    node = nir.Conv2d(None, weight, stride, padding, dilation, groups, bias)
    stride, dilation = ((n, n) if isinstance(n, int) else n for n in (stride, dilation))
    expected = each_frame(lambda f: convolved(f, weight, bias, stride, before, after, dilation, groups), x)
    agree(precision, run(node, x=x, precision=precision).output, expected)


def pooled(frame: np.ndarray, kernel: Any, stride: Any, padding: Any, reduce: Any) -> np.ndarray:
    """``reduce(numbers under the window, how many places it has)``; places in the padding hold no number."""
    sizes = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(frame.shape[1:], padding, kernel, stride, strict=True)]
    y = np.zeros((len(frame), *sizes))
    for c, row, column in np.ndindex(y.shape):
        under = []
        for i, j in product(range(kernel[0]), range(kernel[1])):
            at = row * stride[0] + i - padding[0], column * stride[1] + j - padding[1]
            if 0 <= at[0] < frame.shape[1] and 0 <= at[1] < frame.shape[2]:
                under.append(frame[(c, *at)].item())
        y[c, row, column] = reduce(under, kernel[0] * kernel[1])
    return y


REDUCTIONS = {
    (nir.SumPool2d, "float"): lambda under, places: sum(under),
    (nir.SumPool2d, "fixed"): lambda under, places: sum(under),
    (nir.AvgPool2d, "float"): lambda under, places: sum(under) / places,
    (nir.AvgPool2d, "fixed"): lambda under, places: toward_zero(sum(under), places),
    (MaxPool2d, "float"): lambda under, places: max(under),
    (MaxPool2d, "fixed"): lambda under, places: max(under),
}
"""Padding counts as 0 in a sum and a mean, and never as the largest."""


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((3, 2), (2, 1), (1, 0)), ((2, 4), (3, 2), (0, 2)), ((2, 3), (1, 2), (1, 1))],
)
@judges(nir.SumPool2d, nir.AvgPool2d, MaxPool2d, precisions=BOTH)
def test_pools(kind: Any, kernel: Any, stride: Any, padding: Any, precision: str) -> None:
    """The data are below 0, but for one channel, so that padding would win."""
    x = data(precision, 2, 7, 8)
    x[:, :, 0] = -np.abs(x[:, :, 0]) - 1
    node = kind(*(np.array(pair) for pair in (kernel, stride, padding)))
    expected = each_frame(lambda f: pooled(f, kernel, stride, padding, REDUCTIONS[kind, precision]), x)
    agree(precision, run(node, x=x, precision=precision).output, expected)


@pytest.mark.parametrize(("start", "end"), [(0, -1), (0, 1), (1, 2), (1, -1), (-2, -1), (2, 2), (-3, 1)])
@judges(nir.Flatten, precisions=BOTH)
def test_flatten(start: int, end: int, precision: str) -> None:
    """The last of the merged indices runs first; axes are counted without time and batch."""
    x, sizes = data(precision, 2, 3, 4), (2, 3, 4)
    first, last = start % 3, end % 3
    merged = int(np.prod(sizes[first : last + 1]))
    expected = np.zeros((STEPS, BATCH, *sizes[:first], merged, *sizes[last + 1 :]))
    for at in np.ndindex(x.shape):
        place = 0
        for axis in range(first, last + 1):
            place = place * sizes[axis] + at[2 + axis]
        expected[(*at[: 2 + first], place, *at[3 + last :])] = x[at].item()
    same(run(nir.Flatten(None, start, end), x=x, precision=precision).output, expected)


@pytest.mark.parametrize("stored", ["dense", "sparse"])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3)])
@judges(Aggregate, precisions=BOTH)
def test_aggregate(shape: tuple[int, ...], stored: str, precision: str) -> None:
    """y[n] = Σ_m weight[n, m] x[m] over the first axis; entries of one place of a sparse matrix add up."""
    row, column = np.array([0, 1, 1, 3, 3, 0]), np.array([1, 0, 2, 3, 1, 1])
    value, x = numbers(precision, 6, seed=8), data(precision, *shape)
    entries = [(int(n), int(m), v.item()) for n, m, v in zip(row, column, value, strict=True)]
    weight = np.zeros((4, 4), value.dtype)
    for n, m, v in entries:
        weight[n, m] += v
    node = Aggregate(weight if stored == "dense" else SparseMatrix((4, 4), row, column, value))
    expected = np.zeros(x.shape)
    for t, b in np.ndindex(x.shape[:2]):
        for n, m, v in entries:
            for at in np.ndindex(shape[1:]):
                expected[(t, b, n, *at)] += v * x[(t, b, m, *at)].item()
    agree(precision, run(node, x=x, precision=precision).output, expected)


@pytest.mark.parametrize(
    ("shape", "output", "start", "stop"),
    [((3,), (7,), 2, 5), ((1,), (6,), 1, 5), ((2, 1, 3), (5, 4, 3), 3, 5), ((1, 2, 1), (3, 2, 4), 0, 2)],
)
@judges(Place, precisions=BOTH)
def test_place(shape: Any, output: Any, start: int, stop: int, precision: str) -> None:
    x = data(precision, *shape)
    expected = np.zeros((STEPS, BATCH, *output))
    for t, b, first, *rest in np.ndindex(expected.shape):
        if start <= first < stop:
            at = [0 if size == 1 else n for size, n in zip(shape, (first - start, *rest), strict=True)]
            expected[(t, b, first, *rest)] = x[(t, b, *at)].item()
    same(run(Place(shape, output, start, stop), x=x, precision=precision).output, expected)


@pytest.mark.parametrize(("shape", "factors"), [((4,), 2), ((6,), 3), ((6, 2, 3), 2), ((4, 3), 4)])
@judges(Product, precisions=BOTH)
def test_product(shape: Any, factors: int, precision: str) -> None:
    """From the first slot on: floating point rounds in that order."""
    x, channels = data(precision, *shape), shape[0] // factors
    expected = np.zeros((STEPS, BATCH, channels, *shape[1:]))
    for t, b, c, *rest in np.ndindex(expected.shape):
        total = x[(t, b, c, *rest)].item()
        for slot in range(1, factors):
            total = total * x[(t, b, slot * channels + c, *rest)].item()
        expected[(t, b, c, *rest)] = total
    same(run(Product(shape, factors), x=x, precision=precision).output, expected)


@pytest.mark.parametrize("dt", [None, 4e-4])
@pytest.mark.filterwarnings("ignore:node 'n0'")  # it says that these delays are rounded
@judges(nir.Delay, precisions=BOTH)
def test_delay(dt: float | None, precision: str) -> None:
    """floor(delay/dt + 1/2) steps for each neuron, 0 before anything has come."""
    asked = [0, 0.3, 0.5, 1, 1.4, 1.5, 2.49, 2.5, 2.51, 7, 40]
    whole = [0, 0, 1, 1, 1, 2, 2, 3, 3, 7, 40]
    x = numbers(precision, 12, BATCH, len(asked), low=1, high=20, seed=9)
    expected = np.zeros(x.shape)
    for t, b, n in np.ndindex(x.shape):
        if t >= whole[n]:
            expected[t, b, n] = x[t - whole[n], b, n].item()
    node = nir.Delay(np.array(asked) * (dt or 1e-3))
    same(run(node, x=x, precision=precision, dt=dt).output, expected)


@pytest.mark.parametrize("precision", BOTH)
def test_edges_into_a_node_add_up(precision: str) -> None:
    weights = [numbers(precision, 3, 4, seed=30 + n) for n in range(3)]
    nodes = {f"fc{n}": nir.Linear(weight) for n, weight in enumerate(weights)} | {"sum": nir.Scale(np.ones(3))}
    graph = net(nodes, "input fc0 sum output", "input fc1 sum", "input fc2 sum", shape=(4,))
    x = data(precision, 4)
    expected = each_frame(lambda f: sum(np.array(rows_times(w, np.zeros(3, w.dtype), f)) for w in weights), x)
    with nirbridge.compile(graph, precision=precision) as program:
        agree(precision, program.run(x).output, expected)


def test_weights_are_made_dense_and_wide_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at every step."""
    made, to_dense = [], SparseMatrix.to_dense
    monkeypatch.setattr(SparseMatrix, "to_dense", lambda matrix: made.append(matrix) or to_dense(matrix))
    matrix = SparseMatrix((3, 3), [0, 1, 2], [1, 2, 0], [1.0, 2.0, 3.0])
    with nirbridge.compile(net({"a": Aggregate(matrix)}, "input a output", shape=(3,))) as program:
        made.clear()
        for _ in range(3):
            assert program.step(np.ones((1, 3))).tolist() == [[1, 2, 3]]
    assert len(made) == 1
