"""``nirbridge stream``: where its lines go, how fast it replays, and several sources at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import psutil
import pytest

import nirbridge
from nirbridge.cli.stream import _labels
from nirbridge.ir import EventInput
from nirbridge_events import write_nmnist
from tests.cli.conftest import Invoke, assert_one_line
from tests.events import naive
from tests.events.test_sinks import Consumer

SECONDS = 60.0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nodes = {
        "events": EventInput((2, 17, 17), (34, 34), 10_000, 4, 3, "one-hot", "or"),
        "flatten": nir.Flatten({"input": np.array([2, 17, 17])}, 0, -1),
        "classes": nir.Linear(np.random.default_rng(0).normal(size=(3, 578)).astype(np.float32)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("events", "flatten"), ("flatten", "classes"), ("classes", "output")]
    nirbridge.write(tmp_path / "m.nir", nir.NIRGraph(nodes, edges, type_check=False))
    return tmp_path / "m.nir"


def recorded(path: Path, seed: int, span: int = 95_000) -> Path:
    write_nmnist(path, naive.make_events(np.random.default_rng(seed), 1500, (34, 34), span=span))
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return recorded(tmp_path / "rec.bin", 1)


def stream(*arguments: object) -> tuple[object, ...]:
    return ("stream", *arguments, "--runtime", "reference")


def test_lines_go_to_a_file_instead_of_stdout(invoke: Invoke, recording: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    result = invoke(*stream(recording, "--model", model, "--out", out))
    assert (result.exit_code, result.stdout) == (0, "")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["window"] for line in lines[:-1]] == list(range(10))
    assert lines[-1]["summary"]["decisions"] == 10


def test_lines_go_to_several_places(invoke: Invoke, recording: Path, model: Path, tmp_path: Path) -> None:
    out, heard = tmp_path / "d.jsonl", []
    with Consumer() as consumer:
        thread = threading.Thread(target=lambda: heard.extend(consumer.read_all(consumer.accept())))
        thread.start()
        result = invoke(*stream(recording, "--model", model, "--out", out, "--out", "-", "--out", consumer.address))
        thread.join(SECONDS)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == out.read_text().splitlines() == heard
    assert len(heard) == 11


def test_places_that_cannot_be_written_are_one_line(
    invoke: Invoke, recording: Path, model: Path, tmp_path: Path
) -> None:
    with Consumer() as gone:
        pass
    for out, found in (
        (gone.address, "Connection refused"), ("tcp://:x", "is no address"), (tmp_path / "no" / "d", "does not exist"),
    ):  # fmt: skip
        assert_one_line(invoke(*stream(recording, "--model", model, "--out", out)), found)
    assert_one_line(invoke(*stream(recording, "--model", model, "--out", "a", "--out", "a")), "'a' is given twice")


def test_a_full_disk_ends_the_stream(invoke: Invoke, recording: Path, model: Path) -> None:
    result = invoke(*stream(recording, "--model", model, "--out", "/dev/full"))
    assert result.exit_code == 2
    assert "file '/dev/full': cannot be written (No space left on device)" in result.stderr


def test_speed_is_said_and_goes_with_a_budget(invoke: Invoke, recording: Path, model: Path) -> None:
    arguments = stream(recording, "--model", model, "--speed", 20, "--budget", "10s")
    summary = json.loads(invoke(*arguments).stdout.splitlines()[-1])["summary"]
    assert (summary["speed"], summary["latency_from"], summary["over_budget"]) == (20, "pace", 0)
    fast = json.loads(invoke(*stream(recording, "--model", model, "--speed", "max")).stdout.splitlines()[-1])
    assert (fast["summary"]["speed"], fast["summary"]["over_budget"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--speed", "2", "--pace", "real"), "does not go with --pace real"),
        (("--speed", "quick"), "is neither a factor nor max"),
        (("--speed", "0"), "is no factor in 0.001"),
        (("--speed", "max", "--budget", "1ms"), "Add --pace real, or a --speed"),
    ],
)
def test_speeds_that_contradict(
    invoke: Invoke, recording: Path, model: Path, options: tuple[str, ...], found: str
) -> None:
    assert_one_line(invoke(*stream(recording, "--model", model, *options)), found)


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    code = "from nirbridge.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, stream(*arguments))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_all_gone(children: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(children, SECONDS)
    assert not alive


def test_several_sources_are_streamed_and_one_that_fails_ends_no_other(
    invoke: Invoke, model: Path, tmp_path: Path
) -> None:
    other, out = recorded(tmp_path / "other.bin", 2), tmp_path / "d.jsonl"
    missing = tmp_path / "no.bin"
    result = invoke(*stream(other, missing, other, "--model", model, "--out", out))
    assert result.exit_code == 2
    assert f"[{missing}] Error: file '{missing}': does not exist" in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"Error: source '{missing}': its stream ended with exit code 2.")
    lines: dict[str, list[dict[str, object]]] = {}
    for line in map(json.loads, out.read_text().splitlines()):
        lines.setdefault(line.pop("source"), []).append(line)
    assert lines.keys() == {str(other), f"{other}#2"}
    alone = [json.loads(line) for line in invoke(*stream(other, "--model", model)).stdout.splitlines()]
    same = ("t_us", "window", "class", "scores", "events")
    assert [[line.get(name) for name in same] for line in lines[str(other)]] == [
        [line.get(name) for name in same] for line in alone
    ]
    assert all(len(found) == 11 and "summary" in found[-1] for found in lines.values())


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_with_their_summaries(model: Path, tmp_path: Path, sent: signal.Signals, code: int) -> None:
    sources = [recorded(tmp_path / f"{seed}.bin", seed, 8_000_000) for seed in (1, 2)]
    with running(*sources, "--model", model, "--speed", 0.2) as process:
        assert process.stdout is not None
        seen = set()
        while len(seen) < 2:
            seen.add(json.loads(process.stdout.readline())["source"])
        children = children_of(process)
        os.kill(process.pid, sent)
        rest, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert "Traceback" not in errors
    summaries = [line for line in map(json.loads, rest.splitlines()) if "summary" in line]
    assert {line["source"] for line in summaries} == {str(source) for source in sources}
    assert all(line["summary"]["interrupted"] for line in summaries)
    assert_all_gone(children)


def test_what_kills_the_command_or_a_child_leaves_nothing_running(model: Path, tmp_path: Path) -> None:
    sources = [recorded(tmp_path / f"{seed}.bin", seed, 8_000_000) for seed in (1, 2)]
    with running(*sources, "--model", model, "--speed", 2) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = children_of(process)
        streams = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(streams) == 2
        streams[0].kill()
        rest, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert rest.count('"summary"') == 1, "the other one went on"
    assert "its process was ended by signal 9" in errors
    assert_all_gone(children)
    with running(*sources, "--model", model, "--speed", 0.1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = children_of(process)
        process.kill()
        assert_all_gone(children)


def test_several_sources_refuse_what_needs_one(invoke: Invoke, recording: Path, model: Path) -> None:
    two = (recording, recording, "--model", model)
    assert_one_line(invoke(*stream(*two, "--view")), "shows one source, 2 are given")
    assert_one_line(invoke(*stream(*two, "--save-hot-pixels", "hot.npy")), "is of one sensor, 2 sources are given")
    assert_one_line(invoke(*stream(recording, "-", "--model", model)), "whose processes have no stdin")


def test_labels_of_an_editor_that_marks_its_files(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\nbird\r\n")
    assert _labels(str(tmp_path / "labels.txt")) == ["cat", "dog", "bird"]


def test_the_length_of_a_step_can_be_given_and_is_told(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([2, 34, 34])),
        "flatten": nir.Flatten({"input": np.array([2, 34, 34])}, 0, -1),
        "classes": nir.Linear(np.ones((1, 2312), np.float32) / 64),
        "leak": nir.LI(np.full(1, 0.02), np.ones(1), np.zeros(1)),
        "output": nir.Output(np.array([1])),
    }
    nirbridge.write(tmp_path / "leak.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    streamed = stream(recording, "--model", tmp_path / "leak.nir", "--window", "10ms", "--coding", "count")
    plain, given = invoke(*streamed), invoke(*streamed, "--dt", 0.01)
    note = (
        "Note: node 'leak' (LI) runs in steps of 0.001 s, and a frame holds 0.01 s of events. Give --dt 0.01 (dt=0.01)"
    )
    assert note in plain.stderr
    assert "Note" not in given.stderr
    first, other = (json.loads(result.stdout.splitlines()[0])["scores"] for result in (plain, given))
    np.testing.assert_allclose(np.array(other) / first, 10, rtol=1e-5)


def test_a_port_without_a_page_is_refused(invoke: Invoke, recording: Path, model: Path) -> None:
    assert_one_line(invoke(*stream(recording, "--model", model, "--port", 8080)), "option --port", "Add --view")


def test_nobody_reads_the_lines(model: Path, tmp_path: Path) -> None:
    sources = [recorded(tmp_path / f"{seed}.bin", seed, 8_000_000) for seed in (1, 2)]
    with running(*sources, "--model", model, "--speed", 0.1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = children_of(process)
        process.stdout.close()
        began = time.monotonic()
        assert process.wait(SECONDS) == 141
        assert time.monotonic() - began < SECONDS / 2
        assert_all_gone(children)
