"""A small graph and data in files, and two ways to run the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from nirbridge.ir import MultiLevelLIF, build_graph

Invoke = Callable[..., Result]


def small_graph() -> nir.NIRGraph:
    """4 → Affine → one-hot neuron with 2 lanes → 3, all weights dyadic."""
    weight = np.array([[1.0, 0.5, 0.0, -0.25], [0.0, 1.5, -1.0, 0.5], [2.0, 0.0, 0.25, 0.0]])
    nodes = {
        "input": nir.Input(np.array([4])),
        "fc": nir.Affine(weight, np.array([0.0, 0.25, -0.5])),
        "act": MultiLevelLIF.one_hot((3,), lanes=2, decay=0.5),
        "output": nir.Output(np.array([3])),
    }
    return build_graph(nodes, [("input", "fc"), ("fc", "act"), ("act", "output")])


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.nir"
    nirbridge.write(path, small_graph())
    return path


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (6, 2, 4)).astype(np.float32)


@pytest.fixture
def data_file(tmp_path: Path, data: np.ndarray) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, data)
    return path


@pytest.fixture
def invoke() -> Invoke:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line as a user does, in a process of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from nirbridge.cli import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return run


def assert_one_line(result: Result, *parts: str, code: int = 2) -> None:
    """The result is one line on stderr that holds ``parts``, with no traceback."""
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in result.output
