"""Which precision a command takes, and what it says where the file leaves that open."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import EventInput, Quantize, build_graph, mark_inference
from tests.cli.conftest import Invoke, assert_one_line
from tests.conformance.cases import line

NOTE = (
    "all its numbers are integers, and no Quantize node says that they are those of a chip: taken in precision 'float'"
)
WEIGHT = np.array([[1_000_000]])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Integers in a plain NIR file: 40 ones make 40,000,000, beyond 24 bits."""
    np.save(tmp_path / "x.npy", np.ones((40, 1, 1)))
    np.save(tmp_path / "y.npy", np.zeros(1, dtype=np.int64))
    nir.write(tmp_path / "i.nir", line(nir.Linear(WEIGHT), nir.I(np.array([1])), shape=(1,)))
    return tmp_path / "i.nir"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "i.nir", "-i", "x.npy"),
        ("compare", "i.nir", "-i", "x.npy", "--runtimes", "reference,norse"),
        ("energy", "i.nir", "-i", "x.npy"),
        ("frontier", "i.nir", "-i", "x.npy", "--labels", "y.npy"),
        ("check", "i.nir"),
    ],
    ids=lambda command: command[0],
)
def test_integers_without_the_node_are_told_once(invoke: Invoke, plain: Path, command: tuple[str, ...]) -> None:
    arguments = [plain.parent / word if "." in word else word for word in command]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    notes = [text for text in result.stderr.splitlines() if NOTE in text]
    assert notes == [f"Note: file '{plain}': {NOTE}. Give --precision fixed for 24-bit states."]
    for precision in ("float", "fixed"):
        assert NOTE not in invoke(*arguments, "--precision", precision).stderr


def test_float_is_what_runs(invoke: Invoke, plain: Path) -> None:
    for more, last in ((), 40_000_000), (("--precision", "fixed"), 2**23 - 1):
        invoke("run", plain, "-i", plain.parent / "x.npy", "-o", plain.parent / "out.npz", *more)
        assert np.load(plain.parent / "out.npz")["output"][-1].item() == last


def test_no_note_where_there_is_one_reading(invoke: Invoke, plain: Path) -> None:
    """A Quantize node says it; a scale of 1/2, and a leak to 1, are nothing for "fixed"."""
    rest = nir.LIF(*(np.array([v]) for v in (0.001, 1, 1, 5)))
    for more in ([Quantize((1,)), nir.Linear(WEIGHT)], [nir.Scale(np.array([0.5]))], [nir.Linear(WEIGHT), rest]):
        nirbridge.write(plain, line(*more, shape=(1,)))
        assert "Note" not in invoke("run", plain, "-i", plain.parent / "x.npy").stderr


def test_a_quantised_file_takes_the_data_of_the_float_file(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    x, q = tmp_path / "x.npy", tmp_path / "q.nir"
    data = np.random.default_rng(0).random((6, 2, 4)).astype(np.float32)
    np.save(x, data)
    assert invoke("quantize", graph_file, "-o", q, "--data", x).exit_code == 0
    found = []
    for runtime in [name for name, state in nirbridge.runtimes().items() if state.usable]:
        result = invoke("run", q, "-i", x, "-o", tmp_path / "out.npz", "--runtime", runtime, "--record", "act:v")
        assert "Warning" not in result.stderr
        found.append({name: array.copy() for name, array in np.load(tmp_path / "out.npz").items()})
    for other in found[1:]:
        assert all((other[name] == array).all() for name, array in found[0].items())
    assert (found[0]["act:v"] == np.rint(found[0]["act:v"])).all()
    assert invoke("compare", q, "-i", x).exit_code == 0
    result = invoke("run", q, "-i", x, "--precision", "float", "-o", tmp_path / "out.npz")
    assert result.exit_code == 0
    # Without data to see, the step is 1, and what that loses of analog data is said.
    result = invoke("quantize", graph_file, "-o", q)
    assert "Without --data the step is 1" in result.stderr
    result = invoke("run", q, "-i", x)
    assert "Warning: node 'input_quantize' (Quantize): 48 of 48 values (100.00%) are no whole numbers" in result.stderr


def test_integers_may_be_the_input(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    q = tmp_path / "q.nir"
    result = invoke("quantize", graph_file, "-o", q, "--input", "integers")
    assert "give integers up to ±8,388,607" in result.stdout
    assert "--precision fixed" in result.stderr
    assert not any(type(node) is Quantize for node in nirbridge.read(q).nodes.values())
    np.save(tmp_path / "half.npy", np.full((6, 2, 4), 0.5))
    refused = invoke("run", q, "-i", tmp_path / "half.npy", "--precision", "fixed")
    assert_one_line(refused, "holds 0.5, and precision 'fixed' takes integers")


def test_a_stream_has_the_precision_of_the_graph(invoke: Invoke, tmp_path: Path) -> None:
    """Decays of 0.3 are 1229/4096 in integers: scores of the two precisions differ, those of data do not."""
    nodes = {
        "input": EventInput((1, 2, 2), (2, 2), 1000, 1, 1, "count"),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Linear(np.array([[3, 5, 7, 9], [1, 2, 3, 4]]) / 8),
        "v": nir.LI(np.full(2, 2.2e-3), np.full(2, 2.2), np.zeros(2)),
        "output": nir.Output(None),
    }
    graph = build_graph(nodes, list(itertools.pairwise(nodes)))
    nirbridge.write(tmp_path / "q.nir", nirbridge.quantize(graph))
    events = np.zeros(40, dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    events["t"], events["x"], events["y"] = np.arange(40) * 200, np.arange(40) % 2, np.arange(40) % 3 % 2
    np.save(tmp_path / "e.npy", events)
    scores = {}
    for more in ((), ("--precision", "fixed"), ("--precision", "float")):
        result = invoke("stream", tmp_path / "e.npy", "--model", tmp_path / "q.nir", "--runtime", "reference", *more)
        assert result.exit_code == 0, result.output
        scores[more[1:]] = [row["scores"] for row in map(json.loads, result.stdout.splitlines()) if "scores" in row]
    assert scores[()] == scores["fixed",] != scores["float",]


def test_frames_that_follow_one_another_are_told(invoke: Invoke, tmp_path: Path) -> None:
    graph = line(nir.Linear(np.eye(2)), shape=(2,))
    mark_inference(graph, 1)
    nirbridge.write(tmp_path / "c.nir", graph)
    for steps, said in ((1, False), (3, True)):
        np.save(tmp_path / "x.npy", np.ones((steps, 1, 2)))
        text = invoke("run", tmp_path / "c.nir", "-i", tmp_path / "x.npy").stderr
        assert ("was converted for 1 frame an inference, and 3 followed one another" in text) is said
