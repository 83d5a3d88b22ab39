"""The page of benchmarks: verdicts, what is missing, and how JSON becomes page; no test here is of speed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nirbridge.errors import FileError

pytest.importorskip("norse")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from benchmarks.speed import __main__ as program
from benchmarks.speed import equality, growth, neurons, page, training, vgg
from benchmarks.speed.fresh import FailedError, fresh
from benchmarks.speed.measuring import AT_LEAST, Row, Section, in_turns, over, profiled
from benchmarks.speed.store import read_section, write_section


def section(*rows: Row, **more: Any) -> dict[str, Any]:
    return Section(list(rows), **more).as_data()


def written(folder: Path, **sections: dict[str, Any]) -> str:
    """The page from these sections alone."""
    target = folder / "benchmarks.md"
    for name, content in sections.items():
        write_section(target.with_suffix(""), name, content, 6.0)
    page.write_page(target)
    return target.read_text()


@pytest.mark.parametrize(
    ("values", "target", "bound", "expected"),
    [
        ([1.0, 1.0, 9.0], 1.03, "at most", page.MET),  # the median counts
        ([1.0, 1.04, 1.05], 1.03, "at most", page.MISSED),
        ([8.0], 8.0, AT_LEAST, page.MET),
        ([7.9, 7.9, 20.0], 8.0, AT_LEAST, page.MISSED),
    ],
)
def test_the_median_is_judged(values: list[float], target: float, bound: str, expected: str) -> None:
    assert page.verdict(section(Row("a", values, target, bound))["rows"][0]) == expected


def test_the_page_shows_what_is_kept(tmp_path: Path) -> None:
    met = Row("VGGSNN, fp32, a", [1.0, 1.2, 0.9], 1.03, seconds={"nirbridge": [1e-3, 2e-3, 3e-3]}, profile="`f` 50%")
    missed = Row("VGGSNN, 8 bits, AMX, b", [0.5], 0.2, profile="`conv2d` 80%")
    beside = Row("c", [2.0])
    text = written(tmp_path, vgg=section(met, missed, beside, notes=["x is left out: not installed."]))
    assert "| VGGSNN, fp32, a | 1 (0.9–1.2) | ≤ 1.03 | met |" in text
    assert "| VGGSNN, 8 bits, AMX, b | 0.5 | ≤ 0.2 | **MISSED** |" in text
    assert "1 of 2 are met" in text
    assert f"- {vgg.WHY['8 bits']}\n  - VGGSNN, 8 bits, AMX, b: own time `conv2d` 80%\n" in text
    assert "`f` 50%" not in text, "a profile is shown where a target is missed"
    assert "- x is left out: not installed." in text
    assert "| c | 2 |" in text
    assert "| VGGSNN, fp32, a | nirbridge | 2 ms (1–3) |" in text
    assert text.count("Not measured; run") == len(page.SECTIONS) - 1
    assert "Not yet run on a GPU" in text
    assert (tmp_path / "benchmarks" / "targets.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_drawn_and_a_gpu_page_is_taken_over(tmp_path: Path) -> None:
    curves = {"steps": [(1.0, 1e-3), (10.0, 1e-2)], "nodes": [(1.0, 1e-3), (10.0, 1e-2)]}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / page.GPU[0]).write_text("# On a GPU\n\nmeasured\n")
    text = written(tmp_path, growth=section(Row("growth in steps, exponent", [1.3], 1.05), curves=curves))
    assert "benchmarks/growth.png" in text
    assert (tmp_path / "benchmarks" / "growth.png").stat().st_size > 1000
    assert text.endswith("\n## On a GPU\n\nmeasured\n")


def test_sections_of_several_days_are_told(tmp_path: Path) -> None:
    written(tmp_path, growth=section(Row("a", [1.0], 2.0)), equality=section())
    file = tmp_path / "benchmarks" / "growth.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"date": "2020-01-01", "quick": True}))
    page.write_page(tmp_path / "benchmarks.md")
    text = (tmp_path / "benchmarks.md").read_text()
    assert "of several machines, days or versions" in text
    assert "2020-01-01" in text
    assert page.QUICK in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}], "machine": {}, "date": "", "took": 1}'])
def test_what_is_no_file_of_measurements_is_refused(tmp_path: Path, text: str) -> None:
    assert read_section(tmp_path, "vgg") is None
    (tmp_path / "vgg.json").write_text(text)
    with pytest.raises(FileError, match=r"vgg.json.*--only vgg"):
        read_section(tmp_path, "vgg")


def test_every_section_has_what_the_page_needs() -> None:
    for name, module in page.SECTIONS.items():
        assert name == module.NAME
        assert module.TITLE
        assert module.ABOUT
        assert callable(module.measure)
        assert isinstance(module.WHY, dict)


def test_what_is_measured_stays_when_a_section_fails_or_one_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def some(function: str, **_: object) -> dict[str, Any]:
        done.append(function)
        if "growth" in function:
            raise FailedError("no")
        if "equality" in function:
            raise KeyboardInterrupt
        return section(Row("a", [1.0], 2.0))

    monkeypatch.setattr(program, "fresh", some)
    arguments = ["--page", str(tmp_path / "benchmarks.md")]
    ran = CliRunner().invoke(program.main, arguments)
    assert ran.exit_code == 130
    assert len(done) == len(page.SECTIONS)
    text = (tmp_path / "benchmarks.md").read_text()
    assert text.count("Not measured; run") == 2
    assert text.count("| a | 1 | ≤ 2 | met |") == len(page.SECTIONS) - 2
    again = CliRunner().invoke(program.main, [*arguments, "--only", "growth"])
    assert again.exit_code == 1
    redrawn = CliRunner().invoke(program.main, [*arguments, "--redraw"])
    assert redrawn.exit_code == 0
    assert (tmp_path / "benchmarks.md").read_text() == text


def test_a_call_in_a_fresh_process_gives_its_value() -> None:
    found = fresh("os:getenv", {"SOME": "x"}, key="SOME")
    assert found == "x"
    with pytest.raises(FailedError, match="exit code 1"):
        fresh("os:no_such_function")


def test_contestants_take_turns() -> None:
    order: list[str] = []
    seconds = in_turns(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, before=lambda: order.append("-")
    )
    assert "".join(order) == "-a-b" * 3
    assert [len(values) for values in seconds.values()] == [2, 2]
    assert over({"a": [2.0, 3.0], "b": [1.0, 2.0]}, "a", "b") == [2.0, 1.5]
    assert "`sorted`" in profiled(lambda: sorted(range(100_000, 0, -1)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", [equality, neurons, training, vgg])
def test_a_section_measures_in_small(module: Any) -> None:
    """Its numbers mean nothing."""
    found = module.measure(quick=True)
    assert found.rows or found.notes
    assert all(row.values for row in found.rows)


@pytest.mark.filterwarnings("ignore")
def test_a_peer_that_is_missing_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spikingjelly", None)
    found = training.measure(quick=True)
    assert any("spikingjelly is left out: " in note for note in found.notes)
    assert [row.what for row in found.rows] == ["training step over the ANN"]


def test_growth_in_small() -> None:
    assert growth.exponent([(1.0, 2.0), (10.0, 20.0)]) == pytest.approx(1)
    names = [name for name, _, make in growth.subjects(100) if make]
    assert len(names) == 5
    assert len(growth.chain(10).nodes) == 12


def test_the_kept_page_is_that_of_its_files(tmp_path: Path) -> None:
    """Nobody edited it."""
    kept = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    shutil.copytree(kept.with_suffix(""), tmp_path / "benchmarks")
    page.write_page(tmp_path / "benchmarks.md")
    assert (tmp_path / "benchmarks.md").read_text() == kept.read_text()
    assert page.QUICK not in kept.read_text()


def test_every_part_of_a_profile_has_a_name() -> None:
    """torch's operators have one that ends in a dot; the kept page shows none that is empty."""
    import torch

    x = torch.zeros(1, 4, 4)
    assert "``" not in profiled(lambda: torch.ops.aten.relu.default(x), most=20)
    assert "``" not in (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
