"""States, blocks of steps, cycles, several inputs and outputs, and memory that must not be shared."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, build_graph
from nirbridge_norse import program as program_module
from tests.norse.norse_graphs import DT, SHAPE, chain, core_neurons, dyadic, outputs, uniform


def deep_graph():
    """Convolution, multi-level neuron, pool, delay, leaky neurons: every kind of state."""
    neurons = core_neurons(shape=(6,))
    return chain(
        (2, 8, 8),
        nir.Conv2d(None, dyadic(1, (6, 2, 3, 3)), 1, 1, 1, 1, dyadic(2, (6,))),
        MultiLevelLIF.one_hot((6, 8, 8), 3, threshold=uniform(3, (6, 1, 1)), decay=0.75),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([6, 4, 4])}, 0, -1),
        nir.Affine(dyadic(4, (6, 96)), dyadic(5, (6,))),
        neurons["CubaLIF"],
        nir.Delay(np.array([0, 1, 2, 3, 1, 0]) * DT),
        neurons["LIF"],
        neurons["LI"],
    )


FRAMES = dyadic(6, (13, 2, 2, 8, 8))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_run_equals_pieces_equals_steps(dtype):
    with nirbridge.compile(deep_graph(), "norse", dt=DT, dtype=dtype) as program:
        whole = program.run(FRAMES).output
        assert np.unique(whole).size > 10
        np.testing.assert_array_equal(program.run(FRAMES).output, whole)
        program.reset()
        pieces = [program.advance(FRAMES[a:b]).output for a, b in ((0, 1), (1, 5), (5, 13))]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        program.reset()
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in FRAMES]), whole)


def test_deep_graph_equals_reference():
    np.testing.assert_array_equal(
        outputs(deep_graph(), FRAMES, dtype="float64"), outputs(deep_graph(), FRAMES, "reference")
    )


@pytest.mark.parametrize("limit", [1, 20_000])
def test_blocks_of_steps_change_nothing(monkeypatch, limit):
    whole = outputs(deep_graph(), FRAMES)
    monkeypatch.setitem(program_module.BLOCK_BYTES, "cpu", limit)
    np.testing.assert_array_equal(outputs(deep_graph(), FRAMES), whole)


def test_large_weights_make_blocks_longer_and_change_nothing(monkeypatch):
    size, batch = 768, 16
    graph = chain((size,), nir.Linear(dyadic(1, (size, size))), nir.IF(*np.full((2, size), 2.0), np.zeros(size)))
    x = dyadic(2, (60, batch, size))
    step = size * batch * 4
    with nirbridge.compile(graph, "norse") as program:
        # Twice the weights, of which each of four nodes sends a quarter.
        assert program._block_steps(batch) == 2 * size * size * 4 // 4 // step == 24
        found = program.run(x).output
    monkeypatch.setattr(program_module, "LARGEST_BLOCK", 0)
    with nirbridge.compile(graph, "norse") as program:
        assert program._block_steps(batch) == program_module.BLOCK_BYTES["cpu"] // step == 21
        np.testing.assert_array_equal(program.run(x).output, found)
    assert 0 < found.mean() < 1


def test_blocks_hold_whole_windows(monkeypatch):
    graph = chain((3,), PhaseDecode((3,), 4), nir.I(np.ones(3)))
    x = dyadic(7, (24, 2, 3))
    monkeypatch.setitem(program_module.BLOCK_BYTES, "cpu", 1)
    np.testing.assert_array_equal(outputs(graph, x), outputs(graph, x, "reference"))


def test_output_at_another_rate_comes_whole(monkeypatch):
    graph = chain((3,), PhaseEncode((3,), 5))
    x = np.abs(dyadic(7, (9, 2, 3), 16, 1 / 32))
    monkeypatch.setitem(program_module.BLOCK_BYTES, "cpu", 1)
    found = outputs(graph, x)
    assert found.shape == (45, 2, 3)
    np.testing.assert_array_equal(found, outputs(graph, x, "reference"))


def test_reset_allows_another_batch():
    with nirbridge.compile(deep_graph(), "norse", dt=DT) as program:
        both = program.run(FRAMES).output
        one = program.run(FRAMES[:, :1]).output
        np.testing.assert_allclose(one, both[:, :1], rtol=1e-5, atol=1e-6)


def test_records_are_not_overwritten_by_the_neuron_behind():
    """A neuron works in place on what the convolution sent, unless that is recorded."""
    graph = deep_graph()
    names = [f"n{i}" for i in range(9)]
    with nirbridge.compile(graph, "reference", dt=DT) as reference:
        expected = reference.run(FRAMES, record=names)
    with nirbridge.compile(graph, "norse", dt=DT, dtype="float64") as program:
        found = program.run(FRAMES, record=names)
        for name in names:
            np.testing.assert_array_equal(found.records[name], expected.records[name], err_msg=name)
            alone = program.run(FRAMES, record=name).records[name]
            np.testing.assert_array_equal(alone, expected.records[name], err_msg=name)


@pytest.mark.parametrize("via_flatten", [False, True])
def test_a_value_with_two_readers_is_not_overwritten(via_flatten):
    ones = np.ones(4)
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(dyadic(1, (4, 4))),
        "a": nir.IF(ones, ones / 2, 0 * ones),
        "b": nir.IF(-ones, ones / 2, 0 * ones),
        "sum": nir.Scale(ones),
        "output": nir.Output({"output": None}),
    }
    edges = [("input", "fc"), ("fc", "a"), ("fc", "b"), ("a", "sum"), ("b", "sum"), ("fc", "sum"), ("sum", "output")]
    if via_flatten:
        nodes["flat"] = nir.Flatten({"input": np.array([4])}, 0, -1)
        edges = [("fc", "flat") if e == ("fc", "a") else e for e in edges] + [("flat", "a")]
    graph = build_graph(nodes, edges)
    x = dyadic(2, (9, 2, 4))
    np.testing.assert_array_equal(outputs(graph, x), outputs(graph, x, "reference"))


def test_input_is_neither_changed_nor_returned():
    for nodes in ((nir.IF(np.ones(4), np.ones(4), np.zeros(4)),), (nir.Flatten({"input": np.array([4])}, 0, -1),)):
        x = dyadic(3, (5, 2, 4)).astype(np.float32)
        before = x.copy()
        found = outputs(chain((4,), *nodes), x)
        np.testing.assert_array_equal(x, before)
        assert not np.may_share_memory(found, x)


def test_results_do_not_share_memory():
    with nirbridge.compile(chain((4,), nir.Scale(np.full(4, 2.0))), "norse") as program:
        found = program.run(dyadic(3, (5, 2, 4)), record=["n0", "input"])
    arrays = [found.output, *found.records.values()]
    assert not any(np.may_share_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("limit", [1, 200, 2**20])
@pytest.mark.parametrize("precision", ["float", "fixed"])
@pytest.mark.parametrize("names", [(), ("n0",), ("n1", "n0"), ("input", "n2", "n1", "n0", "n0:v")])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_neurons_that_fill_the_results_share_none(monkeypatch, limit, precision, names, kind):
    """Neuron, flatten, flatten, output: all of them have the same numbers, and one of them made the memory."""
    flat = (nir.Flatten({"input": np.array(shape)}, 0, -1) for shape in ((2, 3), (6,)))
    graph = chain((2, 3), MultiLevelLIF.one_hot((2, 3), 3, threshold=2.0, decay=0.5), *flat)
    x = np.random.default_rng(5).integers(-3, 9, (11, 4, 2, 3)).astype(kind)
    before = x.copy()
    monkeypatch.setitem(program_module.BLOCK_BYTES, "cpu", limit)
    with (
        nirbridge.compile(graph, "reference", precision=precision) as reference,
        nirbridge.compile(graph, "norse", precision=precision) as program,
    ):
        expected = reference.run(x, record=names)
        first, second = program.run(x, record=names), program.run(x, record=names)
    arrays = [x, *(array for found in (first, second) for array in (found.output, *found.records.values()))]
    assert not any(np.may_share_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    np.testing.assert_array_equal(x, before)
    for found in (first, second):
        np.testing.assert_array_equal(found.output, expected.output)
        for name in names:
            np.testing.assert_array_equal(found.records[name], expected.records[name], err_msg=name)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.uint16, np.float16, np.float64])
def test_input_dtypes(kind):
    x = (dyadic(4, (5, 2, 4)) > 0).astype(kind)
    x.setflags(write=False)
    graph = chain((4,), nir.Linear(dyadic(1, (3, 4))))
    np.testing.assert_array_equal(outputs(graph, x), outputs(graph, x, "reference"))


def test_values_beyond_float32_are_refused():
    graph = chain((1,), nir.Scale(np.ones(1)))
    with pytest.raises(InputError, match=r"node 'input' \(Input\): holds values beyond the range of float32"):
        outputs(graph, np.full((1, 1, 1), 1e300))
    assert outputs(graph, np.full((1, 1, 1), 1e300), dtype="float64")[0, 0, 0] == 1e300


def test_parts_are_judged_by_their_own_data():
    """What the check of another call found out says nothing about them."""
    x = np.array([[[1.0, 1.0], [1e12, 1e12]]], np.float32)
    with nirbridge.compile(chain((2,), nir.Scale(np.array([1e28, 0.3]))), "norse") as program:
        parts = program.run_in_parts(x, 1)
        next(parts)
        program.run(x[:, :1])
        with pytest.raises(InputError, match="can leave the range of float32 with data up to 1e"):
            next(parts)
        with pytest.raises(InputError, match="can leave the range of float32 with data up to 1e"):
            program.run(x)


def test_several_inputs_and_outputs():
    nodes = {
        "left": nir.Input({"input": np.array([3])}),
        "right": nir.Input({"input": np.array([3])}),
        "fc": nir.Linear(dyadic(1, (3, 3))),
        "act": nir.IF(np.ones(3), np.ones(3) / 2, np.zeros(3)),
        "first": nir.Output({"output": None}),
        "second": nir.Output({"output": None}),
    }
    edges = [("left", "act"), ("right", "fc"), ("fc", "act"), ("right", "act"), ("act", "first"), ("fc", "second")]
    graph = build_graph(nodes, edges)
    x = {"left": dyadic(2, (7, 2, 3)), "right": dyadic(3, (7, 2, 3))}
    expected, found = outputs(graph, x, "reference"), outputs(graph, x)
    assert set(found) == {"first", "second"}
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


def recurrent(own_edge: bool):
    """A neuron that feeds itself, through a matrix or straight."""
    nodes = {
        "input": nir.Input({"input": np.array([5])}),
        "act": MultiLevelLIF.one_hot((5,), 2, threshold=0.5, decay=0.5),
        "back": nir.Affine(dyadic(1, (5, 5)), dyadic(2, (5,)) / 8),
        "after": nir.I(np.ones(5)),
        "output": nir.Output({"output": None}),
    }
    edges = [("input", "act"), ("act", "back"), ("back", "act"), ("act", "after"), ("after", "output")]
    if own_edge:
        edges.append(("act", "act"))
    return build_graph(nodes, edges)


@pytest.mark.parametrize("own_edge", [False, True])
def test_cycle_equals_reference_and_carries_over(own_edge):
    graph = recurrent(own_edge)
    x = dyadic(3, (12, 2, 5))
    expected = outputs(graph, x, "reference")
    assert np.unique(expected).size > 3
    with nirbridge.compile(graph, "norse", dt=DT) as program:
        np.testing.assert_array_equal(program.run(x, record=["back", "act"]).output, expected)
        program.reset()
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in x]), expected)


@pytest.mark.parametrize("name", ["braille_noDelay_bias_zero", "braille_noDelay_noBias_subtract"])
def test_recurrent_braille_readers(shared_data, name):
    graph = nirbridge.read(shared_data / "nir-paper" / "03_rnn" / f"{name}.nir")
    x = np.random.default_rng(1).random((60, 3, 12)) < 0.3
    with nirbridge.compile(graph, "reference", dt=1e-4) as reference:
        expected = reference.run(x, record=["lif1.lif"])
    assert expected.output.sum() > 10
    with nirbridge.compile(graph, "norse", dt=1e-4, dtype="float64") as program:
        found = program.run(x, record=["lif1.lif"])
    np.testing.assert_array_equal(found.output, expected.output)
    np.testing.assert_array_equal(found.records["lif1.lif"], expected.records["lif1.lif"])


def test_convolutional_nmnist_reader(shared_data):
    graph = nirbridge.read(shared_data / "nir-paper" / "02_cnn" / "cnn_sinabs.nir")
    x = np.random.default_rng(2).random((12, 2, 2, 34, 34)) < 0.08
    names = ["1", "3", "6", "10", "12"]
    with nirbridge.compile(graph, "reference") as reference:
        expected = reference.run(x, record=names)
    with nirbridge.compile(graph, "norse", dtype="float64") as program:
        found = program.run(x, record=names)
    for name in names:
        np.testing.assert_array_equal(found.records[name], expected.records[name], err_msg=name)
    assert expected.records["6"].sum() > 100


def test_neuron_of_a_large_batch():
    graph = chain(SHAPE, core_neurons()["CubaLIF"])
    x = uniform(9, (4, 200, *SHAPE), -1, 3)
    np.testing.assert_array_equal(outputs(graph, x, dtype="float64"), outputs(graph, x, "reference"))
