"""Both mappings against the reference on every conformance case, and against each other, bit for bit."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from lava_graphs import assert_same, chain, graded, needs_lava, reference_run, residual, two_layers

import nirbridge
from nirbridge.conformance.judging import in_pieces
from nirbridge.errors import ExecutionError
from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge_lava import dynamics
from tests.conformance.cases import CASES, data
from tests.conformance.test_conformance import as_dict, recordable
from tests.conformance.test_conformance import assert_same as same_values

pytestmark = needs_lava
MAPPINGS = ("processes", "fused")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fused_equals_the_reference(case):
    x, names = data(case), recordable(case)
    how = {"dt": case.dt, "precision": "float"}
    with nirbridge.compile(case.graph(), **how) as reference:
        expected = reference.run(x, record=names)
    with nirbridge.compile(case.graph(), "lava", mapping="fused", timeout=60, **how) as program:
        found = program.run(x, record=names)
        same_values(as_dict(found.output), as_dict(expected.output), "run")
        same_values(found.records, expected.records, "records")
        same_values(in_pieces(program, x), as_dict(expected.output), "in pieces")


def real_numbers():
    """Weights, biases and time constants without any structure, where the order of every sum shows."""
    rng = np.random.default_rng(70)
    affine = lambda rows, columns: nir.Affine(rng.normal(size=(rows, columns)), rng.normal(size=rows))  # noqa: E731
    conv = nir.Conv2d(None, rng.normal(size=(3, 2, 3, 3)), 1, 1, 1, 1, rng.normal(size=3))
    nodes = {
        "x": nir.Input(np.array([2, 5, 5])),
        "conv": conv,
        "li": nir.LI(np.full((3, 5, 5), 0.003), np.full((3, 5, 5), 1.3), np.full((3, 5, 5), 0.1)),
        "flat": nir.Flatten(None, 0, -1),
        "a": affine(30, 75),
        "b": affine(30, 75),
        "c": affine(30, 30),
        "d": affine(30, 30),
        "mixed": nir.Flatten(None, 0, -1),
        "cuba": nir.CubaLI(*(np.full(30, v) for v in (0.004, 0.007, 1.1, 0.03))),
        "n": MultiLevelLIF.one_hot((30,), 3, 0.7, 0.9),
        "o": nir.Output(None),
    }
    edges = [
        ("x", "conv"), ("conv", "li"), ("li", "flat"), ("flat", "a"), ("flat", "b"), ("a", "mixed"), ("b", "mixed"),
        ("mixed", "c"), ("c", "cuba"), ("a", "cuba"), ("cuba", "n"), ("n", "d"), ("d", "n"), ("n", "o"), ("c", "o"),
    ]  # fmt: skip
    return build_graph(nodes, edges)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_mappings_agree_to_the_last_bit_on_real_numbers(batch):
    x = np.random.default_rng(71).normal(size=(12, batch, 2, 5, 5))
    found = []
    for mapping in MAPPINGS:
        with nirbridge.compile(real_numbers(), "lava", mapping=mapping, timeout=60) as program:
            found.append(program.run(x, ["flat", "mixed", "cuba", "n", "d"]))
    assert_same(*found)


@pytest.mark.parametrize("most", [256, 3, 1])
def test_a_batch_may_be_cut_into_parts_that_do_not_divide_it(monkeypatch, most):
    monkeypatch.setattr("nirbridge_lava.engine.MOST_SAMPLES", most)
    x = graded(np.random.default_rng(72), 6, 7, 2, 9, 8)
    expected = reference_run(residual(), x, ["n1"])
    with nirbridge.compile(residual(), "lava", mapping="fused", timeout=60) as program:
        assert_same(expected, program.run(x, ["n1"]))
        program.reset()
        parts = [program.advance(x[:2]).output, program.advance(x[2:]).output]
        np.testing.assert_array_equal(np.concatenate(parts), expected.output)


def test_a_fused_run_goes_through_the_shared_memory_in_blocks(monkeypatch):
    monkeypatch.setattr("nirbridge_lava.shared.BUFFER_BYTES", 5 * 8 * (12 + 5))
    x = graded(np.random.default_rng(73), 12, 3, 12)
    with nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60) as program:
        np.testing.assert_array_equal(program.run(x).output, reference_run(two_layers(), x).output)
        assert program._engine._memory.capacity == 5


@pytest.mark.parametrize(("ahead", "portions"), [(1, 1), (5, 1), (12, 1), (1, 5), (2, 3), (1, 256)])
def test_a_stream_outlasts_the_steps_that_lava_was_told_to_run(monkeypatch, ahead, portions):
    x = graded(np.random.default_rng(79), 12, 2, 12)
    expected = reference_run(two_layers(), x).output
    with nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60) as program:
        program.run(x[:1])
        program.close()
    monkeypatch.setattr("nirbridge_lava.guarded._STEPS_AHEAD", ahead)
    monkeypatch.setattr("nirbridge_lava.gate.Gate.portions_in_a_step", portions)
    with nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60) as program:
        np.testing.assert_array_equal(program.run(x).output, expected)
        program.reset()
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in x]), expected)
        np.testing.assert_array_equal(program.run(x).output, expected)


def test_fused_states_are_kept_apart_for_each_sample_and_reset_between_runs():
    x = graded(np.random.default_rng(74), 10, 3, 12)
    with nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60) as program:
        whole = program.run(x).output
        for sample in range(3):
            alone = program.run(x[:, sample : sample + 1]).output
            np.testing.assert_array_equal(alone[:, 0], whole[:, sample])
        program.reset()
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in x]), whole)
    assert whole.any()


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_networks_without_a_connection_run_side_by_side(mapping):
    nodes = {name: nir.Input(np.array([4])) for name in ("a", "b")}
    nodes |= {f"n{name}": MultiLevelLIF.one_hot((4,), 3, decay=0.5) for name in ("a", "b")}
    nodes |= {f"o{name}": nir.Output(None) for name in ("a", "b")}
    graph = build_graph(nodes, [(s, t) for n in ("a", "b") for s, t in ((n, f"n{n}"), (f"n{n}", f"o{n}"))])
    rng = np.random.default_rng(75)
    x = {name: graded(rng, 7, 2, 4) for name in ("a", "b")}
    with nirbridge.compile(graph, "lava", mapping=mapping, timeout=60) as program:
        assert_same(reference_run(graph, x, ["na"]), program.run(x, ["na"]))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_cycles_of_several_nodes_and_cycles_behind_each_other(mapping):
    rng = np.random.default_rng(76)
    nodes = {"x": nir.Input(np.array([4]))}
    edges = [("x", "n0"), ("x", "w0")]
    for k in range(2):
        weight = rng.integers(-4, 6, (2, 4, 4)) / 8
        nodes |= {
            f"n{k}": MultiLevelLIF.one_hot((4,), 3, decay=0.5),
            f"w{k}": nir.Affine(weight[0], rng.integers(-2, 3, 4) / 8),
            f"m{k}": nir.LIF(*(np.full(4, v) for v in (2.0**-9, 2.0, 0.0, 1.0))),
            f"f{k}": nir.Flatten(None, 0, -1),
            f"u{k}": nir.Affine(weight[1], rng.integers(-2, 3, 4) / 8),
        }
        names = [f"{name}{k}" for name in ("n", "w", "m", "f", "u", "n")]
        edges += [*pairwise(names), (f"m{k}", f"m{k}")]
    nodes["o"] = nir.Output(None)
    graph = build_graph(nodes, [*edges, ("m0", "n1"), ("x", "w1"), ("m1", "o"), ("u0", "o")])
    x = graded(rng, 12, 3, 4)
    with nirbridge.compile(graph, "lava", mapping=mapping, dt=2.0**-10, timeout=60) as program:
        expected = reference_run(graph, x, ["w0", "f0", "u1", "m1"], 2.0**-10)
        assert_same(expected, program.run(x, ["w0", "f0", "u1", "m1"]))
        program.reset()
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in x]), expected.output)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_cycle_that_no_data_reach_keeps_its_fractions(mapping):
    nodes = {"a": nir.Input(np.array([3])), "l": nir.LI(*(np.full(3, v) for v in (0.01, 1.0, 0.5)))}
    nodes |= {"oa": nir.Output(None), "ol": nir.Output(None)}
    graph = build_graph(nodes, [("a", "oa"), ("l", "l"), ("l", "ol")])
    x = graded(np.random.default_rng(80), 5, 2, 3)
    with nirbridge.compile(graph, "lava", mapping=mapping, timeout=60) as program:
        assert_same(reference_run(graph, x, ["l:v"]), program.run(x, ["l:v"]))


def test_an_error_in_the_fused_process_arrives_with_its_own_message(monkeypatch):
    def broken(parameters, x, state):
        raise ZeroDivisionError("the reason itself")

    monkeypatch.setattr(dynamics, "lanes_step", broken)
    program = nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60)
    with pytest.raises(ExecutionError, match=r"process 'graph' failed: ZeroDivisionError: the reason itself"):
        program.run(graded(np.random.default_rng(77), 3, 1, 12))


def test_delays_outlast_the_pipeline_in_both_mappings():
    x = graded(np.random.default_rng(78), 4, 2, 6)
    graph = chain({"d": nir.Delay(np.arange(6) * 1e-3)}, (6,))
    for mapping in MAPPINGS:
        with nirbridge.compile(graph, "lava", mapping=mapping, timeout=60) as program:
            assert_same(reference_run(graph, x), program.run(x))
