"""Stateless nodes equal the reference on dyadic numbers, in both dtypes."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.ir import Aggregate, MaxPool2d, SparseMatrix
from nirbridge_norse import convolution
from tests.norse.norse_graphs import assert_equals_reference, chain, dyadic

X = dyadic(0, (5, 3, 4, 11, 13))
CONVOLUTIONS = {
    "plain": ((6, 4, 3, 3), 1, 0, 1, 1),
    "stride": ((6, 4, 3, 3), (2, 3), 0, 1, 1),
    "padding": ((6, 4, 3, 3), 1, (2, 1), 1, 1),
    "dilation": ((6, 4, 3, 3), 1, 2, (2, 3), 1),
    "groups": ((6, 2, 3, 3), 1, 1, 1, 2),
    "depthwise": ((8, 1, 3, 5), (1, 2), (1, 2), 1, 4),
    "oblong kernel": ((5, 4, 2, 5), 1, 0, 1, 1),
    "one by one": ((5, 4, 1, 1), 1, 0, 1, 1),
    "same, even kernel": ((5, 4, 4, 2), 1, "same", 1, 1),
    "same, dilated": ((5, 4, 3, 4), 1, "same", (2, 1), 1),
    "valid": ((5, 4, 3, 3), 2, "valid", 1, 1),
    "everything": ((8, 2, 3, 2), (2, 1), (1, 2), (2, 3), 2),
}


def conv2d(case):
    weight, stride, padding, dilation, groups = CONVOLUTIONS[case]
    return nir.Conv2d(None, dyadic(1, weight), stride, padding, dilation, groups, dyadic(2, weight[:1]))


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d(case):
    assert_equals_reference(chain((4, 11, 13), conv2d(case)), X)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 3, 1, 1), (1, 1, 3, 2), (1, "same", 1, 1), (3, "valid", 2, 4)],
)
def test_conv1d(stride, padding, dilation, groups):
    weight = dyadic(3, (8, 4 // groups, 4))
    node = nir.Conv1d(None, weight, stride, padding, dilation, groups, dyadic(4, (8,)))
    assert_equals_reference(chain((4, 17), node), dyadic(5, (4, 2, 4, 17)))


@pytest.mark.parametrize("case", [name for name, row in CONVOLUTIONS.items() if not isinstance(row[2], str)])
def test_convolution_as_one_product(case):
    """The way that CUDA takes, run here on the CPU against torch's own convolution."""
    node = conv2d(case)
    weight, bias = torch.tensor(node.weight), torch.tensor(node.bias)
    geometry = convolution.geometry_of(node)
    x = torch.tensor(X).flatten(0, 1)
    found = convolution.as_product(weight, bias, geometry)(x)
    expected = torch.nn.functional.conv2d(x, weight, bias, *geometry[:4])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_convolution_1d_as_one_product():
    weight, bias = torch.tensor(dyadic(3, (8, 2, 4))), torch.tensor(dyadic(4, (8,)))
    x = torch.tensor(dyadic(5, (6, 4, 17)))
    found = convolution.as_product(weight, bias, convolution.Geometry((2,), (3,), (2,), 2, None))(x)
    torch.testing.assert_close(found, torch.nn.functional.conv1d(x, weight, bias, 2, 3, 2, 2), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d, MaxPool2d])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((4, 2), (1, 3), (2, 1)), ((2, 4), (2, 2), (1, 2)), ((1, 1), (2, 1), (0, 0))],
)
def test_pooling(kind, kernel, stride, padding):
    node = kind(*(np.array(value) for value in (kernel, stride, padding)))
    assert_equals_reference(chain((4, 11, 13), node), X)


@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_pooling_padded_beyond_half_of_the_kernel(kind):
    node = kind(np.array([2, 2]), np.array([1, 2]), np.array([3, 2]))
    assert_equals_reference(chain((4, 11, 13), node), X)


@pytest.mark.parametrize("steps", [1, 7, 9])
@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_pooling_of_few_and_many_frames(kind, steps):
    graph = chain((4, 11, 13), kind(np.array([2, 4]), np.array([2, 1]), np.array([1, 0])))
    assert_equals_reference(graph, dyadic(2, (steps, 1, 4, 11, 13)))


def test_max_pool_of_negative_values_ignores_padding():
    node = MaxPool2d((2, 2), (2, 2), (1, 1))
    assert assert_equals_reference(chain((4, 11, 13), node), -1 - np.abs(X)).max() < 0


@pytest.mark.parametrize(
    ("weight", "bias", "shape"),
    [((5, 7), (5,), (7,)), ((5, 7), (1,), (3, 7)), ((5, 7), (3, 5), (3, 7)), ((3, 5, 7), (3, 5), (3, 7))],
)
def test_matrices(weight, bias, shape):
    x = dyadic(6, (4, 2, *shape))
    assert_equals_reference(chain(shape, nir.Linear(dyadic(7, weight))), x)
    assert_equals_reference(chain(shape, nir.Affine(dyadic(7, weight), dyadic(8, bias))), x)


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 2, 2)])
def test_aggregation_dense_and_sparse(shape):
    x = dyadic(9, (4, 3, *shape))
    dense = dyadic(10, (6, 6)) * (dyadic(11, (6, 6)) > 0)
    row, column = np.nonzero(dense)
    # The first entry comes in two halves: repeated places add up.
    value = np.append(dense[row, column], dense[row[0], column[0]] / 2)
    value[0] /= 2
    sparse = SparseMatrix((6, 6), np.append(row, row[0]), np.append(column, column[0]), value)
    expected = assert_equals_reference(chain(shape, Aggregate(dense)), x)
    np.testing.assert_array_equal(assert_equals_reference(chain(shape, Aggregate(sparse)), x), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float32])
def test_entries_of_one_place_add_up_beyond_what_stores_them(dtype: type) -> None:
    """100 + 100 is no int8, and 2^24 + 1 no float32."""
    kind = np.dtype(dtype).kind
    first, second = (2.0 ** (np.finfo(dtype).nmant + 1), 1) if kind == "f" else (np.iinfo(dtype).max, 100)
    matrix = SparseMatrix((2, 2), [0, 0, 1], [1, 1, 0], np.array([first, second, 1], dtype))
    expected = np.array([first + second, 1.0])
    graph = chain((2,), Aggregate(matrix))
    for runtime, options in (("reference", {}), ("norse", {"dtype": "float64"})):
        with nirbridge.compile(graph, runtime, **options) as program:
            assert np.array_equal(program.run(np.ones((1, 1, 2))).output[0, 0], expected), runtime


@pytest.mark.parametrize(("start", "end"), [(0, -1), (1, -1), (0, 1), (-2, -1)])
def test_flatten(start, end):
    node = nir.Flatten({"input": np.array([4, 11, 13])}, start, end)
    assert_equals_reference(chain((4, 11, 13), node), X)


def test_scale_and_threshold():
    assert_equals_reference(chain((4, 11, 13), nir.Scale(dyadic(12, (4, 1, 1)))), X)
    assert_equals_reference(chain((4, 11, 13), nir.Threshold(dyadic(13, (4, 11, 13)))), X)
