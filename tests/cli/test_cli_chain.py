"""Commands chain as the README writes them; frames of one sample, without a batch axis, are data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import build_graph
from tests.cli.conftest import Invoke, assert_one_line
from tests.events.naive import write_evt2

ROOT = Path(__file__).resolve().parents[2]
_FRAMES = np.arange(20.0).reshape(5, 4) % 3


def _readme_commands() -> list[str]:
    section = (ROOT / "README.md").read_text().partition("## From the command line")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line.startswith("nirbridge ") and "conformance" not in line]


def test_the_commands_of_the_readme_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    for library in ("norse", "lava", "matplotlib"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    random = np.random.default_rng(0)
    times = np.sort(random.integers(0, 50_000, 5000))
    rows = np.column_stack([times, random.integers(0, (480, 480, 2), (5000, 3))]).tolist()
    (tmp_path / "recording.raw").write_bytes(write_evt2(rows))
    np.save(tmp_path / "x.npy", random.random((12, 1, 8, 8)))
    np.save(tmp_path / "y.npy", random.integers(0, 10, 12))
    np.savez(tmp_path / "data.npz", frames=random.integers(0, 2, (12, 3, 2, 16, 16)))
    commands = _readme_commands()
    assert len(commands) > 12
    for command in commands:
        result = invoke(*shlex.split(command, comments=True)[1:])
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert {"model.nir", "model.svg", "frames.npy", "out.npz", "core.nir", "frontier.png"} <= {
        path.name for path in tmp_path.iterdir()
    }


@pytest.fixture
def frames_file(tmp_path: Path) -> Path:
    path = tmp_path / "frames.npy"
    np.save(path, _FRAMES)
    return path


def test_frames_of_one_sample_are_steps_and_it_is_said(
    graph_file: Path, frames_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    result = invoke("run", graph_file, "-i", frames_file, "-o", tmp_path / "o.npz")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == (
        f"file '{frames_file}': (5, 4) has no batch axis, so it counts as 5 steps of one sample. "
        "For 5 samples of one step, save x[None]."
    )
    with nirbridge.compile(nirbridge.read(graph_file)) as program:
        expected = program.run(_FRAMES[:, None]).output
    assert expected.any()
    assert np.array_equal(np.load(tmp_path / "o.npz")["output"], expected)


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "{g}", "-i", "{x}", "--runtimes", "reference,norse"),
        ("energy", "{g}", "-i", "{x}"),
        ("quantize", "{g}", "-o", "{o}", "--data", "{x}"),
        ("expand", "{g}", "-o", "{o}", "-i", "{x}"),
        ("frontier", "{g}", "-i", "{x}", "--labels", "{y}"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_takes_data_takes_them(
    command: tuple[str, ...], graph_file: Path, frames_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    np.save(tmp_path / "y.npy", [1])
    places = {"g": graph_file, "x": frames_file, "o": tmp_path / "o.nir", "y": tmp_path / "y.npy"}
    if command[0] == "compare":
        pytest.importorskip("norse")
    result = invoke(*(part.format(**places) for part in command))
    assert result.exit_code == 0, result.output
    assert "counts as 5 steps of one sample" in result.stderr


def test_still_images_of_frontier_stay_images(
    graph_file: Path, frames_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    np.save(tmp_path / "y.npy", [1, 0, 2, 1, 0])
    result = invoke("frontier", graph_file, "-i", frames_file, "--labels", tmp_path / "y.npy", "--steps", "2")
    assert result.exit_code == 0, result.output
    assert "5 samples" in result.stdout
    assert "batch axis" not in result.stderr


@pytest.mark.parametrize("shape", [(4,), (5, 3), (5, 2, 2), (4, 5)])
def test_other_shapes_are_one_line(shape: tuple[int, ...], graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    assert_one_line(invoke("run", graph_file, "-i", tmp_path / "x.npy"), "expected [T, B, 4]")


def test_inputs_by_name_get_it_each(tmp_path: Path, invoke: Invoke) -> None:
    nodes = {name: nir.Input(np.array([2])) for name in ("a", "b")} | {"output": nir.Output(np.array([2]))}
    nirbridge.write(tmp_path / "g.nir", build_graph(nodes, [("a", "output"), ("b", "output")]))
    np.savez(tmp_path / "x.npz", a=np.ones((3, 2)), b=np.full((3, 1, 2), 2.0))
    result = invoke("run", tmp_path / "g.nir", "-i", tmp_path / "x.npz", "-o", tmp_path / "o.npz")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("has no batch axis") == 1
    assert "x.npz', array 'a': (3, 2) has no batch axis" in result.stderr
    assert np.array_equal(np.load(tmp_path / "o.npz")["output"], np.full((3, 1, 2), 3.0))


def test_show_prints_the_table_beside_the_picture(graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    plain = invoke("show", graph_file)
    drawn = invoke("show", graph_file, "-o", tmp_path / "g.svg")
    assert drawn.stdout == plain.stdout != ""
    assert (tmp_path / "g.svg").read_text().startswith("<svg")
