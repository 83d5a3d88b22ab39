"""``nirbridge encode`` and ``nirbridge stream`` as users type them."""

import json
import os
import signal
import subprocess
import sys

import h5py
import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import encode as encode_module
from nirbridge.cli import stream as stream_module
from nirbridge.errors import FileError, InputError
from nirbridge.ir import EventInput
from nirbridge.runtime import Availability
from nirbridge_events import encode, write_es, write_nmnist
from tests.events import naive


def run(module, *arguments):
    return CliRunner().invoke(module.command, [str(argument) for argument in arguments])


@pytest.fixture
def events():
    return naive.make_events(np.random.default_rng(0), 2000, (34, 34), span=95_000)


@pytest.fixture
def recording(tmp_path, events):
    write_nmnist(tmp_path / "rec.bin", events)
    return tmp_path / "rec.bin"


def write_model(path, first):
    """Flatten, then two sums: of the left and of the right half."""
    weight = np.zeros((2, 2, 17, 17), dtype=np.float32)
    weight[0, ..., :8], weight[1, ..., 8:] = 1, 1
    nodes = {
        "events": first,
        "flatten": nir.Flatten({"input": np.array([2, 17, 17])}, 0, -1),
        "halves": nir.Linear(weight.reshape(2, -1)),
        "output": nir.Output(np.array([2])),
    }
    edges = [("events", "flatten"), ("flatten", "halves"), ("halves", "output")]
    nirbridge.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    return path


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.nir", EventInput((2, 17, 17), (34, 34), 10_000, 4, 3, "one-hot", "or"))


@pytest.fixture
def plain_model(tmp_path):
    return write_model(tmp_path / "plain.nir", nir.Input(np.array([2, 17, 17])))


def wanted_frames(events):
    return encode(events, (34, 34), 10_000, "one-hot", lanes=3, size=(17, 17))


def test_an_event_input_inside_another_graph_describes_the_frames(tmp_path, recording, events, model):
    inner = nirbridge.read(model)
    outer = nir.NIRGraph({"net": inner, "output": nir.Output(np.array([2]))}, [("net", "output")], type_check=False)
    nirbridge.write(tmp_path / "outer.nir", outer)
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", "--model", tmp_path / "outer.nir")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), wanted_frames(events))
    flags = ["--model", tmp_path / "outer.nir", "--runtime", "reference"]
    decisions, _ = lines_of(run(stream_module, recording, *flags))
    assert len(decisions) == 10
    result = run(stream_module, recording, *flags, "--window", "20ms", "--coding", "binary")
    assert "option --window: contradicts the EventInput node" in str(result.exception)


def test_encode_with_flags(tmp_path, recording, events):
    flags = ["--window", "10ms", "--coding", "one-hot", "--lanes", 3, "--size", "17x17"]
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", *flags)
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'f.npy'}: (10, 2, 17, 17)\n"
    assert "taken as 34x34 pixels" in result.stderr
    assert "2000 events in 10 windows of 10000 µs" in result.stderr
    frames = np.load(tmp_path / "f.npy")
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, wanted_frames(events))


def test_encode_with_a_model(tmp_path, recording, events, model):
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", "--model", model)
    assert result.exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), wanted_frames(events))


def test_stream_with_a_model(recording, events, model):
    result = run(stream_module, recording, "--model", model, "--labels", "left,right")
    assert result.exit_code == 0
    *decisions, last = [json.loads(line) for line in result.stdout.splitlines()]
    frames = wanted_frames(events)
    scores = np.stack([frames[..., :8].sum(axis=(1, 2, 3)), frames[..., 8:].sum(axis=(1, 2, 3))], axis=1)
    means = scores.cumsum(axis=0) / np.arange(1, 11)[:, None]
    np.testing.assert_allclose([decision["scores"] for decision in decisions], means)
    assert [decision["class"] for decision in decisions] == means.argmax(axis=1).tolist()
    assert {decision["label"] for decision in decisions} == {"right"}
    assert [decision["t_us"] for decision in decisions] == [int(events.t[0]) + 10_000 * (i + 1) for i in range(10)]
    summary = last["summary"]
    assert (summary["windows"], summary["events"], summary["decisions"]) == (10, 2000, 10)
    assert (summary["source"]["events"], summary["source"]["lost"]) == (2000, {})
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99"}


