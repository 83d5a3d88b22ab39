"""Every node, against the reference, value by value."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from lava_graphs import assert_same, conv, dense, dyadic, flatten, graded, needs_lava, reference_run, residual

import nirbridge
from nirbridge.ir import EventInput, MaxPool2d, MultiLevelLIF, build_graph

pytestmark = needs_lava


def fan_out(branches, shape, stem=None):
    """One input, many nodes behind it, an output behind each; the records are the branches."""
    nodes = {"input": nir.Input(np.array(shape))}
    edges = []
    root = "input"
    if stem is not None:
        nodes["stem"] = stem
        edges.append(("input", "stem"))
        root = "stem"
    for name, node in branches.items():
        nodes |= {name: node, f"out {name}": nir.Output(None)}
        edges += [(root, name), (name, f"out {name}")]
    return build_graph(nodes, edges)


def compare(graph, x, record=(), dt=None):
    expected = reference_run(graph, x, record, dt)
    with nirbridge.compile(graph, "lava", dt=dt, timeout=60) as program:
        assert_same(expected, program.run(x, record))


def multi_level_variants(n, rng):
    """All resets × boundaries × lane layouts, shared by all neurons and one by one."""
    variants = {}
    theta = rng.integers(4, 12, n) / 8
    for reset in ("subtract", "value"):
        for boundary in (">", ">="):
            key = f"{reset} {boundary}"
            variants[f"one {key}"] = MultiLevelLIF.one_hot((n,), 1, 1.0, 0.5, reset, boundary)
            variants[f"three {key}"] = MultiLevelLIF.one_hot(
                (n,), 3, 0.5, 0.75, reset, boundary, gain=0.5, v_init=0.25, v_reset=-0.5
            )
            variants[f"scaled {key}"] = MultiLevelLIF.one_hot((n,), 4, 2.0, 1.0, reset, boundary, scaled=True)
            variants[f"own {key}"] = MultiLevelLIF.one_hot(
                (n,), 3, theta, rng.integers(0, 5, n) / 4, reset, boundary, v_init=theta / 2, v_reset=-theta
            )
    variants["uniform 4"] = MultiLevelLIF.uniform((n,), 4, 0.5, v_init=0.25)
    variants["uniform 255"] = MultiLevelLIF.uniform((n,), 255, 1 / 64, output="value")
    variants["uniform own"] = MultiLevelLIF.uniform((n,), 7, theta, v_init=theta / 2)
    mixed = MultiLevelLIF.one_hot((n,), 2)
    mixed.lane_weight = np.stack([theta, 3 * theta])
    variants["mixed"] = mixed
    return variants


def test_every_multi_level_variant_with_inputs_on_the_boundaries():
    rng = np.random.default_rng(2)
    variants = multi_level_variants(9, rng)
    x = rng.integers(-8, 40, (12, 2, 9)) / 8
    compare(fan_out(variants, (9,)), x)


def test_multi_level_neurons_with_per_channel_parameters_over_images():
    rng = np.random.default_rng(3)
    theta = np.array([0.5, 1.0, 1.5]).reshape(3, 1, 1)
    neuron = MultiLevelLIF.one_hot((3, 4, 5), 2, theta, decay=theta / 2)
    graph = fan_out({"n": neuron}, (3, 4, 5))
    compare(graph, rng.integers(-4, 16, (6, 2, 3, 4, 5)) / 4)


def core_neurons(n, rng):
    def each(low, high):
        return rng.integers(low, high, n) / 8

    tau, r, leak = np.full(n, 4e-3), each(4, 12), each(-4, 4)
    theta, back = each(4, 8), each(-4, 1)
    late = np.array([0, 1, 2, 5] * n)[:n] * 1e-3
    return {
        "I": nir.I(r=r),
        "IF": nir.IF(r=r, v_threshold=theta, v_reset=back),
        "LI": nir.LI(tau=tau, r=r, v_leak=leak),
        "LIF": nir.LIF(tau=tau, r=r, v_leak=leak, v_threshold=theta, v_reset=back),
        "CubaLI": nir.CubaLI(tau_syn=tau / 2, tau_mem=tau, r=r, v_leak=leak, w_in=each(4, 12)),
        "CubaLIF": nir.CubaLIF(
            tau_syn=tau / 2, tau_mem=tau, r=r, v_leak=leak, v_threshold=theta, v_reset=back, w_in=each(4, 12)
        ),
        "Threshold": nir.Threshold(threshold=theta),
        "Delay": nir.Delay(delay=late),
        "Scale": nir.Scale(scale=each(-8, 8)),
    }


def test_every_core_neuron():
    rng = np.random.default_rng(4)
    x = rng.integers(-4, 16, (14, 3, 8)) / 8
    compare(fan_out(core_neurons(8, rng), (8,)), x, dt=1e-3)


def test_core_neurons_behind_a_biased_synapse_start_with_the_first_input():
    rng = np.random.default_rng(5)
    x = graded(rng, 9, 2, 8)
    x[0] = 0
    compare(fan_out(core_neurons(8, rng), (8,), dense(rng, 8, 8)), x, dt=1e-3)


def test_every_kind_of_convolution_and_pool():
    rng = np.random.default_rng(6)
    same = nir.Conv2d(None, dyadic(rng, 4, 4, 2, 4), 1, "same", 1, 1, dyadic(rng, 4))
    window, none = np.array([3, 2]), np.array([0, 0])
    branches = {
        "plain": conv(rng, 4, 3, (3, 3)),
        "oblong": conv(rng, 4, 5, (1, 4), stride=(2, 1), padding=(2, 1)),
        "dilated": conv(rng, 4, 2, (3, 2), dilation=(2, 3), padding=2),
        "grouped": conv(rng, 4, 6, (3, 3), groups=2, stride=2),
        "depthwise": conv(rng, 4, 4, (2, 3), groups=4, padding=1, dilation=(1, 2)),
        "same": same,
        "sum": nir.SumPool2d(np.array([2, 3]), np.array([2, 1]), np.array([1, 1])),
        "mean": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), none),
        "thirds": nir.AvgPool2d(window, window, none),
        "max": MaxPool2d((3, 3), (2, 1), (1, 1)),
        "flatten": flatten((4, 10, 9), 1),
    }
    compare(fan_out(branches, (4, 10, 9)), dyadic(rng, 5, 2, 4, 10, 9, scale=8))


def test_synapses_without_channels_or_with_several_axes():
    rng = np.random.default_rng(7)
    branches = {
        "conv1d": nir.Conv1d(None, dyadic(rng, 4, 3, 3), 2, 1, 1, 1, dyadic(rng, 4)),
        "linear": nir.Linear(dyadic(rng, 5, 8)),
        "stacked": nir.Affine(dyadic(rng, 3, 5, 8), dyadic(rng, 5)),
    }
    compare(fan_out(branches, (3, 8)), graded(rng, 5, 2, 3, 8))


def test_synapse_behind_synapse_carries_the_first_bias_through():
    rng = np.random.default_rng(8)
    nodes = {"a": dense(rng, 6, 7), "b": dense(rng, 7, 5), "c": nir.Linear(dyadic(rng, 4, 5))}
    names = ["input", *nodes, "output"]
    every = {"input": nir.Input(np.array([6])), **nodes, "output": nir.Output(None)}
    graph = build_graph(every, list(pairwise(names)))
    compare(graph, graded(rng, 6, 2, 6), record=["a", "b", "c"])


def test_residual_network_with_records_at_every_depth():
    graph = residual()
    rng = np.random.default_rng(9)
    names = ["input", "stem", "n0", "c1", "n1", "narrow", "n2", "pool", "max", "flat", "fc"]
    compare(graph, graded(rng, 8, 3, 2, 9, 8), names)


def test_edges_of_different_depth_and_several_inputs_add_up():
    rng = np.random.default_rng(10)
    nodes = {
        "x": nir.Input(np.array([6])),
        "y": nir.Input(np.array([6])),
        "deep": dense(rng, 6, 6),
        "deeper": dense(rng, 6, 6),
        "n": MultiLevelLIF.one_hot((6,), 3),
        "sum": MultiLevelLIF.one_hot((6,), 3, decay=0.5),
        "flat": flatten((6,)),
        "out": nir.Output(None),
        "early": nir.Output(None),
    }
    edges = [
        ("x", "deep"), ("deep", "n"), ("n", "deeper"), ("deeper", "sum"), ("x", "sum"), ("y", "sum"),
        ("deep", "sum"), ("sum", "flat"), ("y", "flat"), ("flat", "out"), ("y", "early"),
    ]  # fmt: skip
    x = {"x": graded(rng, 9, 2, 6), "y": graded(rng, 9, 2, 6)}
    compare(build_graph(nodes, edges), x, ["n", "deep", "flat", "x"])


def test_events_enter_through_their_own_input():
    rng = np.random.default_rng(13)
    nodes = {
        "events": EventInput((2, 5, 4), (8, 10), 5000, lanes=3, coding="one-hot"),
        "flat": flatten((2, 5, 4)),
        "fc": dense(rng, 40, 6),
        "leaky": nir.LIF(*(np.full(6, v) for v in (0.02, 4.0, 0.0, 1.0, 0.0))),
        "out": nir.Output(None),
    }
    graph = build_graph(nodes, list(pairwise(nodes)))
    compare(graph, graded(rng, 8, 2, 2, 5, 4), ["events", "leaky"])


def test_real_numbers_agree_within_the_tolerance_of_the_contract():
    rng = np.random.default_rng(11)
    nodes = {
        "input": nir.Input(np.array([30])),
        "a": nir.Affine(rng.normal(size=(40, 30)).astype(np.float32), rng.normal(size=40).astype(np.float32)),
        "n": nir.LIF(*(np.full(40, v, np.float32) for v in (0.02, 5.0, 0.0, 1.0, 0.0))),
        "output": nir.Output(None),
    }
    graph = build_graph(nodes, [("input", "a"), ("a", "n"), ("n", "output")])
    x = graded(rng, 60, 2, 30)
    expected = reference_run(graph, x).output
    with nirbridge.compile(graph, "lava") as program:
        found = program.run(x).output
    assert expected.mean() > 0.01
    assert np.mean(found != expected) <= 1e-4


@pytest.mark.parametrize("name", ["cnn_sinabs.nir"])
def test_a_published_network(shared_data, name):
    graph = nirbridge.read(shared_data / "nir-paper" / "02_cnn" / name)
    x = (np.random.default_rng(12).random((4, 1, 2, 34, 34)) < 0.3).astype(np.float32)
    expected = reference_run(graph, x, ["1"])
    with nirbridge.compile(graph, "lava") as program:
        found = program.run(x, ["1"])
    assert expected.records["1"].sum() > 100
    assert np.mean(found.records["1"] != expected.records["1"]) <= 1e-4
    assert np.mean(found.output != expected.output) <= 1e-4
