"""Counts, energies and ratios as text."""

from __future__ import annotations


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
