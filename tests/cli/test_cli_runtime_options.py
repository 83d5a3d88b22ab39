"""--device, --dtype, --mapping and --timeout: every command that runs a graph hands them to the runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.cli import main
from nirbridge.cli.runtime_options import NAMES
from nirbridge.ir import build_graph
from nirbridge_events import write_es
from tests.cli.conftest import Invoke, assert_one_line
from tests.events import naive

RUNNING = ("run", "compare", "energy", "frontier", "stream", "convert")


def require(runtime: str) -> None:
    if not nirbridge.runtimes()[runtime].usable:
        pytest.skip(f"the {runtime} runtime cannot be used here")


@pytest.mark.parametrize("name", RUNNING)
def test_every_command_that_runs_a_graph_has_them(name: str) -> None:
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert {f"--{option}" for option in NAMES} <= {text for p in command.params for text in p.opts}


@pytest.fixture
def arguments(tmp_path: Path, graph_file: Path, data_file: Path) -> Callable[[str], list[object]]:
    """What a command needs besides."""
    np.save(tmp_path / "y.npy", np.zeros(2, int))
    write_es(tmp_path / "a.es", naive.events_of([(t, 1, 1, 1) for t in range(0, 1000, 10)]), (2, 2))
    flat = {
        "input": nir.Input(np.array([1, 2, 2])),
        "flat": nir.Flatten({"input": np.array([1, 2, 2])}, 0),
        "output": nir.Output(np.array([4])),
    }
    nirbridge.write(tmp_path / "flat.nir", build_graph(flat, [("input", "flat"), ("flat", "output")]))
    window = ("--window", "100us", "--coding", "count", "--polarity", "merge")
    table: dict[str, tuple[object, ...]] = {
        "run": (graph_file, "-i", data_file),
        "compare": (graph_file, "-i", data_file, "--runtimes", "norse"),
        "energy": (graph_file, "-i", data_file),
        "frontier": (graph_file, "-i", data_file, "--labels", tmp_path / "y.npy"),
        "stream": (tmp_path / "a.es", "--model", tmp_path / "flat.nir", "--runtime", "reference", *window),
    }
    return lambda name: [name, *table[name]]


@pytest.mark.parametrize("name", RUNNING[:5])
def test_one_that_the_runtime_does_not_know_is_refused(
    name: str, arguments: Callable[[str], list[object]], invoke: Invoke
) -> None:
    plain = invoke(*arguments(name))
    assert plain.exit_code == 0, plain.output
    assert_one_line(invoke(*arguments(name), "--mapping", "fused"), "option 'mapping'")


def test_a_stream_gets_what_files_leave_open(arguments: Callable[[str], list[object]], invoke: Invoke) -> None:
    name, source, _, model, *rest = arguments("stream")
    graph = nirbridge.read(Path(str(model)))
    graph.nodes["if"] = nir.IF(r=np.ones(4), v_threshold=np.full(4, 15.0), v_reset=np.zeros(4))
    graph.edges[:] = [("input", "flat"), ("flat", "if"), ("if", "output")]
    nirbridge.write(Path(str(model)), graph)
    for reset, spikes in (("value", 5), ("subtract", 6)):  # of ten windows of ten events
        result = invoke(name, source, "--model", model, *rest, "--readout", "sum", "--reset", reset)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout.splitlines()[-2])["scores"] == [0, 0, 0, spikes]


def test_those_of_the_report_are_looked_at_before_a_conversion(tmp_path: Path, invoke: Invoke) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 4)))
    needed = ("convert", "nowhere:net", "--data", tmp_path / "x.npy", "-o", tmp_path / "f.nir")
    assert_one_line(invoke(*needed, "--device", "cpu"), "option '--device': is for the report")
    report = ("--report", tmp_path / "r.json", "--runtime", "reference")
    assert_one_line(invoke(*needed, *report, "--device", "cpu"), "runtime 'reference': option 'device' is unknown")


def test_the_runtime_gets_them(graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    require("norse")
    nodes = {"input": nir.Input(np.array([2])), "fc": nir.Linear(np.full((2, 2), 0.1)), "output": nir.Output([2])}
    nirbridge.write(tmp_path / "tenth.nir", build_graph(nodes, [("input", "fc"), ("fc", "output")]))
    np.save(tmp_path / "x.npy", np.full((1, 1, 2), 0.3))
    found = []
    for options in ((), ("--runtime", "norse", "--dtype", "float32"), ("--runtime", "norse", "--dtype", "float64")):
        out = tmp_path / "out.npz"
        result = invoke("run", tmp_path / "tenth.nir", "-i", tmp_path / "x.npy", "-o", out, *options)
        assert result.exit_code == 0, result.output
        found.append(np.load(out)["output"])
    single, double = (np.abs(values - found[0]).max() for values in found[1:])
    assert double < 1e-15 < single < 1e-7


def test_the_runtime_judges_their_values(graph_file: Path, data_file: Path, invoke: Invoke) -> None:
    require("lava")
    result = invoke("run", graph_file, "-i", data_file, "--runtime", "lava", "--mapping", "chip")
    assert_one_line(result, "option 'mapping': 'chip' is not among 'processes', 'fused'")


def test_compare_hands_each_to_the_runtimes_that_know_it(graph_file: Path, data_file: Path, invoke: Invoke) -> None:
    require("norse")
    names = "norse,lava" if nirbridge.runtimes()["lava"].usable else "norse"
    result = invoke("compare", graph_file, "-i", data_file, "--runtimes", names, "--dtype", "float64")
    assert result.exit_code == 0, result.output
    result = invoke("compare", graph_file, "-i", data_file, "--runtimes", "norse", "--timeout", "9")
    assert_one_line(result, "option 'timeout': is known to none of norse. Leave it away.")
