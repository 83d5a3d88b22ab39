"""``run`` and ``compare`` on NIR's data format, chosen by the suffix .nird."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nirbridge.nir_data import read_all_nir_data, write_nir_data
from nirbridge.runtime import make_plan
from tests.cli.conftest import Invoke, small_graph


def test_run_from_and_to_nir_data(
    graph_file: Path, data_file: Path, data: np.ndarray, tmp_path: Path, invoke: Invoke
) -> None:
    plan = make_plan(small_graph())
    source, out = tmp_path / "x.nird", tmp_path / "out.nird"
    write_nir_data(source, {"input": data}, plan)
    assert invoke("run", graph_file, "-i", source, "-o", out, "--record", "act").exit_code == 0
    assert invoke("run", graph_file, "-i", data_file, "-o", tmp_path / "out.npz").exit_code == 0
    found, expected = read_all_nir_data(out, plan), np.load(tmp_path / "out.npz")["output"]
    assert found.keys() == {"act", "output"}
    assert np.array_equal(found["output"], expected)
    assert np.array_equal(found["act"], expected)
    assert invoke("compare", graph_file, "-i", source, "--runtimes", "norse").exit_code == 0
    result = invoke("run", graph_file, "-i", source, "--dt", "0.002")
    assert result.exit_code == 2
    assert "has steps of 0.001 s, the graph runs in steps of 0.002 s" in result.stderr


def test_energy_and_quantize_take_it_too(data: np.ndarray, tmp_path: Path, graph_file: Path, invoke: Invoke) -> None:
    source = tmp_path / "x.nird"
    write_nir_data(source, {"input": data}, make_plan(small_graph()))
    assert invoke("energy", graph_file, "-i", source).exit_code == 0
    assert invoke("quantize", graph_file, "-o", tmp_path / "q.nir", "--data", source).exit_code == 0
    refused = invoke("run", graph_file, "-i", source, "-o", tmp_path / "out.txt")
    assert "expected '.npz' or '.nird'" in refused.stderr
