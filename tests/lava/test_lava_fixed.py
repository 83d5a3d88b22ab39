"""Precision "fixed": against literal loops of docs/fixed_point.md and against the reference, in both mappings."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from lava_graphs import assert_same, chain, flatten, needs_lava

import nirbridge
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import Aggregate, MaxPool2d, MultiLevelLIF, Quantize, build_graph

pytestmark = needs_lava
MAPPINGS = ("processes", "fused")
DT = 1e-3
LIMIT = 2**23 - 1


def whole(rng, *shape, most=127):
    return rng.integers(-most, most + 1, shape)


def tz(value, k):
    """value·k/4096 toward zero, in Python's own integers."""
    product = int(value) * int(k)
    return -(-product // 4096) if product < 0 else product // 4096


def clip(value):
    return max(-LIMIT, min(LIMIT, value))


def literal(step, x, state):
    """Steps one neuron after the other: ``step(j, x, state) -> (y, state)`` in Python's own integers."""
    steps, batch, n = x.shape
    y, v = np.zeros(x.shape), np.zeros(x.shape)
    for b in range(batch):
        for j in range(n):
            now = state(j)
            for t in range(steps):
                y[t, b, j], now, v[t, b, j] = step(j, int(x[t, b, j]), now)
    return y, v


def run(graph, x, record=(), mapping="fused", dt=DT):
    with nirbridge.compile(graph, "lava", precision="fixed", mapping=mapping, dt=dt, timeout=60) as program:
        return program.run(x, record)


def reference(graph, x, record=(), dt=DT):
    with nirbridge.compile(graph, precision="fixed", dt=dt) as program:
        return program.run(x, record)


def multi_level(rng, n, reset, boundary, lanes, own):
    base = rng.integers(10, 60, n) if own else np.array(30)
    node = MultiLevelLIF.one_hot((n,), lanes, base, 1.0, reset, boundary, v_init=-37, v_reset=53)
    node.decay = rng.integers(-4096, 4097, n) / 4096
    node.gain = rng.integers(-3, 4, n)
    return node


def loop_of_multi_level(node, n, x):
    field = lambda name, j: int(np.broadcast_to(getattr(node, name), (n,))[j])  # noqa: E731
    lane = lambda name, s, j: int(np.broadcast_to(getattr(node, name)[s], (n,))[j])  # noqa: E731
    k = np.rint(4096 * np.broadcast_to(node.decay, (n,))).astype(int)

    def step(j, x, v):
        u = clip(tz(v, k[j]) + field("gain", j) * x)
        y, v = 0, u
        for s in range(node.lanes):
            theta = lane("lane_threshold", s, j)
            if u > theta or (u == theta and node.boundary == ">="):
                y = lane("lane_weight", s, j)
                v = clip(u - lane("lane_reset", s, j)) if node.reset == "subtract" else field("v_reset", j)
        return y, v, v

    return literal(step, x, lambda j: field("v_init", j))


@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("own", [False, True])
def test_multi_level_neurons_follow_the_design_literally(reset, boundary, own):
    rng = np.random.default_rng(80)
    x = rng.integers(-1200, 1600, (25, 2, 40))
    nodes = {f"n{lanes}": multi_level(rng, 40, reset, boundary, lanes, own) for lanes in (1, 3, 8)}
    graph, names = fan(nodes, (40,)), list(nodes)
    found = run(graph, x, [*names, *(f"{name}:v" for name in names)])
    for name, node in nodes.items():
        y, v = loop_of_multi_level(node, 40, x)
        np.testing.assert_array_equal(found.records[name], y)
        np.testing.assert_array_equal(found.records[f"{name}:v"], v)
        assert len(np.unique(y)) == node.lanes + 1, "a lane never fired"


@pytest.mark.parametrize("levels", [4, 255])
def test_uniform_levels_follow_the_design_literally(levels):
    rng = np.random.default_rng(81)
    node = MultiLevelLIF.uniform((20,), levels, 64, 4000 / 4096, 32)
    x = rng.integers(-3000, 9000, (25, 2, 20))
    found = run(chain({"n": node}, (20,)), x, ["n:v"])
    y, v = loop_of_multi_level(node, 20, x)
    np.testing.assert_array_equal(found.output, y)
    np.testing.assert_array_equal(found.records["n:v"], v)


def fan(branches, shape):
    nodes = {"input": nir.Input(np.array(shape)), **branches}
    nodes |= {f"out {name}": nir.Output(None) for name in branches}
    return build_graph(nodes, [pair for name in branches for pair in (("input", name), (name, f"out {name}"))])


def neurons(rng, n):
    """Every core neuron, with decays of its own for each."""
    delta = rng.integers(1, 4097, (2, n))
    tau_mem, tau_syn = 4096 * DT / delta
    theta, reset, zero = rng.integers(200, 4000, n), rng.integers(-90, 90, n), np.zeros(n)
    return delta, {
        "I": nir.I(rng.integers(-3, 4, n)),
        "IF": nir.IF(rng.integers(-3, 4, n), theta, reset),
        "LI": nir.LI(tau_mem, tau_mem / DT, zero),
        "LIF": nir.LIF(tau_mem, tau_mem / DT, zero, theta, reset),
        "CubaLI": nir.CubaLI(tau_syn, tau_mem, tau_mem / DT, zero, tau_syn / DT),
        "CubaLIF": nir.CubaLIF(tau_syn, tau_mem, tau_mem / DT, zero, theta, reset, tau_syn / DT),
        "Threshold": nir.Threshold(theta // 3),
    }


def loop_of(kind, node, delta, x):
    k_mem, k_syn = 4096 - delta

    def step(j, x, state):
        i, v = state
        if kind == "Threshold":
            return int(x > node.threshold[j]), state, 0
        if kind in ("I", "IF"):
            v = clip(v + int(node.r[j]) * x)
        elif kind in ("LI", "LIF"):
            v = clip(tz(v, k_mem[j]) + x)
        else:
            i = clip(tz(i, k_syn[j]) + x)
            v = clip(tz(v, k_mem[j]) + i)
        if kind in ("I", "LI", "CubaLI"):
            return v, (i, v), v
        fires = v > node.v_threshold[j]
        v = int(node.v_reset[j]) if fires else v
        return int(fires), (i, v), v

    return literal(step, x, lambda j: (0, 0))


def test_core_neurons_follow_the_design_literally():
    rng = np.random.default_rng(82)
    delta, nodes = neurons(rng, 40)
    x = rng.integers(-1500, 2500, (25, 2, 40))
    names = [f"{name}:v" for name in nodes if name != "Threshold"]
    found = run(fan(nodes, (40,)), x, [*nodes, *names])
    for kind, node in nodes.items():
        y, v = loop_of(kind, node, delta, x)
        np.testing.assert_array_equal(found.records[kind], y, err_msg=kind)
        assert np.any(y), kind
        if kind != "Threshold":
            np.testing.assert_array_equal(found.records[f"{kind}:v"], v, err_msg=kind)


def test_states_clip_at_24_bits_and_never_wrap():
    rng = np.random.default_rng(83)
    _, nodes = neurons(rng, 12)
    del nodes["Threshold"]
    nodes["lanes"] = MultiLevelLIF.one_hot((12,), 2, 2**22, 1.0, "subtract", ">", gain=rng.choice([-2, 2], 12))
    x = rng.choice([-(2**21) + 1, 2**21 - 1], (1, 3, 12)).repeat(12, axis=0)
    record = [*nodes, *(f"{name}:v" for name in nodes)]
    expected = reference(fan(nodes, (12,)), x, record)
    for mapping in MAPPINGS:
        assert_same(expected, run(fan(nodes, (12,)), x, record, mapping))
    assert max(np.abs(expected.records[f"{name}:v"]).max() for name in nodes) == LIMIT


def synapses(rng):
    two, none = np.array([2, 2]), np.array([0, 0])
    conv = lambda cin, cout, kernel, *rest, groups=1: nir.Conv2d(  # noqa: E731
        None, whole(rng, cout, cin // groups, *kernel), *rest, groups, whole(rng, cout)
    )
    return {
        "plain": conv(4, 3, (3, 3), 1, 0, 1),
        "wide": conv(4, 5, (2, 4), (2, 1), (2, 1), (1, 2)),
        "same": nir.Conv2d(None, whole(rng, 4, 4, 2, 3), 1, "same", 1, 1, whole(rng, 4)),
        "grouped": conv(4, 6, (3, 3), 2, 1, 1, groups=2),
        "sum": nir.SumPool2d(two, two, none),
        "max": MaxPool2d((3, 3), (2, 1), (1, 1)),
        "scale": nir.Scale(whole(rng, 4, 8, 7)),
        "delay": nir.Delay(np.broadcast_to(np.arange(7) * DT, (4, 8, 7)).copy()),
        "flat": flatten((4, 8, 7)),
        "aggregate": Aggregate(whole(rng, 4, 4)),
        "last axis": nir.Affine(whole(rng, 5, 7), whole(rng, 5)),
    }


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("stem", ["input", "one-hot", "binary"])
def test_synapses_and_pools_equal_the_reference(mapping, stem):
    """Behind the input messages are any integers; behind one-hot neurons shifts take the place of products."""
    rng = np.random.default_rng(84)
    lanes = {"input": 0, "one-hot": 3, "binary": 1}[stem]
    nodes = {"input": nir.Input(np.array((4, 8, 7)))}
    edges, root = [], "input"
    if lanes:
        nodes["stem"] = MultiLevelLIF.one_hot((4, 8, 7), lanes, 40, 0.5)
        edges, root = [("input", "stem")], "stem"
    branches = synapses(rng)
    nodes |= branches | {f"out {name}": nir.Output(None) for name in branches}
    edges += [pair for name in branches for pair in ((root, name), (name, f"out {name}"))]
    graph = build_graph(nodes, edges)
    x = whole(rng, 5, 2, 4, 8, 7, most=200)
    assert_same(reference(graph, x), run(graph, x, (), mapping))


def cuba(n, syn, mem, theta):
    """A CubaLIF that loses syn/4096 of its current and mem/4096 of its membrane a step."""
    tau_syn, tau_mem = np.full(n, 4096 * DT / syn), np.full(n, 4096 * DT / mem)
    return nir.CubaLIF(tau_syn, tau_mem, tau_mem / DT, np.zeros(n), np.full(n, theta), np.zeros(n), tau_syn / DT)


def network(rng, lanes=3, signed=0):
    """Dense layers with a skip and a cycle, 8-bit weights and biases, every message a power of two or a sum."""
    n = 24
    nodes = {"input": nir.Input(np.array([n]))}
    for layer in range(3):
        nodes |= {
            f"fc{layer}": nir.Affine(whole(rng, n, n), whole(rng, n)),
            f"act{layer}": MultiLevelLIF.one_hot((n,), lanes, 300, 3000 / 4096, v_init=signed),
        }
    nodes |= {"rec": nir.Linear(whole(rng, n, n, most=60)), "cuba": cuba(n, 1024, 256, 3)}
    nodes |= {"read": nir.Affine(whole(rng, 5, n), whole(rng, 5)), "output": nir.Output(None)}
    chained = ["input", "fc0", "act0", "fc1", "act1", "fc2", "act2", "cuba", "read", "output"]
    edges = [*pairwise(chained), ("act0", "fc2"), ("act1", "rec"), ("rec", "act1")]
    return build_graph(nodes, edges)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_network_with_a_cycle_gives_the_reference_s_integers(mapping):
    graph = network(np.random.default_rng(85))
    x = np.random.default_rng(86).choice([0, 0, 1, 2, 4], (30, 3, 24))
    record = ["fc0", "act0", "act1", "rec", "fc2", "act2", "cuba", "act1:v", "act2:v", "cuba:v", "read"]
    expected = reference(graph, x, record)
    with nirbridge.compile(graph, "lava", precision="fixed", mapping=mapping, dt=DT, timeout=60) as program:
        assert_same(expected, program.run(x, record))
        program.reset()
        parts = [program.advance(x[:7], record), program.advance(x[7:], record)]
        np.testing.assert_array_equal(np.concatenate([p.records["cuba:v"] for p in parts]), expected.records["cuba:v"])
        np.testing.assert_array_equal(np.concatenate([part.output for part in parts]), expected.output)


def test_the_lowering_says_what_a_message_costs():
    graph = network(np.random.default_rng(87))
    with nirbridge.compile(graph, "lava", precision="fixed", dt=DT) as program:
        rows = {row.node: row for row in program.lowering}
    costs = {name: row.cost for name, row in rows.items() if row.cost}
    assert costs == {"fc0": "multiply", "fc1": "shift", "fc2": "multiply", "rec": "shift", "read": "add"}
    assert rows["fc1"].process == "MatrixShift"
    assert {rows[name].place for name in ("act1", "rec")} == {"cycle"}
    assert rows["cuba"].place == "own process"
    assert {row.model for row in rows.values()} == {"fixed_pt"}
    with nirbridge.compile(graph, "lava", precision="float", mapping="fused", dt=DT) as program:
        assert {row.cost for row in program.lowering if row.cost} == {"multiply"}
        assert {(row.model, row.place) for row in program.lowering} == {("floating_pt", "fused graph")}


def test_shifts_find_the_lanes_through_what_keeps_them():
    rng = np.random.default_rng(88)
    nodes = {
        "n": MultiLevelLIF.one_hot((2, 6, 6), 4, 20, 0.5),
        "max": MaxPool2d(2, 2, 0),
        "delay": nir.Delay(np.full((2, 3, 3), 2 * DT)),
        "conv": nir.Conv2d(None, whole(rng, 3, 2, 2, 2), 1, 0, 1, 1, whole(rng, 3)),
        "levels": MultiLevelLIF.uniform((3, 2, 2), 5, 50),
        "flat": flatten((3, 2, 2)),
        "fc": nir.Linear(whole(rng, 4, 12)),
    }
    graph = chain(nodes, (2, 6, 6))
    x = whole(rng, 9, 2, 2, 6, 6, most=150)
    with nirbridge.compile(graph, "lava", mapping="fused", precision="fixed", dt=DT, timeout=60) as program:
        assert {r.node: r.cost for r in program.lowering if r.cost} == {"conv": "shift", "fc": "multiply"}
        assert_same(reference(graph, x), program.run(x))


def test_graph_networks_shift_too():
    rng = np.random.default_rng(89)
    nodes = {
        "n": MultiLevelLIF.one_hot((6, 4), 3, 20, 0.5),
        "mix": Aggregate(whole(rng, 6, 6)),
        "m": MultiLevelLIF.one_hot((6, 4), 1, 30),
        "again": Aggregate(whole(rng, 6, 6)),
    }
    graph = chain(nodes, (6, 4))
    x = whole(rng, 12, 2, 6, 4, most=90)
    for mapping in ("processes", "fused"):
        with nirbridge.compile(graph, "lava", mapping=mapping, precision="fixed", timeout=60) as program:
            rows = {r.node: (r.process, r.cost) for r in program.lowering if r.cost}
            assert rows == {"mix": ("AggregateShift", "shift"), "again": ("AggregateSynapse", "add")}
            assert_same(reference(graph, x, ["mix", "m"]), program.run(x, ["mix", "m"]))


def test_every_8_bit_weight_is_used_to_its_last_bit():
    weight = np.arange(-128, 128).reshape(256, 1)
    x = np.array([1, 2, 4, 127, -1]).reshape(5, 1, 1)
    for mapping in MAPPINGS:
        found = run(chain({"w": nir.Linear(weight)}, (1,)), x, (), mapping).output
        np.testing.assert_array_equal(found[:, 0], x[:, 0] * weight[:, 0])


def test_a_graph_that_rounds_its_data_runs_on_integers_by_itself():
    nodes = {"w": nir.Linear(np.array([[3, -2], [1, 7]]))}
    for more, precision in (({"q": Quantize((2,))}, "fixed"), ({}, "float")):
        with nirbridge.compile(chain({**more, **nodes}, (2,)), "lava") as program:
            assert program.precision == precision
            np.testing.assert_array_equal(program.step(np.array([[5, 4]])), [[7, 33]])


def test_what_integers_cannot_say_is_refused():
    with pytest.raises(
        UnsupportedError, match=r"weight holds 0.5, which is no integer. Run 'nirbridge quantize' first"
    ):
        nirbridge.compile(chain({"w": nir.Linear(np.full((2, 2), 0.5))}, (2,)), "lava", precision="fixed")
    with (
        nirbridge.compile(chain({"w": nir.Linear(np.full((2, 2), 3))}, (2,)), "lava", precision="fixed") as program,
        pytest.raises(InputError, match="holds 0.5, and precision 'fixed' takes integers"),
    ):
        program.run(np.full((1, 1, 2), 0.5))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_membranes_are_recorded_in_floating_point_too(mapping):
    rng = np.random.default_rng(89)
    nodes = {
        "a": nir.Affine(rng.integers(-8, 9, (6, 6)) / 16, rng.integers(-8, 9, 6) / 16),
        "n": MultiLevelLIF.one_hot((6,), 3, decay=0.5),
        "if": nir.IF(np.ones(6), np.ones(6)),
        "end": nir.I(np.ones(6)),
    }
    graph = chain(nodes, (6,))
    x = rng.choice([0.0, 1.0, 2.0], (10, 3, 6))
    with nirbridge.compile(graph) as program:
        expected = program.run(x, ["n:v", "if:v", "n", "end:v"])
    with nirbridge.compile(graph, "lava", mapping=mapping, timeout=60) as program:
        assert_same(expected, program.run(x, ["n:v", "if:v", "n", "end:v"]))
