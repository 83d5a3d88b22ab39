"""What makes docstrings Markdown, and what finds public names that the reference lacks."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
API = ROOT / "docs" / "api"


def _tool(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "site"))
    for module in ("docstrings", "equations", "reference"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(name)


@pytest.fixture
def to_markdown(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    for needed in ("griffe", "latex2mathml"):
        pytest.importorskip(needed)
    return _tool("docstrings", monkeypatch).to_markdown


def test_an_equation_becomes_mathml_with_lines_aligned_and_names_whole(to_markdown: Callable[[str], str]) -> None:
    text = to_markdown(
        "A neuron.\n\n    .. math::\n        u &= decay \\cdot v \\\\\n        y &= x\n\n    The end.\n    "
    )
    equation = re.search(r'<div class="equation">(<math.*</math>)</div>', text)
    assert equation is not None
    assert '<mi class="name">decay</mi>' in equation[1]
    assert equation[1].count("<mtr>") == 2
    assert equation[1].count('<mtd columnalign="right">') == 2
    assert text.startswith("A neuron.")
    assert text.endswith("The end.")


def test_an_equation_may_stand_on_the_line_of_its_mark(to_markdown: Callable[[str], str]) -> None:
    text = to_markdown(".. math:: T + \\max_{path} T_w\n\nT_w is a wait.")
    assert "max" in text
    assert "<math" in text
    assert text.endswith("T_w is a wait.")


def test_roles_become_links_and_literals_code(to_markdown: Callable[[str], str]) -> None:
    text = to_markdown(
        "See :func:`nirbridge.compile`, :class:`~nirbridge.primitives.Spec`, ``x[t]`` and :math:`a < b`."
    )
    assert '<autoref identifier="nirbridge.compile" optional><code>nirbridge.compile</code></autoref>' in text
    assert '<autoref identifier="nirbridge.primitives.Spec" optional><code>Spec</code></autoref>' in text
    assert "`x[t]`" in text
    assert text.count("<math") == 1


def test_a_literal_block_stays_as_it_is(to_markdown: Callable[[str], str]) -> None:
    text = to_markdown("Equations::\n\n    y = w * x   <= 1\n      z\n\nArgs:\n    x: the input.")
    assert "Equations:\n\n```text\ny = w * x   <= 1\n  z\n```\n" in text
    assert "Args:\n    x: the input." in text


def test_prose_means_what_it_says(to_markdown: Callable[[str], str]) -> None:
    assert to_markdown("[T, B, *shape] where a < b and c*d is *not* code") == (
        r"[T, B, \*shape] where a &lt; b and c\*d is *not* code"
    )


def test_every_public_package_has_a_place_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = _tool("reference", monkeypatch)
    shown = set(re.findall(r"^::: (\S+)", "\n".join(page.read_text() for page in API.glob("*.md")), re.MULTILINE))
    modules = dict(reference.public_names())
    assert {"nirbridge", "nirbridge.neurons", "nirbridge_events", "nirbridge_lava"} <= set(modules)
    assert set(modules) <= shown
    assert modules["nirbridge.chips"] == (
        *("CHIPS", "FIGURES", "Chip", "ChipReport", "Figures", "LayerOnChip", "Limit", "StepCost", "check_chip"),
    )


def test_a_name_that_the_reference_lacks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = _tool("reference", monkeypatch)
    lacking = {"nirbridge.compile", "nirbridge.ir.read"}
    assert set(reference.missing(lambda name: name not in lacking)) == lacking


def test_every_page_is_in_the_navigation() -> None:
    lines = (ROOT / "mkdocs.yml").read_text().splitlines()
    named = {name for line in lines for name in re.findall(r"[\w/]+\.md", line.partition("#")[0])}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - named == set()
