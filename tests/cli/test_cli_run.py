"""nirbridge run: what it writes, and data that do not fit."""

from __future__ import annotations

import itertools
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import build_graph
from tests.cli.conftest import Invoke, assert_one_line


def _by_hand(x: np.ndarray) -> np.ndarray:
    """The small graph's output from the equations alone."""
    weight = np.array([[1.0, 0.5, 0.0, -0.25], [0.0, 1.5, -1.0, 0.5], [2.0, 0.0, 0.25, 0.0]])
    v = np.zeros((x.shape[1], 3))
    frames = []
    for frame in x:
        u = 0.5 * v + frame @ weight.T + np.array([0.0, 0.25, -0.5])
        y = np.where(u > 2, 2.0, np.where(u > 1, 1.0, 0.0))
        v = u - y
        frames.append(y)
    return np.stack(frames)


def test_the_file_holds_the_output_and_the_records(
    graph_file: Path, data_file: Path, data: np.ndarray, tmp_path: Path, invoke: Invoke
) -> None:
    out = tmp_path / "out.npz"
    result = invoke("run", graph_file, "-i", data_file, "-o", out, "--record", "act", "--record", "fc")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    with np.load(out) as arrays:
        assert sorted(arrays.files) == ["act", "fc", "output"]
        expected = _by_hand(data)
        assert expected.max() == 2
        np.testing.assert_array_equal(arrays["output"], expected)
        np.testing.assert_array_equal(arrays["act"], expected)
        assert arrays["fc"].shape == (6, 2, 3)
    spikes = int((expected != 0).sum())
    assert f"6 steps, 2 samples, output 6x2x3, {spikes} spikes" in result.stderr


def test_the_summary_calls_spikes_what_are_spikes(tmp_path: Path, invoke: Invoke) -> None:
    """An analog output, one of spikes that come through a Delay, and a sum of two trains, which is neither."""
    ones = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "act": nir.IF(ones, ones / 2, 0 * ones),
        "late": nir.Delay(ones * 1e-3),
        "spikes": nir.Output(np.array([2])),
        "analog": nir.Output(np.array([2])),
        "sum": nir.Output(np.array([2])),
    }
    edges = [
        ("input", "act"),
        ("act", "late"),
        ("late", "spikes"),
        ("input", "analog"),
        ("act", "sum"),
        ("late", "sum"),
    ]
    nirbridge.write(tmp_path / "g.nir", build_graph(nodes, edges))
    x = np.array([[1.0, 0.25], [0, 0.25], [1, 0.0]])[:, None]
    np.save(tmp_path / "x.npy", x)
    result = invoke("run", tmp_path / "g.nir", "-i", tmp_path / "x.npy")
    assert result.exit_code == 0, result.output
    # act: 1 0 1 and 0 0 0; late: 0 1 0; their sum: 1 1 1.
    assert ", 1 spike, 7 nonzero analog values, " in result.stderr


def test_without_a_file_a_summary_goes_to_stdout(
    graph_file: Path, data_file: Path, data: np.ndarray, invoke: Invoke
) -> None:
    result = invoke("run", graph_file, "-i", data_file)
    header, row = result.stdout.splitlines()
    assert header.split() == ["array", "shape", "nonzero", "mean", "min", "max"]
    expected = _by_hand(data)
    assert row.split()[:3] == ["output", "6x2x3", str(int((expected != 0).sum()))]


def test_npz_data_by_name_and_several_outputs(tmp_path: Path, invoke: Invoke) -> None:
    nodes = {
        "a": nir.Input(np.array([2])),
        "b": nir.Input(np.array([2])),
        "sum": nir.Scale(np.array([2.0, 3.0])),
        "double": nir.Output(np.array([2])),
        "plain": nir.Output(np.array([2])),
    }
    edges = [("a", "sum"), ("b", "sum"), ("sum", "double"), ("a", "plain")]
    nirbridge.write(tmp_path / "two.nir", build_graph(nodes, edges))
    a, b = np.arange(6.0).reshape(3, 1, 2), np.ones((3, 1, 2))
    np.savez(tmp_path / "x.npz", a=a, b=b)
    out = tmp_path / "out.npz"
    result = invoke("run", tmp_path / "two.nir", "-i", tmp_path / "x.npz", "-o", out)
    assert result.exit_code == 0, result.output
    with np.load(out) as arrays:
        assert sorted(arrays.files) == ["double", "plain"]
        np.testing.assert_array_equal(arrays["double"], (a + b) * [2.0, 3.0])
        np.testing.assert_array_equal(arrays["plain"], a)
    np.savez(tmp_path / "x.npz", a=a, c=b)
    wrong = invoke("run", tmp_path / "two.nir", "-i", tmp_path / "x.npz")
    assert_one_line(wrong, "data for ['a', 'c'], but the inputs are ['a', 'b']")


def test_dt_reaches_the_runtime(tmp_path: Path, invoke: Invoke) -> None:
    one = np.ones(1)
    nodes = {
        "input": nir.Input(np.array([1])),
        "li": nir.LI(tau=one * 0.5, r=one, v_leak=one * 0),
        "output": nir.Output(np.array([1])),
    }
    nirbridge.write(tmp_path / "li.nir", build_graph(nodes, [("input", "li"), ("li", "output")]))
    np.save(tmp_path / "x.npy", np.ones((2, 1, 1)))
    arguments = ("run", tmp_path / "li.nir", "-i", tmp_path / "x.npy", "-o", tmp_path / "o.npz")
    assert invoke(*arguments, "--dt", "0.25").exit_code == 0
    with np.load(tmp_path / "o.npz") as arrays:
        np.testing.assert_array_equal(arrays["output"].ravel(), [0.5, 0.75])
    assert_one_line(invoke(*arguments, "--dt", "-1"), "option 'dt': -1.0 is not a positive number")


