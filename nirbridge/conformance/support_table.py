"""Verdicts → node × runtime × precision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nirbridge.conformance.judging import Verdict
from nirbridge.ir import PRIMITIVES, all_specs
from nirbridge.reports import table


@dataclass(frozen=True)
class Cell:
    """One node type on one runtime in one precision.

    Attributes:
        node: name of the primitive.
        runtime: name of the runtime.
        precision: "float" or "fixed".
        exact: cases that ran with every value equal.
        cases: cases in all.
        reasons: why the others did not.
        broken: cases that differ or fail.
    """

    node: str
    runtime: str
    precision: str
    exact: int
    cases: int
    reasons: tuple[str, ...]
    broken: int

    @property
    def text(self) -> str:
        """ "exact", "exact in 3 of 4", "no", "differs" or, where there is no case, "not judged"."""
        if self.broken:
            return "differs"
        if not self.cases:
            return "not judged"
        if self.exact == self.cases:
            return "exact"
        return f"exact in {self.exact} of {self.cases}" if self.exact else "no"


def support_cells(verdicts: Iterable[Verdict]) -> list[Cell]:
    """A cell for every primitive, runtime and precision."""
    listed = list(verdicts)
    columns = dict.fromkeys((verdict.runtime, verdict.precision) for verdict in listed)
    plugins = [spec.node.__name__ for spec in all_specs() if spec.stored and spec.node.__name__ not in PRIMITIVES]
    return [_cell(node, *column, listed) for node in (*PRIMITIVES, *plugins) for column in columns]


def _cell(node: str, runtime: str, precision: str, verdicts: list[Verdict]) -> Cell:
    own = [v for v in verdicts if (v.runtime, v.precision) == (runtime, precision) and node in v.kinds]
    reasons = dict.fromkeys(f"{v.case}: {v.detail}" if v.state != "refused" else v.detail for v in own if v.detail)
    exact = sum(v.state == "exact" for v in own)
    broken = sum(not v.conforms for v in own)
    return Cell(node, runtime, precision, exact, len(own), tuple(reasons), broken)


def to_table(cells: Sequence[Cell]) -> str:
    """For a terminal: a row for each node, a column for each runtime and precision, the reasons below."""
    columns, rows = _grid(cells)
    lines = [table(("node", *columns), [(node, *(cell.text for cell in row)) for node, row in rows.items()])]
    lines += [
        f"{cell.node}, {_column(cell)}: {reason}" for row in rows.values() for cell in row for reason in cell.reasons
    ]
    return "\n".join(lines)


def to_markdown(cells: Sequence[Cell]) -> str:
    """For docs/support.md; every cell that is not plainly exact has a numbered note."""
    columns, rows = _grid(cells)
    notes: dict[str, int] = {}
    lines = [f"| node | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for node, row in rows.items():
        texts = []
        for cell in row:
            marks = " ".join(f"[{notes.setdefault(reason, len(notes) + 1)}]" for reason in cell.reasons)
            texts.append(f"{cell.text} {marks}".rstrip())
        lines.append(f"| {node} | {' | '.join(texts)} |")
    return "\n".join([*lines, "", *(f"{number}. {note.rstrip('.')}." for note, number in notes.items()), ""])


def _grid(cells: Sequence[Cell]) -> tuple[list[str], dict[str, list[Cell]]]:
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.node, []).append(cell)
    return list(dict.fromkeys(_column(cell) for cell in cells)), rows


def _column(cell: Cell) -> str:
    return f"{cell.runtime} {cell.precision}"
