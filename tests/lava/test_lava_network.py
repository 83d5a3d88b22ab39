"""The wiring, and how stages run, without Lava: depths, alignment, where constants go."""

import nir
import numpy as np
from lava_graphs import dense, flatten, graded, reference_run, residual, two_layers

from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.runtime import make_plan
from nirbridge_lava.lowering import LOWERING
from nirbridge_lava.running import Runner
from nirbridge_lava.shared import Block, SharedMemory
from nirbridge_lava.stages import in_area, out_area
from nirbridge_lava.wiring import make_network as wired


def make_network(plan, recorded, mapping="processes"):
    cells = {planned.name: LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
    return wired(plan, cells, recorded, mapping, "floating_pt")


def by_name(network):
    return {stage.name: stage for stage in network.stages}


def test_only_synapses_add_depth():
    network = make_network(make_plan(two_layers()), ["n"])
    depths = {stage.name: stage.depth for stage in network.stages}
    assert depths == {"input": 0, "a": 0, "n": 1, "b": 1, "m": 2, "n:sink": 1, "output:sink": 2}
    assert network.depth == 2
    assert network.sinks == ("output", "n")


def test_biases_travel_to_the_receivers():
    graph = two_layers()
    stages = by_name(make_network(make_plan(graph), ["a"]))
    np.testing.assert_array_equal(stages["n"].constant, graph.nodes["a"].bias)
    np.testing.assert_array_equal(stages["a:sink"].constant, graph.nodes["a"].bias)
    assert stages["a"].constant is None


def test_a_shortcut_waits_for_the_longer_branch():
    network = make_network(make_plan(residual()), [])
    stages = by_name(network)
    assert set(stages["n2"].senders) == {"c2", "narrow:align1"}
    assert stages["narrow:align1"].cell.latency == 1
    assert stages["n2"].depth == 3
    np.testing.assert_array_equal(
        stages["n2"].constant.reshape(4, -1)[:, 0],
        residual().nodes["c2"].bias + residual().nodes["narrow"].bias,
    )


def test_flatten_and_output_are_wires():
    network = make_network(make_plan(residual()), [])
    stages = by_name(network)
    assert "flat" not in stages
    assert stages["fc"].senders == ("max",)


def test_senders_come_before_receivers_and_names_are_unique():
    rng = np.random.default_rng(60)
    nodes = {
        "x": nir.Input(np.array([3])),
        "w": dense(rng, 3, 3),
        "w:sink": MultiLevelLIF.one_hot((3,), 1),
        "f": flatten((3,)),
        "o": nir.Output(None),
    }
    graph = build_graph(nodes, [("x", "w"), ("w", "w:sink"), ("w:sink", "f"), ("x", "f"), ("f", "o")])
    stages = make_network(make_plan(graph), ["w"]).stages
    places = {stage.name: place for place, stage in enumerate(stages)}
    assert len(places) == len(stages)
    assert all(places[sender] < places[stage.name] for stage in stages for sender in stage.senders)
    assert all(len(set(stage.senders)) == len(stage.senders) for stage in stages)


def test_one_alignment_serves_all_receivers():
    rng = np.random.default_rng(61)
    nodes = {name: dense(rng, 3, 3) for name in ("a", "b", "c", "d")}
    nodes |= {"x": nir.Input(np.array([3])), "o": nir.Output(None), "p": nir.Output(None)}
    edges = [("x", "a"), ("a", "b"), ("b", "o"), ("x", "o"), ("b", "p"), ("x", "p"), ("x", "c"), ("c", "p"), ("x", "d")]
    graph = build_graph(nodes, [*edges, ("d", "o")])
    names = [stage.name for stage in make_network(make_plan(graph), []).stages]
    assert sorted(name for name in names if "align" in name) == ["c:align1", "d:align1", "x:align2"]


def recurrent():
    """Two neurons that reach each other through synapses, fed and read at both ends."""
    rng = np.random.default_rng(62)
    nodes = {name: MultiLevelLIF.one_hot((3,), 2) for name in ("n", "m")}
    nodes |= {"wn": dense(rng, 3, 3), "wm": dense(rng, 3, 3), "deep": dense(rng, 3, 3)}
    nodes |= {"x": nir.Input(np.array([3])), "o": nir.Output(None)}
    edges = [("x", "n"), ("n", "wn"), ("wn", "m"), ("m", "wm"), ("wm", "n"), ("x", "deep"), ("deep", "m"), ("m", "o")]
    return build_graph(nodes, edges)


def test_a_cycle_is_one_process_whose_inputs_stand_side_by_side():
    network = make_network(make_plan(recurrent()), ["wn"])
    stages = by_name(network)
    (cycle,) = (stage for stage in network.stages if stage.cell.process == "Cycle")
    assert cycle.takes == (1, 6)
    assert set(cycle.senders) == {"n:in:align1", "m:in"}
    assert stages["m"].cell.process == stages["wn"].cell.process == "Take"
    assert "n" not in stages, "nothing outside of the cycle takes what 'n' sends"
    assert cycle.depth == 1
    np.testing.assert_array_equal(stages["wn:sink"].constant, recurrent().nodes["wn"].bias)


def test_fused_has_the_same_stages_without_delay():
    network = make_network(make_plan(recurrent()), ["wn"], "fused")
    assert network.fused
    assert network.depth == 0
    assert network.sinks == ("o", "wn")
    apart = by_name(make_network(make_plan(recurrent()), ["wn"]))
    assert {stage.name for stage in network.stages} == {name for name in apart if "align" not in name}
    assert all(stage.cell.process == apart[stage.name].cell.process for stage in network.stages)


def test_a_runner_needs_no_lava():
    graph, record = residual(), ["n1", "n1:v", "flat"]
    x = graded(np.random.default_rng(63), 5, 3, 2, 9, 8)
    network = make_network(make_plan(graph), record, "fused")
    memory = SharedMemory(network.areas)
    memory.slots(in_area("input"), 3)[:5, 0] = x.reshape(5, 3, -1)
    runner = Runner(network.stages, memory, np.float64)
    block = Block(start=1, portions=5, epoch=0, parts=1, samples=3, first=0)
    for index in range(5):
        assert runner.enter(block, index)
        runner.advance({})
    assert not runner.enter(block, 5)
    expected = reference_run(graph, x, record)
    for name, values in {**expected.records, "output": expected.output}.items():
        np.testing.assert_array_equal(memory.slots(out_area(name), 3)[:5, 0], values.reshape(5, 3, -1))


def test_pieces_without_a_connection_are_tied_together():
    nodes = {name: nir.Input(np.array([4])) for name in ("a", "b")}
    nodes |= {f"o{name}": nir.Output(None) for name in ("a", "b")}
    stages = make_network(make_plan(build_graph(nodes, [("a", "oa"), ("b", "ob")])), []).stages
    assert {stage.name for stage in stages if stage.cell.process == "Tie"} == {"a:tie", "b:tie", "tie"}
    assert not any(stage.cell.process == "Tie" for stage in make_network(make_plan(two_layers()), []).stages)