def test_stream_with_flags_equals_stream_with_the_models_event_input(recording, model, plain_model):
    flags = ["--window", "10ms", "--coding", "one-hot", "--lanes", 3, "--size", "17x17"]
    with_flags = run(stream_module, recording, "--model", plain_model, *flags, "--policy", "block", "--pace", "real")
    assert with_flags.exit_code == 0
    without = run(stream_module, recording, "--model", model)
    scores = [
        [json.loads(line)["scores"] for line in result.stdout.splitlines()[:-1]] for result in (with_flags, without)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 10


def lines_of(result):
    assert result.exit_code == 0, result.output
    *decisions, last = [json.loads(line) for line in result.stdout.splitlines()]
    return decisions, last["summary"]


def test_decision_lines_and_the_summary_have_their_fields(recording, model):
    decisions, summary = lines_of(run(stream_module, recording, "--model", model))
    fields = (
        "t_us window class scores margin latency_ms hold_ms queue_ms compute_ms events dropped_windows dropped_events "
        "early segment"
    )
    assert all(list(decision) == fields.split() for decision in decisions)
    for decision in decisions:
        assert decision["margin"] == pytest.approx(abs(decision["scores"][0] - decision["scores"][1]))
        assert (decision["early"], decision["segment"], decision["dropped_windows"]) == (False, 0, 0)
    counted = {"events_per_s", "latency_ms", "dropped_windows", "skipped_windows", "early_decisions", "interrupted"}
    assert counted <= set(summary)


def test_confidence_ends_the_stream_or_the_segment_early(recording, model):
    every, _ = lines_of(run(stream_module, recording, "--model", model))
    limit = sorted(decision["margin"] for decision in every)[5]
    first = next(i for i, decision in enumerate(every) if decision["margin"] > limit)
    early, summary = lines_of(run(stream_module, recording, "--model", model, "--confidence", repr(limit)))
    assert [decision["early"] for decision in early] == [False] * first + [True]
    assert [decision["scores"] for decision in early] == [decision["scores"] for decision in every[: first + 1]]
    assert (summary["early_decisions"], summary["interrupted"]) == (1, False)
    parts, summary = lines_of(run(stream_module, recording, "--model", model, "--confidence", 0, "--segment", 3))
    assert [(decision["window"], decision["segment"]) for decision in parts] == [(0, 0), (3, 1), (6, 2), (9, 3)]
    assert all(decision["early"] for decision in parts)
    assert summary["skipped_windows"] == 6
    assert summary["events"] == 2000 == sum(decision["events"] for decision in parts) + summary["skipped_events"]


@pytest.mark.parametrize("block", [1, 7])
def test_blocks_and_policies_decide_alike(recording, model, block):
    every, _ = lines_of(run(stream_module, recording, "--model", model, "--runtime", "reference", "--queue", 20))
    flags = ["--block", block, "--policy", "drop-newest", "--queue", 20]
    again, summary = lines_of(run(stream_module, recording, "--model", model, "--runtime", "reference", *flags))
    assert [decision["scores"] for decision in again] == [decision["scores"] for decision in every]
    assert summary["dropped_windows"] == 0


def test_the_fastest_usable_runtime_that_runs_the_model_is_chosen_and_said(recording, model, monkeypatch):
    for usable, chosen in ((True, "norse"), (False, "reference")):
        states = {
            name: Availability("1", "" if usable or name == "reference" else "no") for name in ("norse", "reference")
        }
        monkeypatch.setattr(nirbridge, "runtimes", lambda states=states: states)
        if chosen == "norse":
            pytest.importorskip("norse")
        result = run(stream_module, recording, "--model", model)
        assert f"Runs on '{chosen}'." in result.stderr
    monkeypatch.setattr(nirbridge, "check", lambda graph, name: ["a problem"] if name == "norse" else [])
    assert "Runs on 'reference'." in run(stream_module, recording, "--model", model).stderr


def test_a_crop_brings_a_larger_sensor_to_the_models(tmp_path, model):
    events = naive.make_events(np.random.default_rng(3), 900, (60, 50), span=45_000)
    write_es(tmp_path / "large.es", events, (60, 50))
    result = run(
        encode_module, tmp_path / "large.es", "-o", tmp_path / "f.npy", "--model", model, "--crop", "20,10,34x34"
    )
    assert result.exit_code == 0, result.output
    wanted = encode(events, (60, 50), 10_000, "one-hot", lanes=3, size=(17, 17), crop=(20, 10, 34, 34))
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), wanted)
    assert "events outside the crop were left out" in result.stderr
    assert run(stream_module, tmp_path / "large.es", "--model", model, "--crop", "20,10,34x34").exit_code == 0
    refused = run(
        encode_module, tmp_path / "large.es", "-o", tmp_path / "g.npy", "--model", model, "--crop", "0,0,30x34"
    )
    assert "30x34 pixels are not the 34x34 of the model's EventInput" in str(refused.exception)


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--coding", "phase", "--phases", 3], {"coding": "phase", "phases": 3}),
        (
            ["--coding", "voxel", "--bins", 4, "--polarity", "signed"],
            {"coding": "voxel", "bins": 4, "polarity": "signed"},
        ),
    ],
)
def test_codings_of_several_frames_are_written_whole(tmp_path, recording, events, flags, options):
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", "--window", "10ms", *flags)
    assert result.exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), encode(events, (34, 34), 10_000, **options))
    assert "frames each" in result.stderr


