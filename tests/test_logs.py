"""What a service finds in its log, and that the libraries print nothing by themselves."""

from __future__ import annotations

import ast
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nirbridge
from nirbridge.logs import ROOT
from nirbridge_events import Events, FrameEncoder, Stream
from tests.conformance.cases import CASES, data

FOLDERS = ("nirbridge", "runtimes", "datasets")
(CASE,) = (case for case in CASES if case.name == "recurrent")


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.name} {record.levelname} {record.getMessage()}" for record in caplog.records]


def test_compile_and_the_first_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger=ROOT)
    with nirbridge.compile(CASE.graph(), "reference", dt=CASE.dt) as program:
        for _ in range(2):
            program.run(data(CASE))
    compiled, ends, options, first = _messages(caplog)
    assert re.fullmatch(
        r"nirbridge\.runtime INFO compiled 5 nodes for 'reference' in precision 'float', \S+ [mu]?s", compiled
    )
    assert "DEBUG inputs and outputs 'input' 4, 'output' 4, dt 0.00097" in ends
    assert options == "nirbridge.runtime DEBUG options {}, resets by value, leaks by euler"
    assert re.fullmatch(r"nirbridge\.runtime INFO first call of 'reference': 12 steps of 3 samples, \S+ [mu]?s", first)


def test_lava_says_what_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    caplog.set_level("INFO", logger=ROOT)
    with nirbridge.compile(CASE.graph(), "lava", dt=CASE.dt, mapping="fused") as program:
        program.run(data(CASE))
    assert re.search(r"nirbridge\.runtime\.lava INFO started 1 process, \S+ [mu]?s", "\n".join(_messages(caplog)))


class _Sum:
    """A program of two scores for any frame."""

    def reset(self) -> None:
        pass

    def advance(self, x: Any, record: Any = ()) -> Any:
        from nirbridge.runtime import Recording

        return Recording(np.stack([x.sum(axis=(2, 3, 4)), -x.sum(axis=(2, 3, 4))], axis=-1))


def test_a_stream_says_what_it_loses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=ROOT)
    t = np.arange(0, 50_000, 100)
    places = np.zeros(len(t), np.uint16)
    events = Events(np.where(t < 2000, 9, 1).astype(np.uint16), places, t, places.astype(np.uint8))
    encoder = FrameEncoder(sensor_size=(4, 4), window=10_000, coding="count", outside="count")
    stream = Stream([events], _Sum(), encoder, warm_up=False)
    assert len(list(stream)) == 5
    stream.close()
    first, loss, last = _messages(caplog)
    assert first == "nirbridge.events.stream INFO events: stream begins, policy block, readout mean"
    assert loss.endswith("events: 20 events outside the sensor were left out.")
    assert "events: stream ends, complete: 5 decisions on 5 windows of " in last
    assert last.endswith("windows dropped 0, events late 0, outside 20")


def test_nobody_is_disturbed_who_does_not_listen() -> None:
    code = "import nirbridge.logs as logs; logs.logger('x').error('boo')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout + done.stderr == ""
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger(ROOT).handlers)


def test_no_library_prints() -> None:
    root = Path(__file__).resolve().parents[1]
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []
