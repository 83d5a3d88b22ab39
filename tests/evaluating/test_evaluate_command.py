"""``nirbridge evaluate`` as a user and as another program calls it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from nirbridge.cli.progress import SECONDS, adding, progress_of
from nirbridge.ir import build_graph
from tests.costing.nets import entry, line
from tests.evaluating.networks import IMAGES, LABELS, on_events, recordings, small


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    nirbridge.write("m.nir", small())
    np.save("x.npy", IMAGES)
    np.save("y.npy", LABELS)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", *arguments])


REFERENCE = ("m.nir", "x.npy", "--labels", "y.npy", "--steps", "4", "--runtime", "reference")


def test_json_and_rows_as_the_contract_says(folder: Path) -> None:
    result = invoke(*REFERENCE, "--json", "-o", "p.csv", "--batch", "16")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    expected = nirbridge.evaluate(small(), IMAGES, LABELS, steps=4)
    assert (found["accuracy"], found["correct"], found["samples"], found["bad"]) == (
        expected.accuracy, expected.correct, 53, 0
    )  # fmt: skip
    assert found["interval"] == list(expected.interval)
    with Path("p.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0][:5] == ["index", "file", "label", "prediction", "margin"]
    assert [int(row[3]) for row in table[1:]] == expected.predictions.tolist()


def test_what_a_baseline_prints_is_no_result(folder: Path) -> None:
    pytest.importorskip("torch")
    Path("ann.py").write_text(
        "from torch import nn\nprint('imported')\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(6, 4))\n"
        "    def forward(self, x):\n        print('called')\n        return super().forward(x)\n"
    )
    result = invoke(*REFERENCE, "--json", "--baseline", "ann.py:Net")
    assert json.loads(result.stdout)["others"]["baseline"]["differing"] >= 0
    assert "imported\ncalled\n" in result.stderr


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("x, None", "gives a tuple for 53 samples, expected [B, classes] or [T, B, classes]"),
        ("x", "gives 53x2x3 for 53 samples, expected [B, classes] or [T, B, classes]"),
        ("x[0]", "gives 2x3 for 53 samples, expected [B, classes] or [T, B, classes]"),
    ],
)
def test_a_baseline_that_gives_no_scores_is_one_line(folder: Path, output: str, found: str) -> None:
    pytest.importorskip("torch")
    Path("ann.py").write_text(
        f"from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return {output}\n"
    )
    result = invoke(*REFERENCE, "--baseline", "ann.py:Net")
    assert result.exit_code == 2
    assert f"Error: baseline 'ann.py:Net': {found}" in result.stderr


def test_errors_of_a_baseline_do_not_name_the_graph(folder: Path) -> None:
    """A graph of other data, one with a wrong node, one that decides nothing."""
    broken = line(nir.LIF(*(np.full(6, v) for v in (-1.0, 1.0, 0.0, 1.0))), entry=entry(6), leaves=(6,))
    nodes, edges = {"input": entry(4), **{n: nir.Output({"output": np.array([4])}) for n in "ab"}}, ["a", "b"]
    two = build_graph(nodes, [("input", name) for name in edges])
    for graph, found in (
        (line(entry=entry(4), leaves=(4,)), "baseline, input for node 'input' (Input): shape (4, 53, 2, 3), expected"),
        (broken, "baseline, node 'n0' (LIF): tau is -1 s"),
        (two, "baseline, graph: has 2 outputs, a decision needs one"),
    ):
        nir.write("b.nir", graph)
        result = invoke(*REFERENCE, "--baseline", "b.nir")
        assert result.exit_code == 2
        assert f"Error: {found}" in result.stderr


def test_a_baseline_of_one_input_is_refused_for_two(folder: Path) -> None:
    pytest.importorskip("torch")
    ends = {"a": entry(4), "b": entry(4), "out": nir.Output({"output": np.array([4])})}
    nirbridge.write("two.nir", build_graph(ends, [("a", "out"), ("b", "out")]))
    np.savez("two.npz", a=np.eye(4), b=np.eye(4))
    result = invoke("two.nir", "two.npz", "--steps", "2", "--runtime", "reference", "--baseline", "ann.py:Net")
    assert result.exit_code == 2
    assert "Error: baseline 'ann.py:Net': takes one input, the graph has a, b. Give a graph" in result.stderr


def test_the_text_says_accuracy_memory_and_cost(folder: Path) -> None:
    result = invoke(*REFERENCE, "--batch", "10")
    assert "Batches of 10 samples: about" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("accuracy ")
    assert "95 % interval" in lines[0]
    for word in ("by step", "within 1 %", "spikes", "energy", "time", "label"):
        assert any(line.strip().startswith(word) for line in lines), word
    assert "energy" not in invoke(*REFERENCE, "--no-activity").stdout
    refused = invoke(*REFERENCE, "--no-activity", "--model", "m-lif")
    assert (refused.exit_code, "Error: option 'model': is of the energy" in refused.stderr) == (2, True)


def test_float_and_quantised_files_take_the_same_command(folder: Path) -> None:
    frames = np.stack([IMAGES] * 4)
    np.save("cal.npy", frames)
    assert CliRunner().invoke(main, ["quantize", "m.nir", "-o", "q.nir", "--data", "cal.npy"]).exit_code == 0
    result = invoke("q.nir", "x.npy", "--labels", "y.npy", "--steps", "4", "--runtimes", "reference,norse", "--json",
                    "--baseline", "m.nir")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["others"]["norse"]["differing"] == 0
    plain = json.loads(invoke(*REFERENCE, "--json").stdout)
    assert found["others"]["baseline"]["accuracy"] == plain["accuracy"]
    assert abs(found["accuracy"] - plain["accuracy"]) <= 0.1


def test_recordings_by_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nirbridge.write("e.nir", on_events())
    recordings(tmp_path / "data")
    result = invoke("e.nir", "data", "--runtime", "reference", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["samples"] == 7
    refused = invoke("e.nir", "data", "--window", "2ms")
    assert refused.exit_code == 2
    assert "option 'window': contradicts the EventInput" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("m.nir", "z.npy"), "file 'z.npy': does not exist"),
        (("m.nir", "x.npy"), "does not say for how many steps"),
        ((*REFERENCE, "--scale", "x"), "'x' is no number and no ratio"),
        ((*REFERENCE, "-o", "p.txt"), "expected '.csv' or '.parquet'"),
        ((*REFERENCE, "--runtimes", "norse"), "does not go with --runtime"),
        ((*REFERENCE, "--plot", "x.jpg"), "expected '.png'"),
        (("m.nir", "m.nir"), "is no .npy, .npz or .nird file"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: tuple[str, ...], found: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert found in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1


def test_bytes_scaled_by_a_ratio(folder: Path) -> None:
    np.savez("d.npz", images=(IMAGES * 200).astype(np.uint8), labels=LABELS)
    result = invoke("m.nir", "d.npz", "--steps", "4", "--runtime", "reference", "--scale", "1/200", "--json")
    assert result.exit_code == 0, result.stderr
    assert "its array 'labels' holds the labels" in result.stderr
    assert json.loads(result.stdout)["correct"] == nirbridge.evaluate(small(), IMAGES, LABELS, steps=4).correct


def test_ctrl_c_keeps_what_is_done(folder: Path) -> None:
    """The process is stopped once a piece is in the journal; the same command then ends as if nothing had been."""
    np.save("x.npy", np.concatenate([IMAGES] * 10))
    np.save("y.npy", np.concatenate([LABELS] * 10))
    command = [sys.executable, "-m", "nirbridge", "evaluate", *REFERENCE, "-o", "p.csv", "--batch", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (
            Path("p.csv.partial").exists() and Path("p.csv.partial").read_bytes().count(b"\n") > 3
        ):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
    assert not Path("p.csv").exists()
    result = invoke(*REFERENCE, "-o", "p.csv", "--batch", "1", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["resumed"] >= 3
    assert len(Path("p.csv").read_text().splitlines()) == 1 + 53 * 10


def test_progress_is_a_line_now_and_then_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with progress_of("evaluated", clock=lambda: now[0]) as progress:
        count = adding(progress, 100)
        for _ in range(10):
            now[0] += SECONDS / 4
            count(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "evaluated 40 of 100 (40%, 8/s, 7.50 s left)"
    assert lines[-1] == "evaluated 100 of 100 (100%, 8/s)"
    assert len(lines) == 3


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_of("evaluated") as progress:
        adding(progress, 3)(3)
    assert capsys.readouterr().err == ""


def test_help_loads_neither_torch_nor_numpy() -> None:
    code = "import sys; from nirbridge.cli import main\ntry: main(['evaluate', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'nir', 'dask'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"
