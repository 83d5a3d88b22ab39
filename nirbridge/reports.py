"""Text for terminals: tables, numbers, shapes and times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

GAP = "  "


def printable(text: str) -> str:
    """``text`` on one line, with every character that could steer a terminal written out.

    Names of nodes come from files of strangers.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def json_text(data: Any, indent: int | None = None) -> str:
    """Plain data as JSON in ASCII, on one line unless indented; NaN and infinity, which JSON lacks, are refused."""
    # DEL is the one control character that JSON leaves as it is.
    return json.dumps(data, indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def drawable(text: str) -> str:
    """``text`` as it is in a picture of matplotlib, which would read what stands between dollars as mathematics."""
    return printable(text).replace("$", r"\$")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[str] = ()) -> str:
    """Columns aligned under their headers, with no space behind the last one.

    Args:
        headers: one name for each column.
        rows: the cells, shown by ``str``.
        right: names of the columns that are aligned at the right.
    """
    cells = [list(headers), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    at_right = set(right)
    lines = []
    for row in cells:
        padded = (
            cell.rjust(width) if header in at_right else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        )
        lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def shape_text(shape: Sequence[int] | None) -> str:
    """A shape as ``2x34x34``, ``()`` for a single number, ``?`` where it is not known."""
    if shape is None:
        return "?"
    return "x".join(map(str, shape)) if len(shape) else "()"


def count_text(count: int) -> str:
    """A whole number with its thousands apart."""
    return f"{count:,}"


def span(values: Iterable[float]) -> str:
    """Smallest and largest of some numbers, or the one that they all are."""
    found = sorted(values)
    low, high = f"{found[0]:g}", f"{found[-1]:g}"
    return low if low == high else f"{low} to {high}"


def counted(count: int, singular: str, plural: str = "") -> str:
    """A number with its noun: ``1 node``, ``2 nodes``."""
    return f"{count_text(count)} {singular if count == 1 else plural or singular + 's'}"


def seconds_text(seconds: float) -> str:
    """A duration with three digits and its unit."""
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if float(f"{seconds:.3g}") < limit:  # as it is shown: 999.9 ms are 1 s
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def rate_text(events: float) -> str:
    """Events a second with three digits."""
    for limit, unit in ((1e6, "Mev/s"), (1e3, "kev/s")):
        if float(f"{events:.3g}") >= limit:
            return f"{events / limit:.3g} {unit}"
    return f"{events:.3g} ev/s"
