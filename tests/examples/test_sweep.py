"""``examples/sweep.py`` on few digits, again without training, and again by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from nirbridge.cli import main as nirbridge_main
from nirbridge.evaluating import read_network_list
from nirbridge_events import Events, write_nmnist
from tests.training.test_train_example import digits_config


def run(*arguments: object) -> Result:
    import sweep

    return CliRunner().invoke(sweep.main, [*map(str, arguments), "--device", "cpu"], catch_exceptions=False)


def test_a_grid_is_trained_once_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = tmp_path / "grid"
    told = ("--config", digits_config(tmp_path), "--set", "epochs=1", "--out", out, "--samples", 15)
    grid = ("--sweep", "steps=1,2", "--sweep", "neuron.lanes=1,3")
    first = run(*told, *grid)
    assert first.exit_code == 0, first.output
    names = [f"steps={t},neuron.lanes={s}" for t in (1, 2) for s in (1, 3)]
    assert all((out / name / "model.nir").exists() for name in names)
    rows = json.loads((out / "frontier.json").read_text())["networks"]
    assert [row["network"] for row in rows] == names
    assert [(row["label"], row["group"]) for row in rows[:2]] == [("T=1", "M-LIF S=1"), ("T=1", "M-LIF S=3")]
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(out.glob("data-*.npy"))) == 1

    (out / names[0] / "model.nir").unlink()  # as if it had been interrupted behind its last checkpoint
    again = run(*told, *grid, "--model", "m-lif")
    assert again.exit_code == 0, again.output
    assert again.stdout.count("finished before") == 3
    assert f"{names[0]}: trained" in again.stdout

    command = ("frontier", out / "networks.csv", "--labels", out / "labels.npy", "--model", "memory", "--json")
    found = CliRunner().invoke(nirbridge_main, [*map(str, command), "--input-kind", "analog", "--runtime", "norse"])
    assert found.exit_code == 0, found.output
    for one, other in zip(json.loads(found.stdout)["networks"], rows, strict=True):
        assert one.pop("file") == str(out / one["network"] / "model.nir")
        assert one == other

    changed = run(*told, "--sweep", "steps=1", "--sweep", "neuron.lanes=1", "--set", "batch=10")
    assert changed.exit_code == 0, changed.output
    assert "finished before" not in changed.stdout


def test_frames_differ_with_their_steps(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    lines = ["file,label"]
    for index in range(12):
        x, y = np.array([[index, 5], [3, 9]], np.uint16)
        events = Events(x, y, np.array([1000, 40_000]), np.array([0, 1], np.uint8))
        write_nmnist(tmp_path / "train" / f"{index}.bin", events)
        lines.append(f"{index}.bin,{index % 10}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    data = {"name": "nmnist", "folder": str(tmp_path), "training": 8, "window": 32_000}
    config = digits_config(tmp_path, data=data, network={"name": "small-conv", "width": 2}, batch=4)
    out = tmp_path / "out"
    done = run("--config", config, "--set", "epochs=1", "--sweep", "steps=1,3", "--out", out)
    assert done.exit_code == 0, done.output
    assert "input 'input' counts as events" in done.stdout
    assert [one.input.name for one in read_network_list(out / "networks.csv")] == ["data-0.npy", "data-1.npy"]
    assert [row["latency"] for row in json.loads((out / "frontier.json").read_text())["networks"]] == [1, 3]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--sweep", "steps"), "is no key with values"),
        (("--sweep", "steps=1", "--sweep", "steps=2"), "names a key twice"),
        (("--sweep", "steps=1,0"), "steps=0 is not a whole number from 1"),
        (("--sweep", "depth=3"), "unknown key 'depth'"),
    ],
)
def test_bad_grids_are_refused_before_anything_is_trained(tmp_path: Path, options: tuple[str], found: str) -> None:
    result = run("--config", digits_config(tmp_path), "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert found in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