def test_frames_over_a_long_silence_need_the_users_word_and_decisions_leave_its_rest_out(tmp_path, model):
    write_nmnist(tmp_path / "gap.bin", naive.events_of([(0, 1, 1, 1), (400_000, 2, 2, 1), (800_000, 3, 3, 1)]))
    to_frames = (encode_module, tmp_path / "gap.bin", "-o", tmp_path / "f.npy", "--model", model, "--max-gap")
    refused = run(*to_frames, 38)
    assert "39 windows of 10000 µs without any event, at most 38 may be." in str(refused.exception)
    assert "raise --max-gap" in str(refused.exception)
    assert run(*to_frames, 39).stdout.endswith(": (81, 2, 17, 17)\n")
    decisions, summary = lines_of(run(stream_module, tmp_path / "gap.bin", "--model", model, "--max-gap", 9))
    assert [decision["window"] for decision in decisions] == [*range(10), *range(40, 50), 80]
    assert (summary["windows"], summary["gap_windows"], summary["events"]) == (21, 60, 3)
    assert decisions[-1]["t_us"] == 810_000
    said = run(stream_module, tmp_path / "gap.bin", "--model", model, "--max-gap", 9).stderr
    assert "60 empty windows of gaps longer than --max-gap were left out." in said


@pytest.mark.parametrize(
    ("name", "text"),
    [("labels.txt", "left\nright\n"), ("windows.txt", "\ufeffleft\r\nright \r\n"), ("left, right.txt", "left\nright")],
)
def test_labels_from_a_file(tmp_path, recording, model, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    result = run(stream_module, recording, "--model", model, "--labels", tmp_path / name)
    decisions = [json.loads(line) for line in result.stdout.splitlines()[:-1]]
    assert {(one["class"], one["label"]) for one in decisions} <= {(0, "left"), (1, "right")}
    assert decisions


def test_more_labels_than_a_path_has_letters(recording, model):
    result = run(stream_module, recording, "--model", model, "--labels", "l" * 5000)
    assert "1 names for 2 outputs" in str(result.exception)


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ([], "option --window and --coding: is missing"),
        (["--window", "10ms"], "option --coding: is missing"),
        (["--window", "10", "--coding", "count"], "option --window: '10' is not a length"),
        (["--window", "0.5us", "--coding", "count"], "option --window"),
        (["--size", "34"], "option --size: '34' is not WIDTHxHEIGHT"),
        (["--window", "10ms", "--coding", "count", "--size", "35x34"], "exceed the sensor"),
        (["--window", "10ms", "--coding", "count", "--sensor", "20x20"], "outside the sensor of 20x20"),
    ],
)
def test_encode_refuses_and_leaves_an_existing_file_alone(tmp_path, recording, flags, found):
    (tmp_path / "f.npy").write_bytes(b"precious")
    before = sorted(tmp_path.iterdir())
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", *flags)
    assert isinstance(result.exception, (InputError, FileError))
    assert found in str(result.exception)
    assert result.stdout == ""
    assert (tmp_path / "f.npy").read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == before


