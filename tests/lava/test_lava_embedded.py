"""A graph as one Process in a Lava program of the user's own: every node, equal to the reference after its latency."""

import os
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from lava_graphs import needs_lava

import nirbridge
import nirbridge_lava
from nirbridge.conformance import cases, integer_cases
from nirbridge.errors import GraphWarning, InputError, UnsupportedError
from nirbridge.ir import PhaseDecode, PhaseEncode, Quantize, build_graph, flatten
from nirbridge.runtime import make_plan
from nirbridge_lava.cell import Cell
from nirbridge_lava.stages import Stage
from nirbridge_lava.streaming import Streamed, Streamer

pytestmark = [needs_lava, pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lava_network.py"
STEPS = 6


def run_in_lava(network, data, more=0):
    """What a program of sources and sinks of Lava's own gives for each output; data are [T, *shape] by input."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi1SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    steps = len(next(iter(data.values())))
    total = network.first_step - 1 + steps + max(network.latency[name] for name in network.outputs) + more
    dtype = np.int32 if network.tag == "fixed_pt" else np.float64
    for name, array in data.items():
        padded = np.zeros((total, *array.shape[1:]), dtype)
        padded[network.first_step - 1 :][:steps] = array
        Source(data=np.moveaxis(padded, 0, -1).copy()).s_out.connect(network.inputs[name])
    sinks = {}
    for name, port in network.outputs.items():
        sinks[name] = Sink(shape=port.shape, buffer=total)
        port.connect(sinks[name].a_in)
    network.run(RunSteps(total), Loihi1SimCfg(select_tag=network.tag))
    begins = {name: network.first_step - 1 + network.latency[name] for name in sinks}
    found = {name: np.moveaxis(sink.data.get(), -1, 0)[begins[name] :][:steps] for name, sink in sinks.items()}
    network.stop()
    return found


def expected_of(graph, data, precision, dt):
    with nirbridge.compile(graph, "reference", precision=precision, dt=dt) as program:
        output = program.run({name: array[:, None] for name, array in data.items()}).output
    values = output if isinstance(output, dict) else {next(iter(program.plan.outputs)): output}
    return {name: array[:, 0] for name, array in values.items()}


def streaming(case):
    return all(p.window == 1 and p.rate == 1 for p in make_plan(flatten(case.graph()), case.dt).nodes)


CASES = [("float", cases, case) for case in cases.all_cases()[::25] if streaming(case)]
CASES += [("fixed", integer_cases, case) for case in integer_cases.all_cases()[::25] if streaming(case)]
WIRED = ("two in, two out", "a cycle", "residual")
CASES += [("float", cases, case) for case in cases.all_cases() if case.name in WIRED]


def test_a_node_has_its_own_process_whatever_its_name():
    """Also one by which the wiring would call what it adds between nodes, or behind them."""
    nodes = {"x": nir.Input(np.array([2])), "w": nir.Linear(np.eye(2)), "o": nir.Output(None)}
    nodes |= {"x:align1": nir.Threshold(np.ones(2)), "o:sink": nir.Threshold(np.ones(2))}
    edges = [("x", "w"), ("w", "o:sink"), ("x", "o:sink"), ("o:sink", "x:align1"), ("x:align1", "o")]
    network = nirbridge_lava.network(build_graph(nodes, edges))
    assert {name: layer.name for name, layer in network.layers.items()} == {n: n for n in nodes if n != "o"}
    assert network.latency == {"x": 0, "w": 1, "o:sink": 1, "x:align1": 1, "o": 1}
    assert network.out.shape == (2,)


@pytest.mark.parametrize(("precision", "module", "case"), CASES, ids=lambda value: getattr(value, "name", None))
def test_every_node_streams_what_the_reference_gives(precision, module, case):
    graph = case.graph()
    data = {name: array[:STEPS, 0] for name, array in module.data(case).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GraphWarning)
        network = nirbridge_lava.network(graph, precision=precision, dt=case.dt)
        expected = expected_of(graph, data, precision, case.dt)
    entering = {name: network.to_integers(array, name) for name, array in data.items()}
    found = run_in_lava(network, entering)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(network.in_units(found[name], name), values, err_msg=name)


def one_layer(*before):
    """A leaky neuron behind a bias, so that a step too many shows."""
    nodes = {"input": nir.Input(np.array([2]))}
    nodes |= {f"before{i}": node for i, node in enumerate(before)}
    nodes |= {
        "fc": nir.Affine(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([1.0, 2.0])),
        "lif": nir.LIF(np.full(2, 4.0), np.full(2, 4.0), np.zeros(2), np.full(2, 8.0), np.zeros(2)),
        "output": nir.Output(None),
    }
    return build_graph(nodes, list(pairwise(nodes)))


@pytest.fixture
def data():
    return np.random.default_rng(3).integers(0, 4, (12, 2)).astype(float)


def test_nothing_moves_before_the_first_frame(data):
    network = nirbridge_lava.network(one_layer(), dt=1.0, first_step=4)
    found = run_in_lava(network, {"input": data})
    np.testing.assert_array_equal(found["output"], expected_of(one_layer(), {"input": data}, "float", 1.0)["output"])
    assert 0 < found["output"].sum() < found["output"].size


def test_states_start_afresh_with_every_sample(data):
    network = nirbridge_lava.network(one_layer(), dt=1.0, restart=4)
    found = run_in_lava(network, {"input": data})["output"]
    samples = [expected_of(one_layer(), {"input": data[t : t + 4]}, "float", 1.0)["output"] for t in (0, 4, 8)]
    np.testing.assert_array_equal(found, np.concatenate(samples))
    assert (found != expected_of(one_layer(), {"input": data}, "float", 1.0)["output"]).any()


def test_a_graph_of_integers_says_which_integers(data):
    graph = one_layer(Quantize((2,), 0.5, -100, 100))
    network = nirbridge_lava.network(graph, dt=1.0)
    assert network.tag == "fixed_pt"
    entering = network.to_integers(data / 2)
    np.testing.assert_array_equal(entering, data)
    found = run_in_lava(network, {"input": entering})
    np.testing.assert_array_equal(found["output"], expected_of(graph, {"input": data / 2}, None, 1.0)["output"])
    with pytest.warns(GraphWarning, match=r"input: .* beyond -100\.\.100 steps"):
        network.to_integers(data + 60)


def test_the_other_tag_is_refused_by_lava(data):
    network = nirbridge_lava.network(one_layer(), dt=1.0, precision="fixed")
    network.tag = "floating_pt"
    with pytest.raises(AssertionError, match="No ProcessModels found with tag 'floating_pt' for Process .*::Fixed"):
        run_in_lava(network, {"input": data})


def test_windows_are_refused_by_name():
    nodes = {"input": nir.Input(np.array([2])), "encode": PhaseEncode((2,), 4), "decode": PhaseDecode((2,), 4)}
    nodes["output"] = nir.Output(None)
    with pytest.raises(UnsupportedError) as caught:
        nirbridge_lava.network(build_graph(nodes, list(pairwise(nodes))))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "node 'encode' (PhaseEncode)",
        "node 'decode' (PhaseDecode)",
    ]


@pytest.mark.parametrize("option", [{"first_step": 0}, {"restart": 2.5}, {"restart": True}])
def test_options_are_whole_numbers(option):
    with pytest.raises(InputError, match=f"option '{next(iter(option))}'.*whole number"):
        nirbridge_lava.network(one_layer(), dt=1.0, **option)


def test_too_large_integers_are_said():
    stage = Stage("input", Cell("FrameSource", lambda cell, x, state: (x, state)), (), None, sends=(1, 1))
    streamer = Streamer(Streamed(stage, first=1, restart=None, dtype=np.int64, limit=7))
    with pytest.warns(GraphWarning, match="input 8 exceeds 7"):
        assert streamer.take(np.array([-8]), 1).tolist() == [-8]


@pytest.mark.parametrize("options", [[], ["--fixed"]])
def test_the_example_agrees(options):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *options], capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "0 values and 0 membranes differ" in done.stdout
