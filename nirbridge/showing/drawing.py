"""Pieces of SVG that all parts of a picture use."""

from __future__ import annotations

from html import escape

from nirbridge.reports import printable

INK = "#1b1b1b"
EDGE = "#5f6368"
DASHES = ' stroke-dasharray="5 4"'
"""What marks a line that brings the value of the step before."""
_NARROW, _WIDE = frozenset("ijlt.,:;|'!()[] "), frozenset("mwMWGOQD@%")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in a wide sans-serif font, in pixels."""
    units = sum(0.35 if c in _NARROW else 0.92 if c in _WIDE else 0.7 if c.isupper() else 0.62 for c in text)
    return units * size * (1.08 if bold else 1.0)


def draw_text(
    x: float, y: float, text: str, size: int, anchor: str = "start", bold: bool = False, fill: str = INK
) -> str:
    """A line of text whose baseline is at ``y``."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{weight} fill="{fill}">'
        f"{escaped(text)}</text>"
    )


def escaped(text: str, keep_lines: bool = False) -> str:
    """Safe inside of XML, which has no form at all for control characters."""
    lines = text.split("\n") if keep_lines else [text]
    return "\n".join(escape(printable(line)) for line in lines)
