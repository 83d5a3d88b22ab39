"""An energy report as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nirbridge.reports import counted, printable, table

if TYPE_CHECKING:
    from nirbridge.costing.report import EnergyReport

_NUMBERS = ("rate", "events", "values", "operations", "pJ", "ANN pJ", "ANN/SNN")


def to_table(report: EnergyReport) -> str:
    """One row a layer and the total, then the sum in words, the assumptions and the nodes that are not counted."""
    rows: list[tuple[str, ...]] = [
        (
            row.layer,
            row.type,
            row.input,
            "-" if row.rate is None else f"{row.rate:.4f}",
            number(row.events),
            number(row.values),
            number(row.operations),
            number(row.pj),
            number(row.ann_pj),
            ratio_text(row.ratio),
        )
        for row in report.layers
    ]
    total = [number(v) for v in (report.events, report.values, report.operations, report.pj, report.ann_pj)]
    rows.append(("total", "", "", "", *total, ratio_text(report.ratio)))
    lines = [
        table(("layer", "type", "input", *_NUMBERS), rows, right=_NUMBERS),
        "",
        f"model '{report.model}', {report.bits} bits: {energy_text(report.pj)} an inference, the ANN with the same "
        f"synapses {energy_text(report.ann_pj)}; mean of {counted(report.samples, 'sample')} of "
        f"{counted(report.inferences, 'inference')} with {counted(report.steps, 'step')}, recorded on "
        f"'{report.runtime}'",
        *report.assumptions,
        *(f"not counted: {name}: {reason}" for name, reason in report.not_counted.items()),
    ]
    return "\n".join((lines[0], *map(printable, lines[1:])))


def number(value: float) -> str:
    """A count or an energy: whole numbers with their thousands apart, others with a digit or more behind the point."""
    return f"{value:,.0f}" if value == round(value) or value >= 1e4 else f"{value:,.4g}"


def energy_text(pj: float) -> str:
    """An energy with four digits and its unit."""
    for limit, factor, unit in ((1e3, 1.0, "pJ"), (1e6, 1e-3, "nJ"), (1e9, 1e-6, "µJ"), (1e12, 1e-9, "mJ")):
        if pj < limit:
            return f"{pj * factor:.4g} {unit}"
    return f"{pj * 1e-12:.4g} J"


def ratio_text(ratio: float | None) -> str:
    """A ratio with three digits, ``-`` where there is none."""
    return "-" if ratio is None else f"{ratio:.3g}"
