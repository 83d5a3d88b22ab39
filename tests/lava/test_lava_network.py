"""The wiring, without Lava: depths, alignment, where constants go."""

import nir
import numpy as np
from lava_graphs import dense, flatten, residual, two_layers

from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.runtime import make_plan
from nirbridge_lava.lowering import LOWERING
from nirbridge_lava.network import fused_network, processes_network


def make_network(plan, recorded, mapping=processes_network):
    cells = {planned.name: LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
    return mapping(plan, cells, recorded)


def by_name(network):
    return {unit.name: unit for unit in network.units}


def test_only_synapses_add_depth():
    network = make_network(make_plan(two_layers()), ["n"])
    depths = {unit.name: unit.depth for unit in network.units}
    assert depths == {"input": 0, "a": 0, "n": 1, "b": 1, "m": 2, "n:sink": 1, "output:sink": 2}
    assert network.depth == 2
    assert network.sinks == ("output", "n")


def test_biases_travel_to_the_receivers():
    graph = two_layers()
    units = by_name(make_network(make_plan(graph), ["a"]))
    np.testing.assert_array_equal(units["n"].offset, graph.nodes["a"].bias)
    np.testing.assert_array_equal(units["a:sink"].offset, graph.nodes["a"].bias)
    assert units["a"].offset is None


def test_a_shortcut_waits_for_the_longer_branch():
    network = make_network(make_plan(residual()), [])
    units = by_name(network)
    senders = {network.units[index].name for index in units["n2"].senders}
    assert senders == {"c2", "narrow:align1"}
    assert units["narrow:align1"].cell.parameters == 1
    assert units["n2"].depth == 3
    np.testing.assert_array_equal(
        units["n2"].offset.reshape(4, -1)[:, 0],
        residual().nodes["c2"].bias + residual().nodes["narrow"].bias,
    )


def test_flatten_and_output_are_wires():
    network = make_network(make_plan(residual()), [])
    units = by_name(network)
    assert "flat" not in units
    assert network.units[units["fc"].senders[0]].name == "max"


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
    units = make_network(make_plan(graph), ["w"]).units
    assert len({unit.name for unit in units}) == len(units)
    assert all(sender < index for index, unit in enumerate(units) for sender in unit.senders)
    assert all(len(set(unit.senders)) == len(unit.senders) for unit in units)


def test_one_alignment_serves_all_receivers():
    rng = np.random.default_rng(61)
    nodes = {name: dense(rng, 3, 3) for name in ("a", "b", "c", "d")}
    nodes |= {"x": nir.Input(np.array([3])), "o": nir.Output(None), "p": nir.Output(None)}
    edges = [("x", "a"), ("a", "b"), ("b", "o"), ("x", "o"), ("b", "p"), ("x", "p"), ("x", "c"), ("c", "p"), ("x", "d")]
    graph = build_graph(nodes, [*edges, ("d", "o")])
    names = [unit.name for unit in make_network(make_plan(graph), []).units]
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
    units = by_name(network)
    (cycle,) = (unit for unit in network.units if unit.cell.process == "Cycle")
    assert cycle.inputs == (1, 6)
    assert {network.units[index].name for index in cycle.senders} == {"n:in:align1", "m:in"}
    assert units["m"].cell.process == units["wn"].cell.process == "Take"
    assert "n" not in units, "nothing outside of the cycle takes what 'n' sends"
    assert cycle.depth == 1
    np.testing.assert_array_equal(units["wn:sink"].offset, recurrent().nodes["wn"].bias)


def test_fused_is_one_process_without_delay():
    network = make_network(make_plan(recurrent()), ["wn"], fused_network)
    (unit,) = network.units
    assert unit.cell.process == "FusedGraph"
    assert network.depth == 0
    assert network.sinks == ("o", "wn")


def test_pieces_without_a_connection_are_tied_together():
    nodes = {name: nir.Input(np.array([4])) for name in ("a", "b")}
    nodes |= {f"o{name}": nir.Output(None) for name in ("a", "b")}
    units = make_network(make_plan(build_graph(nodes, [("a", "oa"), ("b", "ob")])), []).units
    assert [unit.name for unit in units if unit.cell.process == "Tie"] == ["tie0", "tie1", "tie"]
    assert not any(unit.cell.process == "Tie" for unit in make_network(make_plan(two_layers()), []).units)
