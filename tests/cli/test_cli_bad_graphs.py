"""Files that are no good graphs: show, run and compare exit with 2, check with 1 where the graph could be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import nirbridge
from tests.cli.conftest import Invoke, assert_one_line, small_graph

Damage = Callable[[Path], None]


def _missing(path: Path) -> None:
    path.unlink()


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("weights: none")


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)


def _unknown_primitive(path: Path) -> None:
    _set(path, "node/nodes/act/type", "WarpLIF")


def _newer_opset(path: Path) -> None:
    _set(path, "node/nodes/act/opset", 99)


def _unknown_field(path: Path) -> None:
    _set(path, "node/nodes/act/colour", 1.0)


def _set(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = value


UNREADABLE: dict[str, tuple[Damage, str]] = {
    "missing": (_missing, "does not exist"),
    "truncated": (_truncated, "is damaged"),
    "empty": (_empty, "is empty"),
    "no HDF5": (_text, "is no HDF5 file"),
    "foreign": (_foreign, "holds no group 'node'"),
    "unknown primitive": (_unknown_primitive, "unknown primitive 'WarpLIF'"),
    "newer opset": (_newer_opset, "opset 99 is not in 1..1"),
    "unknown field": (_unknown_field, "unknown field 'colour'"),
}


@pytest.mark.parametrize("command", ["show", "check", "run", "compare"])
@pytest.mark.parametrize("damage", list(UNREADABLE))
def test_a_file_that_cannot_be_read_is_one_line(
    command: str, damage: str, graph_file: Path, data_file: Path, invoke: Invoke
) -> None:
    break_it, found = UNREADABLE[damage]
    break_it(graph_file)
    data = ("-i", data_file) if command in ("run", "compare") else ()
    result = invoke(command, graph_file, *data)
    assert_one_line(result, f"file '{graph_file}'", found)
    assert result.stdout == ""


def test_a_folder_is_no_graph(tmp_path: Path, invoke: Invoke) -> None:
    assert_one_line(invoke("check", tmp_path), "is a folder")


def _not_a_number(graph: nir.NIRGraph) -> None:
    graph.nodes["fc"].weight[1, 2] = np.nan


def _dangling(graph: nir.NIRGraph) -> None:
    graph.edges.append(("act", "nowhere"))


def _no_output(graph: nir.NIRGraph) -> None:
    del graph.nodes["output"]
    graph.edges.remove(("act", "output"))


def _wrong_shape(graph: nir.NIRGraph) -> None:
    graph.nodes["fc"].weight = np.ones((3, 5))


def _complex(graph: nir.NIRGraph) -> None:
    graph.nodes["fc"].weight = graph.nodes["fc"].weight.astype(np.complex64)


WRONG: dict[str, tuple[Callable[[nir.NIRGraph], None], str, str]] = {
    "NaN": (_not_a_number, "node 'fc' (Affine): 1 of 12 values of weight are NaN", "parameters_are_finite"),
    "dangling edge": (_dangling, "edge to or from 'nowhere': no node has this name", "no_dangling_edges"),
    "no output": (_no_output, "graph: has no Output node", "graph_has_input_and_output"),
    "wrong shape": (_wrong_shape, "node 'fc' (Affine): input (4,)", "shapes_agree"),
    "complex": (_complex, "node 'fc' (Affine): weight has dtype complex64", "parameters_are_real_numbers"),
}


def _write_wrong(path: Path, name: str) -> tuple[str, str]:
    spoil, found, rule = WRONG[name]
    graph = small_graph()
    spoil(graph)
    nirbridge.write(path, graph)
    return found, rule


@pytest.mark.parametrize("name", list(WRONG))
def test_check_says_no_and_names_the_rule(name: str, graph_file: Path, invoke: Invoke) -> None:
    found, rule = _write_wrong(graph_file, name)
    result = invoke("check", graph_file)
    assert result.exit_code == 1
    assert result.stderr == ""
    line = next(line for line in result.stdout.splitlines() if line.startswith(found))
    assert line.endswith(f"[{rule}]")


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_graph_does_not_run(
    name: str, command: str, graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    found, _ = _write_wrong(graph_file, name)
    output = tmp_path / "out.npz"
    result = invoke(command, graph_file, "-i", data_file, *(("-o", output) if command == "run" else ()))
    assert result.exit_code == 2
    assert f"Error: file '{graph_file}', {found}" in result.stderr
    assert all(line.startswith("Error: ") for line in result.stderr.splitlines())
    assert not output.exists()


@pytest.mark.parametrize("name", list(WRONG))
def test_show_shows_a_wrong_graph_as_far_as_it_goes(
    name: str, graph_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    _write_wrong(graph_file, name)
    result = invoke("show", graph_file, "-o", tmp_path / "graph.svg")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "graph.svg").read_text().endswith("</svg>\n")
    assert "fc" in invoke("show", graph_file).stdout


def test_check_lists_all_problems_at_once(graph_file: Path, invoke: Invoke) -> None:
    graph = small_graph()
    _not_a_number(graph)
    _dangling(graph)
    graph.nodes["act"].lane_threshold = graph.nodes["act"].lane_threshold[::-1].copy()
    nirbridge.write(graph_file, graph)
    result = invoke("check", graph_file)
    assert len(result.stdout.splitlines()) == 3
    problems = json.loads(invoke("check", graph_file, "--json").stdout)["problems"]
    assert sorted(problem["rule"] for problem in problems) == [
        "lane_thresholds_ascend",
        "no_dangling_edges",
        "parameters_are_finite",
    ]


def test_a_good_graph_has_no_problems(graph_file: Path, invoke: Invoke) -> None:
    result = invoke("check", graph_file)
    assert (result.exit_code, result.stdout) == (0, f"{graph_file}: no problems\n")
    assert json.loads(invoke("check", graph_file, "--json").stdout)["problems"] == []
    assert invoke("check", graph_file, "--runtime", "reference").stdout.endswith("no problems for runtime reference\n")


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_runtime_that_is_not_installed(command: str, graph_file: Path, data_file: Path, invoke: Invoke) -> None:
    data = ("-i", data_file) if command == "run" else ()
    result = invoke(command, graph_file, *data, "--runtime", "loihi9")
    assert_one_line(result, "runtime 'loihi9': is not installed; installed: reference")


def test_a_runtime_that_cannot_be_used_says_what_to_install(
    graph_file: Path, data_file: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nirbridge.runtime import Availability
    from nirbridge_reference.runtime import ReferenceRuntime

    absent = Availability("", "numpy is missing", "pip install numpy")
    monkeypatch.setattr(ReferenceRuntime, "availability", lambda self: absent)
    assert_one_line(invoke("run", graph_file, "-i", data_file), "numpy is missing. pip install numpy.")
    listed = invoke("runtimes")
    assert listed.exit_code == 0
    assert "not usable: numpy is missing. pip install numpy" in listed.stdout
    state = json.loads(invoke("runtimes", "--json").stdout)["reference"]
    assert state.pop("summary") == ReferenceRuntime.summary
    assert state == {"usable": False, "version": "", "reason": "numpy is missing", "install": "pip install numpy"}


def test_runtimes_lists_versions(invoke: Invoke) -> None:
    states = json.loads(invoke("runtimes", "--json").stdout)
    assert states["reference"]["usable"]
    assert states["reference"]["version"] == np.__version__
    assert {"reference", "norse", "lava"} <= states.keys()
    lines = invoke("runtimes").stdout.splitlines()
    assert lines[0].split() == ["runtime", "version", "state", "is"]
    (lava,) = [line for line in lines if line.startswith("lava")]
    assert "a Lava Process per node, or one for all to stream" in lava
