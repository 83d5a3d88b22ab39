"""Pieces of the page as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .verdicts import Claim


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], right: bool = True) -> str:
    """A markdown table; all columns but the first at the right."""
    marks = ["---", *("---:" if right else "---" for _ in headers[1:])]
    lines = [headers, marks, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def claims_table(claims: Sequence[Claim]) -> str:
    """Claims beside findings, then the reasons of those that are not supported."""
    rows = [(c.paper, c.ours, c.finding.numbers, f"**{c.finding.verdict}**") for c in claims]
    reasons = [f"- *{c.ours}* ({c.finding.verdict}): {c.reason}" for c in claims if c.reason]
    text = table(("the paper", "tested here", "our numbers", "verdict"), rows, right=False)
    return text + ("\n\nWhy not:\n\n" + "\n".join(reasons) if reasons else "")


def picture(name: str, text: str) -> str:
    """A picture of the page's folder."""
    return f"![{text}](results/{name})"
