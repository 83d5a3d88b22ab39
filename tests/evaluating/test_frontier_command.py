"""nirbridge frontier."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from nirbridge.errors import FileError
from nirbridge.evaluating import NetworkFile, candidate, read_network_list, sweep, write_network_list
from tests.evaluating.test_sweep import IMAGES, LABELS, mlif, phase_net


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three networks, images and classes, in the current folder."""
    for lanes in (1, 2, 3):
        nirbridge.write(tmp_path / f"s{lanes}.nir", mlif(lanes))
    nirbridge.write(tmp_path / "phase.nir", phase_net())
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "x2.npy", np.stack([IMAGES] * 2))
    np.save(tmp_path / "y.npy", LABELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["frontier", *map(str, arguments), "--labels", "y.npy"])


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_the_table_is_that_of_the_sweep(folder: Path) -> None:
    made = [candidate(f"s{s}", mlif(s), IMAGES, LABELS, steps=2) for s in (1, 2)]
    result = invoke("s1.nir", "s2.nir", "-i", "x.npy", "--steps", "2", "-o", "f.png", "--model", "memory")
    assert result.exit_code == 0, result.output
    assert result.stdout == sweep(made, "memory").table() + "\n"
    assert result.stderr == "wrote f.png\n"
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")


def test_json_names_the_files(folder: Path) -> None:
    result = invoke("s1.nir", "s3.nir", "-i", "x2.npy", "-i", "x.npy", "--steps", "2,2", "--json", "--samples", "9")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [row.pop("file") for row in data["networks"]] == ["s1.nir", "s3.nir"]
    made = [candidate(f"s{s}", mlif(s), IMAGES, LABELS, steps=2, samples=9) for s in (1, 3)]
    assert data == sweep(made).to_dict()


def test_labels_are_read_as_evaluate_reads_them(folder: Path) -> None:
    arrays = ("s1.nir", "-i", "x.npy", "--steps", "2", "--json")
    expected = invoke(*arrays).stdout
    with (folder / "y.npy").open("wb") as file:
        np.savez(file, x=IMAGES, labels=LABELS)
    assert invoke(*arrays).stdout == expected


def test_every_network_may_have_its_steps(folder: Path) -> None:
    result = invoke("s1.nir", "s1.nir", "-i", "x.npy", "--steps", "1,4", "--json")
    assert [row["latency"] for row in json.loads(result.stdout)["networks"]] == [1, 4]


def test_a_list_says_what_belongs_together(folder: Path) -> None:
    (folder / "deep").mkdir()
    for name in ("x.npy", "s1.nir", "s3.nir", "phase.nir"):
        (folder / name).rename(folder / "deep" / name)
    np.save(folder / "deep" / "half.npy", IMAGES / 2)
    files = [
        NetworkFile(folder / "deep" / "s1.nir", folder / "deep" / "x.npy", 2, "first"),
        NetworkFile(folder / "deep" / "s3.nir", folder / "x2.npy", group="mine"),
        NetworkFile(folder / "deep" / "phase.nir", folder / "deep" / "half.npy"),
    ]
    write_network_list(folder / "deep" / "networks.csv", files)
    assert "s1.nir,x.npy,2,first,\n" in (folder / "deep" / "networks.csv").read_text()
    assert [one.steps for one in read_network_list("deep/networks.csv")] == [2, None, None]
    result = invoke("deep/networks.csv", "s2.nir", "-i", "x2.npy", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["networks"]
    assert [(r["label"], r["group"], r["latency"]) for r in rows] == [
        ("first", "M-LIF S=1", 2),
        ("T=2", "mine", 2),
        ("T=6", "One-Spike Q=1.5", 15),
        ("T=2", "M-LIF S=2", 2),
    ]


def test_bad_input_is_one_line_and_leaves_no_file(folder: Path) -> None:
    before = sorted(folder.iterdir())
    picture = ("-o", "f.png")
    refused(invoke("s1.nir", "none.nir", "-i", "x2.npy", *picture), "file 'none.nir'", "does not exist")
    refused(invoke("s1.nir", "-i", "none.npy", *picture), "file 'none.npy'", "does not exist")
    refused(invoke("s1.nir", *picture), "file 's1.nir'", "has no data")
    refused(invoke("s1.nir", "-i", "x.npy", *picture), "file 's1.nir', graph", "Give the steps (--steps)")
    refused(invoke("s1.nir", "-i", "y.npy", *picture), "file 'y.npy' for 's1.nir', input: shape (40,)")
    refused(invoke("s1.nir", "s2.nir", "s3.nir", "-i", "x.npy", "--steps", "1,2"), "2 given for 3 networks")
    refused(invoke("s1.nir", "-i", "x.npy", "--steps", "0"), "'0' is not whole numbers from 1 on")
    refused(invoke("s1.nir", "-i", "x2.npy", "-o", "f.svg"), "expected '.png'")
    refused(invoke("s1.nir", "-i", "x2.npy", *picture, "--runtime", "loihi9"), "loihi9")
    refused(invoke("s1.nir", "x.npy", "-i", "x2.npy", *picture), "file 'x.npy'")
    assert sorted(folder.iterdir()) == before


def test_what_is_found_only_by_running_leaves_no_file(folder: Path) -> None:
    before = sorted(folder.iterdir())
    x = np.stack([IMAGES] * 2)
    x[1, 39, 0] = np.nan
    np.save("x2.npy", x)
    refused(invoke("s1.nir", "-i", "x2.npy", "-o", "f.png"), "file 'x2.npy' for 's1.nir'", "NaN")
    np.save("x2.npy", 0 * np.nan_to_num(x))
    refused(invoke("s1.nir", "-i", "x2.npy", "-o", "f.png", "--input-kind", "events"), "s1", "logarithmic axis")
    assert sorted(folder.iterdir()) == before


def test_all_files_that_do_not_fit_are_named_at_once(folder: Path) -> None:
    result = invoke("s1.nir", "gone.nir", "lost.nir", "-i", "x2.npy")
    assert result.exit_code == 2
    assert [text.split("'")[1] for text in result.stderr.splitlines()] == ["gone.nir", "lost.nir"]


def test_labels_are_named(folder: Path) -> None:
    np.save("y.npy", LABELS + 7)
    refused(invoke("s1.nir", "s2.nir", "-i", "x2.npy"), "file 'y.npy': class 9 is not within 0..2")
    np.save("y.npy", LABELS[:3])
    refused(invoke("s1.nir", "s2.nir", "-i", "x2.npy"), "file 'y.npy': 3 classes for 40 samples")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "its columns are missing"),
        ("file,steps\na.nir,1\n", "its columns are file, steps"),
        ("graph,colour\na.nir,red\n", "its columns are graph, colour"),
        ("graph,steps\na.nir,none\n", "row 1: steps 'none' is no whole number"),
        ("graph,steps\n,2\n", "row 1: names no graph"),
        ("graph\na.nir,2\n", "its columns are graph"),
        ("graph,steps,steps\na.nir,2,3\n", "its columns are graph, steps, steps"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "networks.csv").write_text(text)
    with pytest.raises(FileError) as caught:
        read_network_list(tmp_path / "networks.csv")
    assert found in str(caught.value)


def test_help_loads_neither_torch_nor_nir() -> None:
    code = "import sys; from nirbridge.cli import main\ntry: main(['frontier', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'nir', 'matplotlib', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
