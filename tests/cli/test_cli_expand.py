"""``nirbridge expand`` on files."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np

import nirbridge
from nirbridge.expanding.core import state_shapes
from nirbridge.expanding.targets import target_named
from nirbridge.ir import MultiLevelLIF
from tests.cli.conftest import Invoke, assert_one_line
from tests.conformance.cases import line, weights


def test_expand_then_run_gives_the_same(graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    core = tmp_path / "core.nir"
    result = invoke("expand", graph_file, "-o", core, "-i", data_file)
    assert result.exit_code == 0
    assert result.stdout == ("measured: 0 of 36 output values differ over 6 steps, by 0 at most; relative error 0\n")
    assert "4 nodes became 14, exact for any-steps" in result.stderr
    assert nir.read(core) is not None
    for graph in (graph_file, core):
        assert invoke("run", graph, "-i", data_file, "-o", tmp_path / f"{graph.stem}.npz").exit_code == 0
    outputs = [np.load(tmp_path / f"{stem}.npz")["output"] for stem in ("model", "core")]
    assert np.array_equal(*outputs)
    assert invoke("check", core).stdout.endswith("no problems\n")


def test_what_cannot_be_expanded_is_refused_or_measured(tmp_path: Path, invoke: Invoke) -> None:
    path, core = tmp_path / "hard.nir", tmp_path / "core.nir"
    graph = line(nir.Linear(weights(5, 4)), MultiLevelLIF.one_hot((5,), 2, 1.0, 0.5, "value", ">="), shape=(4,))
    nirbridge.write(path, state_shapes(graph))
    assert_one_line(
        invoke("expand", path, "-o", core), f"file '{path}', node 'n1' (MultiLevelLIF)", "resets to a value at >="
    )
    assert not core.exists()
    result = invoke("expand", path, "-o", core, "--approximate")
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: node 'n1' (MultiLevelLIF): a spike takes the lane's threshold off")
    differing = int(result.stdout.split()[1])
    assert 0 < differing < 320
    assert invoke("expand", path, "-o", core, "--exact-for", "one-step", "--approximate").stdout.startswith(
        "measured: 0 of 320 output values differ"
    )


def test_substeps_say_how_to_run_them(tmp_path: Path, invoke: Invoke) -> None:
    path, core = tmp_path / "uniform.nir", tmp_path / "core.nir"
    nirbridge.write(path, state_shapes(line(MultiLevelLIF.uniform((4,), 3, 1.0, output="value"), shape=(4,))))
    result = invoke("expand", path, "-o", core, "--exact-for", "substeps")
    assert "Give it every frame 3 times and --reset subtract, and add up each 3 outputs." in result.stderr
    x = np.array([[[0.0, 1, 2, 3]]], np.float32)
    np.save(tmp_path / "x.npy", x.repeat(3, axis=0))
    told = ("--reset", "subtract")
    assert invoke("run", core, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npz", *told).exit_code == 0
    assert np.array_equal(np.load(tmp_path / "y.npz")["output"].sum(axis=0), x[0])


def test_for_a_platform_the_program_is_printed(
    graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    file = tmp_path / "there.nir"
    result = invoke("expand", graph_file, "--for", "norse", "-o", file, "-i", data_file)
    assert result.exit_code == 0
    assert f"norse.torch.from_nir(nir.read({str(file)!r}, type_check=False), dt=1.0)" in result.stdout
    compile(result.stdout, "printed", "exec")
    assert "Norse 1.1.0, norse/torch/utils/import_nir.py: run by our tests" in result.stderr
    assert "measured: 0 of 36 output values differ" in result.stderr
    assert {type(node) for node in nir.read(file).nodes.values()} <= target_named("norse").layers


def test_for_sinabs_levels_stand_in_the_program(
    graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    file = tmp_path / "there.nir"
    result = invoke("expand", graph_file, "--for", "sinabs", "-o", file, "-i", data_file)
    assert result.exit_code == 0
    assert "Spikes([" in result.stdout
    compile(result.stdout, "printed", "exec")
    assert "not measured: the levels stand in the program" in result.stderr
    with h5py.File(file) as content:
        assert all("v_reset" not in node for node in content["node/nodes"].values())


def test_for_a_platform_without_a_way_in(graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "there.nir"
    assert_one_line(invoke("expand", graph_file, "--for", "lava-dl", "-o", file), "lava-dl", "has no importer of NIR")
    assert not file.exists()
    both = invoke("expand", graph_file, "--for", "norse", "--exact-for", "one-step", "-o", file)
    assert both.exit_code == 2
    assert "--for excludes --exact-for" in both.stderr


def test_data_in_one_row_are_measured_in_the_shape_of_the_original(tmp_path: Path, invoke: Invoke) -> None:
    file, x, core = tmp_path / "audio.nir", tmp_path / "x.npy", tmp_path / "core.nir"
    nirbridge.write(file, line(nir.Conv1d(6, np.ones((2, 1, 3)) / 2, 1, 1, 1, 2, np.zeros(2)), shape=(2, 6)))
    np.save(x, np.random.default_rng(0).integers(0, 9, (5, 3, 2, 6)) / 4)
    result = invoke("expand", file, "--for", "norse", "-o", core, "-i", x)
    assert result.exit_code == 0
    assert "for frame in x.flatten(2):" in result.stdout
    assert "measured: 0 of 180 output values differ" in result.stderr
