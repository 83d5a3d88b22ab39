"""``docs/benchmarks.md`` and its pictures from the sections' files; nothing on it is written by hand but reasons."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.results.markdown import table
from nirbridge.files import write_whole

from . import cnn, converted, encode, equality, growth, memory, neurons, pictures, starting, threads, training, vgg
from .measuring import AT_MOST, spread
from .store import Found, read_section

SECTIONS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (vgg, converted, cnn, neurons, encode, starting, training, threads, memory, growth, equality)
}
MET, MISSED = "met", "MISSED"
GPU = ("gpu.md", "python benchmarks/gpu.py --out docs/benchmarks/gpu.md")

TITLE = """# Benchmarks

Ratios against peers, each measured in one run. `make bench` writes this page, its pictures and the JSON beside them
(`benchmarks/*.json`); no number on it is edited by hand. `python -m benchmarks.speed --only NAME` measures one section
again, `--redraw` draws the page from the JSON.

How to read it: contestants run in turns in one process, a first round warms up; a value is the median over the rounds,
with the lowest and the highest behind it, and the median is judged. Results are checked equal before anything is timed.
A target that is missed stays here as missed, with the profile or the reason."""
QUICK = "**A quick trial of the machinery at tiny sizes. Its numbers mean nothing.**"


def write_page(page: Path) -> None:
    """Writes pictures, then the page, whole or not at all."""
    folder = page.with_suffix("")
    found = {name: read_section(folder, name) for name in SECTIONS}
    measured = {name: content for name, content in found.items() if content is not None}
    rows = [row for content in measured.values() for row in content["rows"] if row["target"] is not None]
    quick = [QUICK] if any(content["quick"] for content in measured.values()) else []
    parts = [TITLE, *quick, _machines(list(measured.values())), _overview(rows)]
    if rows:
        pictures.targets(folder / "targets.png", rows)
        parts.append("![every median and range over its target; left of the line is met](benchmarks/targets.png)")
    for name, module in SECTIONS.items():
        parts.append(f"## {module.TITLE}\n\n{module.ABOUT}")
        parts.append(
            _section(module, measured[name], folder) if name in measured else f"Not measured; run `--only {name}`."
        )
    parts.append(_gpu(folder))
    write_whole(page, "\n\n".join(parts) + "\n")


def verdict(row: dict[str, Any]) -> str:
    """By the median."""
    median, target = spread(row["values"])[0], row["target"]
    return MET if (median <= target if row["bound"] == AT_MOST else median >= target) else MISSED


def _machines(contents: list[Found]) -> str:
    """One line, or one for each machine and day where sections are of several."""
    lines: dict[str, float] = {}
    for content in contents:
        lines[_machine(content)] = lines.get(_machine(content), 0) + content["took"]
    several = "**The sections are of several machines, days or versions.**\n\n" if len(lines) > 1 else ""
    return several + "\n\n".join(f"{line} {took / 60:.1f} minutes in all." for line, took in lines.items())


def _machine(content: Found) -> str:
    machine = content["machine"]
    versions = ", ".join(f"{name} {number or '(not installed)'}" for name, number in machine["versions"].items())
    instructions = ", ".join(machine["instructions"]) or "none of AMX, VNNI, AVX2"
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {instructions}; Python {machine['python']}, "
        f"{versions}. Measured on {content['date']}."
    )


def _overview(rows: list[dict[str, Any]]) -> str:
    lines = [
        (
            row["what"],
            shown(row["values"], row["unit"]),
            f"{_SIGN[row['bound']]} {row['target']:g}",
            _bold(verdict(row)),
        )
        for row in rows
    ]
    met = sum(verdict(row) == MET for row in rows)
    text = table(("what", "median (range)", "target", "verdict"), lines, right=False)
    return f"## Targets\n\n{met} of {len(rows)} are met.\n\n{text}"


_SIGN = {AT_MOST: "≤", "at least": "≥"}


def _bold(word: str) -> str:
    return f"**{word}**" if word == MISSED else word


def shown(values: list[float], unit: str) -> str:
    """Median and range."""
    digits = zip(spread(values), (4, 3, 3), strict=True)  # enough to see on which side of its target a median is
    median, low, high = (f"{value:.{n}g}" if abs(value) < 100 else f"{value:,.0f}" for value, n in digits)
    unit = "" if unit == "×" else f" {unit}"
    return f"{median}{unit}" if len(values) == 1 else f"{median}{unit} ({low}–{high})"


def _section(module: ModuleType, content: Found, folder: Path) -> str:
    parts = []
    if content["notes"]:
        parts.append("\n".join(f"- {note}" for note in content["notes"]))
    informing = [(row["what"], shown(row["values"], row["unit"])) for row in content["rows"] if row["target"] is None]
    if informing:
        parts.append(table(("beside", "median (range)"), informing))
    timed = [row for row in content["rows"] if row["seconds"]]
    if timed:
        parts.append(_contestants(timed))
    if missed := _missed(module, content["rows"]):
        parts.append(missed)
    if content["curves"]:
        pictures.growth(folder / f"{module.NAME}.png", content["curves"])
        parts.append(f"![{module.TITLE}](benchmarks/{module.NAME}.png)")
    return "\n\n".join(parts)


def _contestants(rows: list[dict[str, Any]]) -> str:
    """Their times, one line a contestant."""
    lines = []
    for row in rows:
        names = [row["what"], *[""] * (len(row["seconds"]) - 1)]
        for what, (name, seconds) in zip(names, row["seconds"].items(), strict=True):
            lines.append((what, name, shown([1e3 * value for value in seconds], "ms")))
    return table(("of", "contestant", "median (range)"), lines, right=False)


def _missed(module: ModuleType, rows: list[dict[str, Any]]) -> str:
    """The hand-written reason whose key a row's name holds, and below it the rows with what was measured of them."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["target"] is not None and verdict(row) == MISSED:
            why = next((reason for key, reason in module.WHY.items() if key in row["what"]), "No reason is known yet.")
            profile = f": own time {row['profile']}" if row["profile"] else ""
            reasons.setdefault(why, []).append(f"  - {row['what']}{profile}")
    lines = [line for why, found in reasons.items() for line in (f"- {why}", *found)]
    return "Missed, and why:\n\n" + "\n".join(lines) if lines else ""


def _gpu(folder: Path) -> str:
    name, command = GPU
    if (folder / name).is_file():
        return "#" + (folder / name).read_text(encoding="utf-8").strip()
    return f"## On a GPU\n\nNot yet run on a GPU. `{command}` is the prepared script."
