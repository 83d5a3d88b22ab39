"""The range of float32 never changes an answer: the default dtype is wide where it must be, an explicit one says so."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError
from nirbridge.ir import MultiLevelLIF, TemporalMix, build_graph
from tests.norse.norse_graphs import chain

ONE = np.ones(1)


def scale(*values: float) -> list[nir.NIRNode]:
    return [nir.Scale(ONE * value) for value in values]


def fire(threshold: float, r: float = 1.0) -> nir.IF:
    return nir.IF(ONE * r, ONE * threshold, ONE * 0)


def leaky(tau: float, r: float, threshold: float) -> nir.LIF:
    return nir.LIF(ONE * tau, ONE * r, ONE * 0, ONE * threshold, ONE * 0)


def linear(*weights: float) -> nir.Linear:
    return nir.Linear(np.array([weights]))


CASES: dict[str, tuple[list[nir.NIRNode], list[float], list[float]]] = {
    # nodes, data of 3 steps, output by hand
    "a weight beyond the range": ([linear(1e39), fire(1.5e39)], [1, 1, 1], [0, 1, 0]),
    "a threshold beyond the range": ([linear(1e38), fire(1e39)], [6, 6, 0], [0, 1, 0]),
    "a bias beyond the range": ([nir.Affine(ONE[None], ONE * 1e39), fire(2.5e39)], [0, 0, 0], [0, 0, 1]),
    "a reset beyond the range": ([nir.IF(ONE, ONE, ONE * -1e39)], [2, 2, 2], [1, 0, 0]),
    "a time constant beyond the range": ([leaky(1e-3, 1e39, 1e38)], [1, 0, 1], [1, 0, 1]),
    "a sum beyond the range": ([linear(3e38), nir.I(ONE), *scale(1e-38)], [1, 1, 1], [3, 6, 9]),
    "a product beyond the range": ([*scale(1e30, 1e30, 1e-30, 1e-30), fire(1.5)], [1, 1, 1], [0, 1, 0]),
    "R x beyond the range": ([linear(1e25), leaky(1e17, 1e20, 1.5e25)], [1, 1, 1], [0, 1, 0]),
    "a threshold that becomes 0": ([fire(-1e-46)], [0, 0, 0], [1, 1, 1]),
    "a threshold at which 0 fires": (
        [MultiLevelLIF.one_hot((1,), 1, threshold=1e-46, boundary=">=")],
        [0, 0, 0],
        [0, 0, 0],
    ),
    "a weight that becomes 0": ([linear(1e-46), fire(0)], [1, 0, 1], [1, 0, 1]),
    "a weight of few bits": ([linear(1.1e-44), fire(1.05e-44)], [1, 0, 1], [1, 0, 1]),
    "a product that becomes 0": ([*scale(1e-30, 1e-30), fire(0)], [1, 0, 1], [1, 0, 1]),
    "R dt/tau that becomes 0": ([leaky(1e20, 1e-30, 0)], [1, 0, 0], [1, 0, 0]),
    "a whole weight beyond 2^24": ([nir.Linear(np.array([[2**24 + 1]])), fire(2**24)], [1, 0, 1], [1, 0, 1]),
    "a whole threshold beyond 2^24": ([*scale(2**24), fire(2**24 + 1)], [1, 0.0625, 0], [0, 1, 0]),
    "a window": ([TemporalMix(np.array([[1e39]])), fire(1.5e39)], [1, 1, 1], [0, 1, 0]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_default_dtype_gives_the_right_answer(name: str) -> None:
    nodes, x, expected = CASES[name]
    graph = chain((1,), *nodes)
    data = np.array(x, dtype=np.float32).reshape(3, 1, 1)
    with nirbridge.compile(graph, "norse", precision="float", dt=1e-3) as program, program.copy() as other:
        for made in (program, other):
            found = made.run(data).output
            assert found.dtype == np.float64
            assert found.ravel().tolist() == pytest.approx(expected, rel=1e-12, abs=0)
    with nirbridge.compile(graph, "reference", precision="float", dt=1e-3) as program:
        np.testing.assert_array_equal(program.run(data).output, found)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([linear(2.0**23, 2.0**23, 1.0)], 2**24 + 1),
        ([linear(2.0**11, 2.0**11, 2.0**-12)], 2**12 + 2**-12),
        ([nir.Scale(np.array([2.0**-7, 2.0**-7, 2.0**-12])), linear(2.0**18, 2.0**18, 2.0**-12)], 2**12 + 2**-24),
    ],
)
def test_sums_of_whole_and_dyadic_weights_are_exact(nodes: list[nir.NIRNode], expected: float) -> None:
    """2^23 + 2^23 + 1 is no float32."""
    with nirbridge.compile(chain((3,), *nodes), "norse", precision="float") as program:
        assert program.run(np.ones((1, 1, 3))).output.item() == expected


def test_an_unstable_decay_and_a_cycle_without_a_neuron() -> None:
    """2^200 at step 200; nothing bounds such sums beforehand."""
    growing = chain((1,), MultiLevelLIF((1,), 2.0, 1.0, 0.0, [1e300], [1.0], [0.0], 0.0), *scale(1))
    nodes = {"input": nir.Input(np.array([1])), "sum": nir.Scale(ONE * 2), "output": nir.Output(np.array([1]))}
    cycle = build_graph(nodes, [("input", "sum"), ("sum", "sum"), ("sum", "output")])
    x = np.zeros((200, 1, 1))
    x[0] = 1
    with nirbridge.compile(growing, "norse") as program:
        assert program.run(x, ["n0:v"]).records["n0:v"][-1].item() == 2.0**199
    with nirbridge.compile(cycle, "norse") as program:
        assert program.run(x).output[-1].item() == 2.0**200


def test_ordinary_graphs_stay_in_single_precision() -> None:
    rng = np.random.default_rng(0)
    lif = nir.LIF(*(np.full(40, v) for v in (0.02, 1.0, 0.1, 0.5)))
    layers = [nir.Linear(rng.normal(size=(40, 40))), lif, nir.I(np.ones(40))]
    with nirbridge.compile(chain((40,), *layers, *layers, nir.Linear(rng.normal(size=(1, 40)))), "norse") as program:
        assert program.run(rng.normal(size=(5, 2, 40))).output.dtype == np.float32
    tiny_beside_large = chain((2,), linear(1.0, float(np.float32(1e-41))), fire(1))
    with nirbridge.compile(tiny_beside_large, "norse") as program:
        assert program.run(np.ones((5, 2, 2))).output.dtype == np.float32


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (linear(1e39), r"node 'n0' \(Linear\): holds 1e\+39, which float32 does not. Compile with dtype='float64'"),
        (fire(-1e-46), r"node 'n0' \(IF\): holds -1e-46, which float32 does not"),
        (linear(2.0**24 + 1), r"node 'n0' \(Linear\): holds 16777217, which float32 does not"),
    ],
)
def test_an_explicit_float32_is_refused(node: nir.NIRNode, found: str) -> None:
    with pytest.raises(InputError, match=found):
        nirbridge.compile(chain((1,), node), "norse", precision="float", dtype="float32")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.array(2**24 + 1), r"input for node 'input' \(Input\): holds 16777217, which float32 rounds"),
        (np.array(2.0**24 + 1), r"holds 16777217, which float32 rounds"),
        (np.array(1e39), r"input for node 'input' \(Input\): holds values beyond the range of float32"),
        (
            np.array(1e38),
            r"node 'n1' \(Scale\): its products or sums can leave the range of float32 with data up to 1e",
        ),
    ],
)
def test_data_that_float32_does_not_carry(value: np.ndarray, found: str) -> None:
    graph = chain((1,), *scale(0.5, 1e3))
    data = value.reshape(1, 1, 1)
    with nirbridge.compile(graph, "norse") as program:
        with pytest.raises(InputError, match=found + ".*Compile with dtype='float64'"):
            program.run(data)
        assert program.run(np.full((1, 1, 1), 1e20)).output.item() == pytest.approx(5e22)
    with nirbridge.compile(graph, "norse", dtype="float64") as program:
        assert program.run(data).output.item() == pytest.approx(float(value) * 500)
