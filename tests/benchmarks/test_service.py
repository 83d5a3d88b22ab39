"""The benchmark of docs/service.md does what its columns say; no test here is of speed."""

from __future__ import annotations

from pathlib import Path

import pytest

import nirbridge
from benchmarks import service
from tests.conformance.cases import CASES

(CASE,) = (case for case in CASES if case.name == "recurrent")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell a process's peak")
def test_a_row_in_a_process_of_its_own(tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "g.nir", CASE.graph())
    row = service.in_a_process("reference", tmp_path / "g.nir")
    page = (Path(service.__file__).parents[1] / "docs" / "service.md").read_text(encoding="utf-8")
    for name in (
        "import s",
        "compile s",
        "first call s",
        "call ms",
        "compiled MB",
        "called MB",
        "state kB",
        "state ms",
    ):
        assert row[name] > 0, name
        assert name in page
    # A membrane of a batch of 64, four neurons, and what one node sends back: 8 bytes each; the header is small.
    assert 4 < row["state kB"] < 5