def _bad_data(kind: str, path: Path) -> None:
    good = np.ones((6, 2, 4), dtype=np.float32)
    match kind:
        case "missing":
            path.unlink(missing_ok=True)
        case "pickle":
            np.save(path, np.array([{"a": 1}], dtype=object))
        case "text":
            np.save(path, np.full((6, 2, 4), "one"))
        case "complex":
            np.save(path, good * 1j)
        case "shape":
            np.save(path, np.ones((6, 2, 5)))
        case "one axis":
            np.save(path, np.ones(4))
        case "no step":
            np.save(path, np.ones((0, 2, 4)))
        case "NaN":
            np.save(path, good * np.nan)
        case "foreign":
            path.write_bytes(b"PNG and so on")
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            np.save(path, good)
            path.write_bytes(path.read_bytes()[:-9])
        case "broken zip":
            path.write_bytes(b"PK\x03\x04" + bytes(40))


BAD_DATA = {
    "missing": "does not exist",
    "pickle": "pickled Python objects",
    "text": "dtype <U3, expected real numbers",
    "complex": "dtype complex64",
    "shape": "shape (6, 2, 5), expected [T, B, 4]",
    "one axis": "shape (4,), expected [T, B, 4]",
    "no step": "holds no step or no sample",
    "NaN": "holds NaN or infinity",
    "foreign": "is neither .npy nor .npz",
    "empty": "is empty",
    "truncated": "cannot be read",
    "broken zip": "cannot be read",
}


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("kind", list(BAD_DATA))
def test_data_that_do_not_fit_are_one_line(
    kind: str, command: str, graph_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    source, out = tmp_path / "x.npy", tmp_path / "out.npz"
    _bad_data(kind, source)
    result = invoke(command, graph_file, "-i", source, *(("-o", out) if command == "run" else ()))
    assert_one_line(result, f"file '{source}'", BAD_DATA[kind])
    assert not out.exists()


def test_an_existing_output_survives_a_failure(graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "out.npz"
    out.write_bytes(b"precious")
    np.save(tmp_path / "x.npy", np.ones((6, 2, 5)))
    assert invoke("run", graph_file, "-i", tmp_path / "x.npy", "-o", out).exit_code == 2
    assert out.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.nir", "out.npz", "x.npy"]


def test_places_where_no_output_can_be_put(graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    arguments = ("run", graph_file, "-i", data_file, "-o")
    assert_one_line(invoke(*arguments, tmp_path / "no" / "out.npz"), "its folder", "does not exist")
    assert_one_line(invoke(*arguments, tmp_path / "out.txt"), "ends with '.txt', expected '.npz'")
    (tmp_path / "f.npz").mkdir()
    assert_one_line(invoke(*arguments, tmp_path / "f.npz"), "it is a folder")
    np.savez(tmp_path / "x.npz", x=np.load(data_file))
    before = (tmp_path / "x.npz").read_bytes()
    result = invoke("run", graph_file, "-i", tmp_path / "x.npz", "-o", tmp_path / "x.npz")
    assert_one_line(result, "is an input and would be overwritten")
    assert (tmp_path / "x.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (("--record", "nobody"), "record 'nobody': no node has this name. Nodes: input, fc, act, output."),
        (("--record", "fc:v"), "node 'fc' (Affine) has no membrane. Record 'fc', or a neuron's membrane."),
        (("--device", "cuda"), "option 'device' is unknown"),
        (("--dtype", "float32"), "option 'dtype' is unknown"),
        (("--mapping", "fused"), "option 'mapping' is unknown"),
        (
            ("--runtime", "norse", "--mapping", "fused"),
            "runtime 'norse': option 'mapping' is unknown. It knows device, dt, ",
        ),
        (("--runtime", "norse", "--dtype", "float16"), "'float16' is not among 'float32', 'float64'. Choose"),
        (("--timeout", "3"), "option 'timeout' is unknown"),
    ],
)
def test_options_that_do_not_fit(
    option: tuple[str, str], found: str, graph_file: Path, data_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    out = tmp_path / "out.npz"
    assert_one_line(invoke("run", graph_file, "-i", data_file, "-o", out, *option), found)
    assert not out.exists()


@pytest.mark.parametrize("size", [2, 3])
def test_a_record_under_the_name_of_the_output_is_refused(
    size: int, tmp_path: Path, data_file: Path, invoke: Invoke
) -> None:
    nodes = {
        "input": nir.Input(np.array([4])),
        "output": nir.Linear(np.ones((3, 4))),
        "last": nir.Linear(np.ones((size, 3))),
        "end": nir.Output(np.array([size])),
    }
    names = list(nodes)
    nirbridge.write(tmp_path / "n.nir", build_graph(nodes, list(itertools.pairwise(names))))
    result = invoke("run", tmp_path / "n.nir", "-i", data_file, "-o", tmp_path / "o.npz", "--record", "output")
    assert_one_line(result, "record 'output': the file keeps the graph's output under this name")


def test_as_a_process_of_its_own(graph_file: Path, data_file: Path, tmp_path: Path, shell) -> None:  # type: ignore[no-untyped-def]
    done = shell("run", graph_file, "-i", data_file, "-o", tmp_path / "out.npz")
    assert (done.returncode, done.stdout) == (0, "")
    done = shell("run", graph_file, "-i", tmp_path / "none.npy")
    assert done.returncode == 2
    assert done.stderr == f"Error: file '{tmp_path / 'none.npy'}': does not exist. Check the path.\n"
    assert shell("check", graph_file).returncode == 0
    assert shell("check", data_file).returncode == 2
