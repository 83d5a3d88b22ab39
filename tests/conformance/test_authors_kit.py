"""A runtime from outside: installed as its users would, found, run and judged."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main
from nirbridge.conformance import CASES, judge, support_cells, to_markdown
from nirbridge.conformance.judging import Verdict, declared_but_refused
from nirbridge.ir import PRIMITIVES
from nirbridge.runtime import discovery
from nirbridge_reference import RUNTIME as REFERENCE

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example installed by pip into a folder of its own, from a copy, without a network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def _nirbridge(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from nirbridge.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_the_example_is_found_and_conforms(installed: Path) -> None:
    assert "tiny" in _nirbridge(installed, "runtimes").stdout
    done = _nirbridge(installed, "conformance", "--runtime", "tiny", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["conforms"]
    exact = {kind for case in result["cases"] if case["state"] == "exact" for kind in case["kinds"]}
    assert exact >= {"Affine", "Linear", "IF", "Threshold", "Input", "Output"}
    assert {case["state"] for case in result["cases"]} == {"exact", "refused"}
    assert all(case["detail"] for case in result["cases"] if case["state"] == "refused")


def test_the_example_runs_a_graph(installed: Path, tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "act": nir.IF(np.ones(3), np.ones(3)),
        "output": nir.Output(np.array([3])),
    }
    nirbridge.write(tmp_path / "g.nir", nir.NIRGraph(nodes, [("input", "act"), ("act", "output")]))
    np.save(tmp_path / "x.npy", np.full((6, 1, 3), 0.75))
    arguments = ("compare", str(tmp_path / "g.nir"), "-i", str(tmp_path / "x.npy"), "--runtimes", "tiny")
    done = _nirbridge(installed, *arguments)
    assert done.returncode == 0
    assert "tiny: agrees with the reference; 0 of" in done.stdout


class _Wrong:
    """The reference, save that one output value of every run is off."""

    name, summary, precisions, options = "wrong", "", ("float",), frozenset()
    supported = REFERENCE.supported - {nir.Delay}

    def availability(self) -> Any:
        return REFERENCE.availability()

    def check(self, plan: Any) -> list[Any]:
        return []

    def compile(self, plan: Any, precision: str, options: Mapping[str, Any]) -> Any:
        if any(type(planned.node) is nir.LIF for planned in plan.nodes):
            raise ZeroDivisionError("a defect")
        program = REFERENCE.compile(plan, precision, options)
        advance = program._advance

        def off_by_one(data: Any, record: Any) -> Any:
            values = advance(data, record)
            values[plan.outputs[0]] = values[plan.outputs[0]].copy()
            values[plan.outputs[0]].flat[0] += 1
            return values

        program._advance = off_by_one
        return program


def test_a_wrong_runtime_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from nirbridge.conformance import judging
    from nirbridge.runtime import compiling

    def find(name: str) -> Any:
        return _Wrong() if name == "wrong" else discovery.find_runtime(name)

    for module in (judging, compiling):
        monkeypatch.setattr(module, "usable_runtime", find)
    monkeypatch.setattr(judging, "find_runtime", find)
    by_name = {case.name: judge(case, "wrong") for case in CASES if case.name in ("affine", "Delay", "LIF")}
    assert (by_name["affine"].state, by_name["affine"].detail) == (
        "differs",
        "'output': 1 of 108 values differ in one run",
    )
    assert by_name["Delay"].state == "refused"
    assert by_name["LIF"].detail == "compile raised ZeroDivisionError: a defect"
    result = CliRunner().invoke(main, ["conformance", "--runtime", "wrong"])
    assert result.exit_code == 1
    assert " 0 exact" in result.stdout


def test_what_cannot_be_judged_is_refused(installed: Path) -> None:
    done = _nirbridge(installed, "conformance", "--runtime", "tiny", "--precision", "fixed")
    assert done.returncode == 2
    assert "precision 'fixed' is not among float" in done.stderr
    done = _nirbridge(installed, "conformance", "--runtime", "reference", "--precision", "fixed", "--random", "3")
    assert done.returncode == 2
    assert "random graphs are of real numbers" in done.stderr


def test_what_a_runtime_claims_and_refuses_is_named() -> None:
    """The reference lists Delay; where all of its cases were refused, that is told."""
    refused = Verdict("Delay", ("Delay",), "reference", "float", "refused", "for no reason")
    exact = Verdict("affine", ("Affine",), "reference", "float", "exact")
    assert declared_but_refused("reference", [refused, exact]) == ["Delay"]
    assert declared_but_refused("reference", [refused, replace(refused, state="exact")]) == []


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_support", DOCS / "generate_support.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _columns(page: str, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Node → its cells for the runtimes, without the numbers of notes."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    chosen = [index for index, title in enumerate(rows[0]) if title.split()[0] in names]
    return {row[0]: [row[index].split(" [")[0] for index in chosen] for row in rows[1:] if row[0] != "---"}


def test_the_support_page_is_up_to_date() -> None:
    """For the quick runtimes every cell is made again; Lava's column, which takes minutes, must only be complete."""
    page = (DOCS / "support.md").read_text(encoding="utf-8")
    quick = ("reference", "norse") if nirbridge.runtimes()["norse"].usable else ("reference",)
    assert _columns(page, quick) == _columns(_generator().generate(quick), quick), (
        "run: python docs/generate_support.py"
    )
    assert list(_columns(page, ("lava",))) == list(PRIMITIVES)


def test_no_cell_is_empty_and_every_refusal_has_a_note() -> None:
    page = (DOCS / "support.md").read_text(encoding="utf-8")
    cells = [cell.strip() for line in page.splitlines() if line[:2] == "| " for cell in line.strip("|").split("|")[1:]]
    assert all(cell == "exact" or "[" in cell or "float" in cell or "fixed" in cell or cell == "---" for cell in cells)
    assert "differs" not in page.split("| node")[1]
    own = _columns(page, ("reference", "norse"))
    assert all(row[index] == "exact" for row in own.values() for index in (0, 2)), "float cells of our own runtimes"


def test_the_markdown_numbers_its_notes() -> None:
    verdicts = [judge(case, "reference") for case in CASES if case.name in ("affine", "scale")]
    text = to_markdown(support_cells(verdicts))
    assert "| Affine | exact |" in text
    assert "| Conv2d | not judged |" in text
