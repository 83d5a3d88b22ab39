"""The Python code in the pages runs, in the order of each page, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import Reader, blocks_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "```python" in page.read_text() and page.name != "own_neuron.md"  # its package is installed in tests/own_neuron
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run_and_print_what_stands_below(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("norse")
    monkeypatch.chdir(tmp_path)
    reader = Reader()
    blocks = [block for block in blocks_of(page) if block.kind == "python"]
    assert blocks
    for block in blocks:
        reader.run(block)


def test_links_and_pictures_exist() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


_SOURCES = ("nirbridge", "runtimes", "datasets", "examples", "benchmarks", "docs", "tests", "tools")
_OURS_ALONE = re.compile(
    r"\bseeds? (?:paper|\d{3})|\bseed papers?|(?<![(/])\b(?:neurons|facts|style|ir)\.md\b|shared/spec", re.IGNORECASE
)
_ON_NO_INDEX = re.compile(r"nirbridge\[\w")
_RELEASES = re.compile(r"\b([\w-]+)(>=[\d.]*\d(?:,<\d+)?)")


def _lines() -> list[tuple[str, str]]:
    """Every line of text that a user can meet: code, its help and pages."""
    files = [ROOT / "README.md", *(file for top in _SOURCES for file in (ROOT / top).rglob("*"))]
    texts = [file for file in files if file.suffix in (".py", ".md") and file != Path(__file__)]
    return [(str(file.relative_to(ROOT)), line) for file in texts for line in file.read_text().splitlines()]


def test_papers_are_cited_by_author_and_year_and_not_by_what_no_user_has() -> None:
    generated = {"docs/cli.md"}  # of the help texts, which are looked at here too
    assert [line for file, line in _lines() if _OURS_ALONE.search(line) and file not in generated] == []


def test_hints_name_packages_that_an_index_has() -> None:
    assert [line for file, line in _lines() if _ON_NO_INDEX.search(line)] == []


def test_releases_that_hints_and_pages_name_are_those_that_the_project_needs() -> None:
    needed = dict(_RELEASES.findall((ROOT / "pyproject.toml").read_text()))
    lines = [(file, line) for file, line in _lines() if not file.startswith("tests/")]
    named = [(file, name, least) for file, line in lines for name, least in _RELEASES.findall(line)]
    assert {name for _, name, _ in named} > {"torch", "lava-nc", "distributed"}
    assert [found for found in named if needed.get(found[1], found[2]) != found[2]] == []
