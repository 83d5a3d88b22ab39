"""``nirbridge quantize`` and ``nirbridge check --chip``."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from tests.cli.conftest import Invoke, assert_one_line
from tests.conformance.cases import line


def test_writes_a_graph_of_integers_and_prints_the_table(
    invoke: Invoke, graph_file: Path, data_file: Path, data: np.ndarray, tmp_path: Path
) -> None:
    target = tmp_path / "q.nir"
    result = invoke("quantize", graph_file, "-o", target, "--data", data_file)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["node", "type", "scale"]
    assert [line.split()[0] for line in lines[1:3]] == ["fc", "act"]
    assert f"output 'output': what {graph_file.name} gives, in units of 1" in lines
    assert "8-bit weights" in result.stderr
    outputs = []
    for path in (graph_file, target):
        with nirbridge.compile(nirbridge.read(path)) as program:
            outputs.append(program.run(data).output)
            limit = program.plan.input_limit
    assert limit == 2**23 - 1
    assert (outputs[0] == outputs[1]).mean() > 0.9


def test_json_has_every_layer(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    result = invoke("quantize", graph_file, "-o", tmp_path / "q.nir", "--weight-bits", 4, "--json")
    found = json.loads(result.stdout)
    assert found["weight_bits"] == 4
    assert [layer["node"] for layer in found["layers"]] == ["fc", "act"]
    assert found["layers"][0]["weight_bits"] == 4
    assert found["layers"][1]["state_bits"] is None
    assert found["input_scale"] == {"input": 1.0}
    assert found["input_limit"] == 2**23 - 1


def test_analog_data_get_an_input_scale(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((6, 2, 4)) * 0.99)
    result = invoke("quantize", graph_file, "-o", tmp_path / "q.nir", "--data", tmp_path / "x.npy")
    assert "input 'input': 1 stands for 0.00390625, data are rounded to it and cut at ±8,388,607 of it" in result.stdout
    again = invoke("quantize", tmp_path / "q.nir", "-o", tmp_path / "again.nir")
    assert "input 'input': 1 stands for 0.00390625" in again.stdout
    assert "the step is 1" not in again.stderr


def test_a_labelled_data_set_calibrates(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    """The file and the options that 'evaluate' takes give what an array of its first samples gives."""
    images, labels = np.random.default_rng(0).integers(0, 256, (100, 4), dtype=np.uint8), np.arange(100) % 3
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    frames = np.broadcast_to(images[:64] * np.float32(1 / 255), (5, 64, 4))
    np.save(tmp_path / "x.npy", frames)
    options = ("--data", tmp_path / "set.npz", "--scale", "1/255", "--steps", 5)
    result = invoke("quantize", graph_file, "-o", tmp_path / "q.nir", *options, "--json")
    assert result.exit_code == 0, result.output
    assert "its array 'labels' holds the labels" in result.stderr
    wanted = invoke("quantize", graph_file, "-o", tmp_path / "p.nir", "--data", tmp_path / "x.npy", "--json")
    found, expected = json.loads(result.stdout), json.loads(wanted.stdout)
    assert {**found, "output": ""} == {**expected, "output": ""}
    assert found["input_scale"] != {"input": 1.0}
    fewer = invoke("quantize", graph_file, "-o", tmp_path / "f.nir", *options, "--samples", 1, "--json")
    assert json.loads(fewer.stdout) != found
    alone = invoke("quantize", graph_file, "-o", tmp_path / "n.nir", "--steps", 5)
    assert_one_line(alone, "option '--data'", "is missing")


def test_the_order_of_axes_that_a_note_offers_can_be_given(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    """Frames [T, B, ..], which are its own data, with an option of data sets, which have [N, T, ..]."""
    data = np.full((64, 1, 4), -8.0)
    np.save(tmp_path / "x.npy", data)
    np.save(tmp_path / "half.npy", data / 2)
    how = ("-o", tmp_path / "q.nir", "--json", "--data")
    wanted = json.loads(invoke("quantize", graph_file, *how, tmp_path / "half.npy").stdout)
    result = invoke("quantize", graph_file, *how, tmp_path / "x.npy", "--scale", "0.5")
    assert "--order tn reads it the other way" in result.stderr
    assert json.loads(result.stdout) != wanted
    result = invoke("quantize", graph_file, *how, tmp_path / "x.npy", "--scale", "0.5", "--order", "tn")
    assert json.loads(result.stdout) == wanted


def test_a_data_set_of_bad_samples_is_one_line(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((3, 4), np.nan))
    result = invoke("quantize", graph_file, "-o", tmp_path / "q.nir", "--data", tmp_path / "x.npy", "--steps", 2)
    assert_one_line(result, f"file '{tmp_path / 'x.npy'}', input, sample 0", "cannot be read, nor can any other")


def test_both_files_give_the_same_kind_of_result(invoke: Invoke, tmp_path: Path) -> None:
    """Scores of one size from the same data and command; integers stay integers where the file takes integers."""
    rng = np.random.default_rng(0)
    graph = line(nir.Affine(rng.normal(size=(3, 4)), rng.normal(size=3)), shape=(4,))
    x = rng.random((5, 2, 4))
    nirbridge.write(tmp_path / "f.nir", graph)
    np.save(tmp_path / "x.npy", x)
    calibrated = ("quantize", tmp_path / "f.nir", "--data", tmp_path / "x.npy", "-o")
    assert "output 'output': what f.nir gives, in units of 0.0" in invoke(*calibrated, tmp_path / "q.nir").stdout
    assert "output 'output': 1 stands for 0.0" in invoke(*calibrated, tmp_path / "i.nir", "--input", "integers").stdout
    outputs = {}
    for name in ("f", "q"):
        invoke("run", tmp_path / f"{name}.nir", "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
        outputs[name] = np.load(tmp_path / "y.npz")["output"]
    assert np.abs(outputs["q"] - outputs["f"]).max() < 0.03 < np.abs(outputs["f"]).max()
    quantised, integers = nirbridge.read(tmp_path / "q.nir"), nirbridge.read(tmp_path / "i.nir")
    (unit,) = (node.scale for name, node in quantised.nodes.items() if name == "output_unit")
    assert all(type(node) is not nir.Scale for node in integers.nodes.values())
    np.testing.assert_array_equal(outputs["q"] / unit, np.rint(outputs["q"] / unit))
    assert f"scale {float(unit):.4g}" in invoke("show", tmp_path / "q.nir").stdout


@pytest.mark.parametrize("bits", [0, 9, -3])
def test_bits_out_of_range(invoke: Invoke, graph_file: Path, tmp_path: Path, bits: int) -> None:
    result = invoke("quantize", graph_file, "-o", tmp_path / "q.nir", "--weight-bits", bits)
    assert_one_line(result, "weight_bits", f"{bits} is not among 1..8")
    assert not (tmp_path / "q.nir").exists()


def test_bad_files_and_data(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "q.nir"
    assert_one_line(invoke("quantize", tmp_path / "no.nir", "-o", target), "no.nir")
    assert_one_line(invoke("quantize", graph_file, "-o", tmp_path / "q.txt"), "expected '.nir'")
    assert_one_line(invoke("quantize", graph_file, "-o", graph_file), "would be overwritten")
    assert_one_line(invoke("quantize", graph_file, "-o", target, "--data", tmp_path / "no.npy"), "no.npy")
    np.save(tmp_path / "bad.npy", np.ones((6, 2, 5)))
    result = invoke("quantize", graph_file, "-o", target, "--data", tmp_path / "bad.npy")
    assert_one_line(result, "bad.npy", "shape (6, 2, 5), expected [T, B, 4]")
    np.save(tmp_path / "nan.npy", np.full((6, 2, 4), np.nan))
    assert_one_line(invoke("quantize", graph_file, "-o", target, "--data", tmp_path / "nan.npy"), "NaN or infinity")
    assert not target.exists()


def test_chip_table_and_verdict(invoke: Invoke, graph_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "q.nir"
    invoke("quantize", graph_file, "-o", target)
    good = invoke("check", target, "--runtime", "lava", "--chip", "loihi2")
    assert good.exit_code == 0, good.output
    assert "loihi2: 1 core of 128; everything fits" in good.stdout
    assert '[TH] "Intel Reveals 4nm Loihi 2' in good.stdout
    bad = invoke("check", target, "--runtime", "lava", "--chip", "loihi1")
    assert bad.exit_code == 1
    assert "its messages take 3 bits, the limit is 1 (source [D18]: spikes are single bits)" in bad.stdout
    assert "[messages_fit_their_bits]" in bad.stdout
    unquantised = invoke("check", graph_file, "--runtime", "lava", "--chip", "loihi2")
    assert unquantised.exit_code == 1
    assert "Run 'nirbridge quantize' first" in unquantised.stdout


def test_chip_as_json(invoke: Invoke, graph_file: Path) -> None:
    result = invoke("check", graph_file, "--runtime", "lava", "--chip", "loihi1", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["chip"]["layers"][0]["layer"] == "act"
    assert found["chip"]["cores"] == 1
    assert {problem["rule"] for problem in found["problems"]} >= {"node_runs_in_fixed_point", "messages_fit_their_bits"}


def test_chip_options_are_checked(invoke: Invoke, graph_file: Path) -> None:
    assert_one_line(invoke("check", graph_file, "--chip", "loihi2"), "needs --runtime lava")
    result = invoke("check", graph_file, "--runtime", "lava", "--chip", "loihi3")
    assert_one_line(result, "'loihi3' is not among loihi1, loihi2")


def test_a_quantised_file_runs_in_fixed_and_records_membranes(
    invoke: Invoke, graph_file: Path, data_file: Path, tmp_path: Path
) -> None:
    refused = invoke("run", graph_file, "-i", data_file, "--precision", "fixed")
    assert refused.exit_code == 2
    assert all("'nirbridge quantize'" in line for line in refused.stderr.splitlines())
    target, out = tmp_path / "q.nir", tmp_path / "out.npz"
    invoke("quantize", graph_file, "-o", target)
    result = invoke("run", target, "-i", data_file, "-o", out, "--precision", "fixed", "--record", "act:v")
    assert result.exit_code == 0, result.output
    membranes = np.load(out)["act:v"]
    assert membranes.shape == (6, 2, 3)
    assert (membranes == np.rint(membranes)).all()
    assert np.abs(membranes).max() > 1


def test_quantised_graphs_are_compared_exactly(
    invoke: Invoke, graph_file: Path, data_file: Path, tmp_path: Path
) -> None:
    invoke("quantize", graph_file, "-o", tmp_path / "q.nir")
    names = [name for name, state in nirbridge.runtimes().items() if state.usable]
    if len(names) < 2:
        pytest.skip("only the reference is usable here")
    result = invoke("compare", tmp_path / "q.nir", "-i", data_file, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["exact"]
    assert all(node["mismatches"] == 0 for node in found["nodes"])


def test_steps_by_channel_and_gptq(invoke: Invoke, graph_file: Path, data_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "q.nir"
    ways = ("--per", "channel", "--rounding", "gptq")
    assert_one_line(invoke("quantize", graph_file, "-o", target, *ways), "'gptq' rounds by what layers get", "--data")
    result = invoke("quantize", graph_file, "-o", target, *ways, "--data", data_file, "--weight-bits", 4)
    assert result.exit_code == 0, result.output
    layer = invoke("quantize", graph_file, "-o", tmp_path / "l.nir", "--data", data_file, "--weight-bits", 4)
    assert layer.exit_code == 0
    thresholds = [np.ptp(nirbridge.read(path).nodes["act"].lane_threshold[0]) for path in (target, tmp_path / "l.nir")]
    assert thresholds[0] > 0 == thresholds[1]
    assert invoke("check", target, "--runtime", "lava", "--chip", "loihi2").exit_code == 0


def test_a_layer_that_keeps_one_step_is_noted(invoke: Invoke, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "f.nir", line(nir.Linear(np.array([[0.3, 1.0], [0.7, 0.2]])), shape=(2,)))
    target = tmp_path / "q.nir"
    result = invoke("quantize", tmp_path / "f.nir", "-o", target, "--per", "channel", "--input", "integers")
    assert "Note: node 'n0' (Linear): one step for all channels, since node 'output' (Output) gives" in result.stderr
