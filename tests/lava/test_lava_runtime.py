"""The runtime object: light, honest about what it needs and about what it cannot run."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import nir
import numpy as np
import pytest
from lava_graphs import graded, needs_lava, reference_run, two_layers

import nirbridge
import nirbridge_lava.runtime
from nirbridge.errors import InputError, UnsupportedError
from nirbridge.ir import PRIMITIVES
from nirbridge_lava import RUNTIME
from nirbridge_lava.lowering import LOWERING


def test_supported_is_the_lowering_table():
    assert RUNTIME.supported == LOWERING.kinds


@needs_lava
def test_every_process_has_a_model_in_each_precision():
    from nirbridge_lava.forking import making_processes

    with making_processes():
        from nirbridge_lava.processes import nodes

        models = [
            (cls.implements_process.__name__, *cls.tags)
            for cls in vars(nodes).values()
            if isinstance(cls, type) and getattr(cls, "implements_process", None)
        ]
    named = {*nodes.PROCESSES, "FusedGraph"}
    assert len(set(models)) == len(models)
    assert set(models) == {(name, tag) for tag in ("floating_pt", "fixed_pt") for name in named}
    assert {"FrameSource", "FrameSink", "FusedGraph", "Cycle", "MultiLevelLIF", "MatrixShift"} < named


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
    assert found.install == "Run: pip install 'lava-nc>=0.10' 'threadpoolctl>=3.1'"


def test_availability_refuses_a_newer_python(monkeypatch):
    class Version(tuple):
        major, minor = 3, 12

    monkeypatch.setattr(sys, "version_info", Version((3, 12, 1)))
    found = RUNTIME.availability()
    assert found.reason == "lava-nc needs Python 3.10, this is Python 3.12"
    assert found.install == "Install Python 3.10"


def test_check_finds_nothing_in_a_graph_that_runs():
    assert nirbridge.check(two_layers(), "lava") == []


def test_nothing_of_the_format_is_refused():
    assert RUNTIME.supported >= set(PRIMITIVES.values()) - {nir.NIRGraph}


@needs_lava
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "3", True])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(timeout):
    with pytest.raises(InputError, match="option 'timeout': .* is not a positive number of seconds"):
        nirbridge.compile(two_layers(), "lava", timeout=timeout)


@needs_lava
def test_streaming_goes_through_one_process():
    with nirbridge.compile(two_layers(), "lava", **RUNTIME.streaming_options) as program:
        assert program.mapping == "fused"


@needs_lava
@pytest.mark.parametrize("mapping", [None, "processes", "fused"])
def test_the_first_data_decide_about_the_mapping_unless_the_caller_does(mapping):
    x = graded(np.random.default_rng(0), 3, 1, 12)
    expected = reference_run(two_layers(), x).output
    with nirbridge.compile(two_layers(), "lava", mapping=mapping, timeout=60) as program:
        np.testing.assert_array_equal(np.stack([program.step(frame) for frame in x]), expected)
        assert program.mapping == (mapping or "fused")
        np.testing.assert_array_equal(program.run(x, ["n"]).output, expected)
        assert {row.place for row in program.lowering if row.process != "wire"} == {
            "own process" if program.mapping == "processes" else "fused graph"
        }
    with nirbridge.compile(two_layers(), "lava", mapping=mapping, timeout=60) as program:
        program.run(x[:2])
        np.testing.assert_array_equal(program.step(x[2]), expected[2])
        assert program.mapping == (mapping or "processes")


@needs_lava
def test_unknown_options_are_refused():
    with pytest.raises(InputError, match="option 'mapping': 'chip' is not among 'processes', 'fused'"):
        nirbridge.compile(two_layers(), "lava", mapping="chip")
    with pytest.raises(UnsupportedError, match="precision 'half' is not among float, fixed"):
        nirbridge.compile(two_layers(), "lava", precision="half")
    with pytest.raises(UnsupportedError, match="option 'device' is unknown"):
        nirbridge.compile(two_layers(), "lava", device="cpu")