def test_a_cut_last_word_costs_that_word_and_is_said(tmp_path, recording, events):
    recording.write_bytes(recording.read_bytes()[:-2])
    result = run(encode_module, recording, "-o", tmp_path / "f.npy", "--window", "10ms", "--coding", "count")
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "f.npy").sum() == len(events) - 1
    assert "3 bytes at the end are a part of an event and were left out: the file is cut." in result.stderr


@pytest.mark.parametrize(
    ("text", "flags", "windows"),
    [
        (b"0 10 9 1\n0.25 11 9 0\n", ["--time-unit", "s"], 3),
        (b"0 10 9 1\n0.25 11 9 0\n", ["--time-unit", "ms"], 1),
        (b"1,2,90,-1,1000\n2,2,91,1,201000\n", ["--columns", "y,x,_,p,t", "--time-unit", "us"], 3),
    ],
)
def test_encode_reads_a_table_as_the_options_say(tmp_path, text, flags, windows):
    (tmp_path / "a.csv").write_bytes(text)
    common = (tmp_path / "a.csv", "-o", tmp_path / "f.npy", "--window", "100ms", "--coding", "count")
    result = run(encode_module, *common)
    assert isinstance(result.exception, InputError)
    assert flags[0] in str(result.exception)
    assert run(encode_module, *common, *flags).exit_code == 0
    frames = np.load(tmp_path / "f.npy")
    assert (len(frames), frames.sum()) == (windows, 2)


def test_streams_and_frames_are_of_one_camera(tmp_path, recording, model):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        for name, column in (("left", 3), ("right", 30)):
            rows = np.array([(t, column, 5, 1) for t in range(0, 50_000, 100)])
            for i, field in enumerate("txyp"):
                file[f"{name}/{field}"] = rows[:, i]
    for camera, winner in (("left", 0), ("1", 1)):
        result = run(stream_module, tmp_path / "two.h5", "--model", model, "--sensor", "34x34", "--camera", camera)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout.splitlines()[0])["class"] == winner
    result = run(
        encode_module, recording, "-o", tmp_path / "f.npy", "--window", "10ms", "--coding", "count", "--camera", "0"
    )
    assert "is nmnist, to which --camera does not apply" in str(result.exception)


def test_encode_writes_npy_only(tmp_path, recording):
    result = run(encode_module, recording, "-o", tmp_path / "f.csv", "--window", "10ms", "--coding", "count")
    assert "expected '.npy'" in str(result.exception)


def test_flags_must_not_contradict_the_model(recording, model):
    result = run(stream_module, recording, "--model", model, "--window", "5ms")
    assert "option --window: contradicts the EventInput node" in str(result.exception)


def test_frames_must_fit_the_model(recording, plain_model):
    result = run(stream_module, recording, "--model", plain_model, "--window", "10ms", "--coding", "count")
    assert "takes (2, 17, 17), the frames are (2, 34, 34)" in str(result.exception)


def test_a_broken_recording_gives_its_decisions_a_summary_and_its_error(recording, model):
    data = recording.read_bytes()
    recording.write_bytes(data[:5000] + bytes([200]) + data[5001:])
    result = run(stream_module, recording, "--model", model)
    assert isinstance(result.exception, FileError)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) > 2
    assert lines[-1]["summary"]["interrupted"]
    assert lines[-1]["summary"]["decisions"] == len(lines) - 1


def test_ctrl_c_ends_with_the_summary(tmp_path, model):
    slow = naive.make_events(np.random.default_rng(0), 2000, (34, 34), span=8_000_000)
    write_nmnist(tmp_path / "slow.bin", slow)
    code = "from nirbridge.cli.stream import command; command()"
    arguments = [str(tmp_path / "slow.bin"), "--model", str(model), "--pace", "real"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        first = json.loads(process.stdout.readline())
        os.kill(process.pid, signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    summary = json.loads(rest.splitlines()[-1])["summary"]
    assert first["window"] == 0
    assert summary["interrupted"]
    assert 1 <= summary["decisions"] < 700, "of 800"
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("module", [encode_module, stream_module])
def test_help_has_an_example_and_imports_nothing_heavy(module):
    code = (
        f"import sys; from {module.__name__} import command\n"
        "try: command(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'nir', 'h5py'} & set(sys.modules), 'heavy import'\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example:" in result.stdout
