"""Streams and places that cannot be written, and signals: one line or a quiet end, on every command."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Invoke, assert_one_line

_PROGRAM = [sys.executable, "-c", "from nirbridge.cli import main; main()"]
_FULL = "Error: standard output: cannot be written (No space left on device). Lead it to another place.\n"
_CLOSED = _FULL.replace("No space left on device", "Bad file descriptor")

PRINTING = {
    "help": "--help",
    "help of a command": "run --help",
    "version": "--version",
    "show": "show model.nir",
    "show json": "show model.nir --json",
    "check": "check model.nir",
    "diff": "diff model.nir model.nir",
    "run": "run model.nir -i x.npy",
    "energy": "energy model.nir -i x.npy",
    "frontier": "frontier model.nir -i x.npy --labels y.npy",
    "quantize": "quantize model.nir -o q.nir",
    "expand": "expand model.nir -o c.nir -i x.npy",
    "runtimes": "runtimes",
}


@pytest.fixture
def folder(graph_file: Path, data_file: Path) -> Path:
    assert graph_file.parent == data_file.parent
    np.save(graph_file.parent / "y.npy", [0, 1])
    return graph_file.parent


def _shell(folder: Path, command: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a shell does, with its streams led elsewhere."""
    line = f'exec "$0" -c "{_PROGRAM[2]}" {command} {redirection}'
    return subprocess.run(
        ["bash", "-c", line, sys.executable], capture_output=True, text=True, check=False, timeout=60, cwd=folder
    )


@pytest.mark.parametrize("command", PRINTING.values(), ids=PRINTING)
def test_a_full_stdout_is_one_line(command: str, folder: Path) -> None:
    done = _shell(folder, command, ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.endswith(_FULL)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["--help", "show model.nir"])
def test_a_closed_stdout_is_one_line(command: str, folder: Path) -> None:
    done = _shell(folder, command, ">&-")
    assert (done.returncode, done.stderr) == (2, _CLOSED)


@pytest.mark.parametrize("command", ["--help", "run --help", "show model.nir"])
def test_a_reader_that_went_away_is_a_quiet_end(command: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'("$0" -c "{_PROGRAM[2]}" {command}; echo $? >&2) | exec true', sys.executable],
        capture_output=True, text=True, check=False, timeout=60, cwd=folder,
    )  # fmt: skip
    assert done.stderr in ("141\n", "0\n")  # 0 where all of it was in the pipe before its end was closed


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_without_stderr_the_work_is_done(redirection: str, folder: Path) -> None:
    done = _shell(folder, "run model.nir -i x.npy -o o.npz", redirection)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "o.npz").exists()
    assert _shell(folder, "show no.nir", redirection).returncode == 2


def test_output_goes_through_to_stdout_and_the_text_to_stderr(folder: Path) -> None:
    done = subprocess.run(
        [*_PROGRAM, "run", "model.nir", "-i", "x.npy", "-o", "/dev/stdout"],
        capture_output=True, check=True, timeout=60, cwd=folder,
    )  # fmt: skip
    assert np.load(io.BytesIO(done.stdout))["output"].shape == (6, 2, 3)
    assert b"wrote /dev/stdout" in done.stderr
    drawn = _shell(folder, "show model.nir -o /dev/stdout", "")
    assert drawn.stdout.startswith("<svg")
    assert drawn.stdout.rstrip().endswith("</svg>")
    assert "act" in drawn.stderr


def test_a_folder_that_takes_no_files_is_one_line(
    folder: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # as a read-only mount
    result = invoke("quantize", folder / "model.nir", "-o", folder / "q.nir")
    assert_one_line(result, "q.nir': its folder", "takes no new files. Choose another place.")


def test_other_errors_of_the_system_are_one_line(folder: Path, invoke: Invoke) -> None:
    assert_one_line(invoke("show", "x" * 300), "File name too long")
    (folder / "loop.nir").symlink_to("loop.nir")
    assert_one_line(invoke("quantize", folder / "model.nir", "-o", folder / "loop.nir"), "loop.nir", "Too many levels")


_SLOW = """
import sys
from nirbridge.cli import main
import nirbridge.ir.sources as writer
real = writer.write_whole
def slow(path, content):
    from nirbridge.files import whole_file
    import time
    with whole_file(path) as file:
        file.write(b"half")
        print("begun", flush=True)
        time.sleep(60)
writer.write_whole = slow
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_nothing_behind(number: signal.Signals, code: int, folder: Path) -> None:
    before = sorted(folder.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, "quantize", "model.nir", "-o", "q.nir"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (code, "")
    assert sorted(folder.iterdir()) == before
