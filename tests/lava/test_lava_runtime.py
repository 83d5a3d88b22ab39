"""The runtime object: light, honest about what it needs and about what it cannot run."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import nir
import numpy as np
import pytest
from lava_graphs import chain, dense, needs_lava, two_layers

import nirbridge
import nirbridge_lava.runtime
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import PRIMITIVES, EventInput, MaxPool2d, MultiLevelLIF, PhaseDecode, build_graph
from nirbridge_lava import RUNTIME
from nirbridge_lava.lowering import LOWERING

RAN = {nir.Input, EventInput, nir.Output, nir.Affine, nir.Linear, nir.Scale, nir.Conv1d, nir.Conv2d, nir.SumPool2d,
       nir.AvgPool2d, MaxPool2d, nir.Flatten, nir.Delay, nir.Threshold, nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI,
       nir.CubaLIF, MultiLevelLIF}  # fmt: skip


def test_supported_is_the_lowering_table():
    assert RUNTIME.supported == LOWERING.kinds == RAN


@needs_lava
def test_every_lowered_process_exists_and_has_a_floating_point_model():
    from nirbridge_lava.forking import making_processes

    with making_processes():
        from nirbridge_lava import building

        named = {name for name in building.PROCESSES if name != "Dense"}
        models = {
            cls.implements_process.__name__: cls
            for module in (building.frames, building.neurons, building.stateless)
            for cls in vars(module).values()
            if isinstance(cls, type) and getattr(cls, "implements_process", None)
        }
    assert set(models) == named
    assert all(model.tags == ["floating_pt"] for model in models.values())


def test_asking_costs_neither_lava_nor_torch():
    program = (
        "import sys, nirbridge_lava as n; n.RUNTIME.availability(); n.RUNTIME.supported; "
        "print([m for m in ('lava', 'torch', 'scipy', 'networkx') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout.strip() == "[]"


@needs_lava
def test_availability_gives_the_version():
    found = RUNTIME.availability()
    assert found.usable
    assert found.version.startswith("0.")


def test_availability_says_what_to_install(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(nirbridge_lava.runtime, "version", missing)
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    found = RUNTIME.availability()
    assert not found.usable
    assert found.install == "Run pip install 'nirbridge[lava]'"


def test_availability_refuses_a_newer_python(monkeypatch):
    class Version(tuple):
        major, minor = 3, 12

    monkeypatch.setattr(sys, "version_info", Version((3, 12, 1)))
    found = RUNTIME.availability()
    assert found.reason == "lava-nc needs Python 3.10, this is Python 3.12"
    assert found.install == "Install Python 3.10"


def recurrent():
    rng = np.random.default_rng(50)
    nodes = {"input": nir.Input(np.array([4])), "n": MultiLevelLIF.one_hot((4,), 2), "w": dense(rng, 4, 4)}
    nodes["output"] = nir.Output(None)
    return build_graph(nodes, [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")])


def test_check_names_every_node_of_a_cycle():
    problems = nirbridge.check(recurrent(), "lava")
    assert {problem.where for problem in problems} == {"node 'n' (MultiLevelLIF)", "node 'w' (Affine)"}
    assert {problem.rule for problem in problems} == {"graph_is_feed_forward"}


def test_check_names_separate_networks():
    rng = np.random.default_rng(51)
    nodes = {name: nir.Input(np.array([4])) for name in ("a", "b")}
    nodes |= {f"w{name}": dense(rng, 4, 4) for name in ("a", "b")}
    nodes |= {f"o{name}": nir.Output(None) for name in ("a", "b")}
    edges = [(s, t) for name in ("a", "b") for s, t in ((name, f"w{name}"), (f"w{name}", f"o{name}"))]
    (problem,) = nirbridge.check(build_graph(nodes, edges), "lava")
    assert problem.rule == "graph_is_one_piece"
    assert "2 networks" in problem.found


def test_check_finds_nothing_in_a_graph_that_runs():
    assert nirbridge.check(two_layers(), "lava") == []


def test_nodes_that_work_on_windows_are_refused_by_name():
    graph = chain({"decode": PhaseDecode((4,), 3)}, (4,))
    (problem,) = nirbridge.check(graph, "lava")
    assert str(problem) == (
        "node 'decode' (PhaseDecode): runtime 'lava' does not run PhaseDecode. Use --runtime reference."
    )
    assert PhaseDecode in PRIMITIVES.values()


@needs_lava
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "3", True])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(timeout):
    with pytest.raises(InputError, match="option 'timeout': .* is not a positive number of seconds"):
        nirbridge.compile(two_layers(), "lava", timeout=timeout)


@needs_lava
def test_unknown_options_are_refused():
    with pytest.raises(InputError, match="option 'mapping': 'fused' is not among 'processes'"):
        nirbridge.compile(two_layers(), "lava", mapping="fused")
    with pytest.raises(UnsupportedError, match="precision 'fixed' is not among float"):
        nirbridge.compile(two_layers(), "lava", precision="fixed")
    with pytest.raises(UnsupportedError, match="option 'device' is unknown"):
        nirbridge.compile(two_layers(), "lava", device="cpu")
