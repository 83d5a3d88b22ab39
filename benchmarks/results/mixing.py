"""LM-HT against IF at equal L·T, and hybrid training against direct."""

from __future__ import annotations

from pathlib import Path

from . import levels
from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import bars
from .plan import Plan
from .recipes import DIGITS, NMNIST, ONE_SAMPLE, Section, digits, nmnist
from .statistics import Runs, Sample
from .verdicts import Claim, larger, within

NAME = "mixing"
TITLE = "LM-HT against IF, hybrid against direct training (Hao et al.)"
DIRECT, HYBRID = "lm-ht", "qcfs-lm-ht"
CELLS = ((4, 1), (2, 2), (1, 4), (4, 2), (2, 4))
"""L, T."""


def jobs(plan: Plan) -> list[Job]:
    """LM-HT for products of 4 and 8; hybrids of still images alone, as an analog network has no time."""
    found = []
    cells = ((2, 2),) if plan.quick else CELLS
    for recipe, data in ((DIRECT, NMNIST), (DIRECT, DIGITS), (HYBRID, DIGITS)):
        for count, steps in cells:
            cell = {"recipe": recipe, "L": count, "T": steps}
            told = work(plan, data, recipe, count, steps)
            found += [Job(NAME, data, cell, seed, "train", told) for seed in range(plan.seeds)]
    return found


def work(plan: Plan, data: str, recipe: str, count: int, steps: int) -> Section:
    if data == NMNIST:
        return nmnist(plan, steps, levels.INPUT_LANES[steps], recipe=recipe, levels=count)
    return digits(plan, steps, recipe, levels=count)


def section(runs: Runs, folder: Path) -> list[str]:
    """Table, picture and claims."""
    text = [
        "Accuracy in %. IF is the binary IF at T = L·T steps, trained in the same way (from the table of multi-level "
        "IF). N-MNIST is cut into 8 frames for all. Hybrid: an analog QCFS network with Q = L·T for the first 15 "
        "epochs, then LM-HT for 10; direct: LM-HT for 25."
    ]
    rows, groups = [], {}
    for count, steps in sorted(_cells(runs, DIGITS, DIRECT), key=lambda cell: (cell[0] * cell[1], cell[1])):
        found = {
            "IF": _binary(runs, DIGITS, count * steps),
            "LM-HT, direct": _at(runs, DIGITS, DIRECT, count, steps),
            "LM-HT, hybrid": _at(runs, DIGITS, HYBRID, count, steps),
        }
        shown = {name: sample for name, sample in found.items() if sample is not None}
        analog = runs.sample("ann_accuracy", NAME, DIGITS, 100.0, recipe=HYBRID, L=count, T=steps)
        nmnist_if = _binary(runs, NMNIST, count * steps)
        events = [s.text() if s else "" for s in (nmnist_if, _at(runs, NMNIST, DIRECT, count, steps))]
        row = [found[name].text() if name in shown else "" for name in found]
        rows.append((f"L={count}, T={steps} (L·T={count * steps})", *events, *row, analog.text()))
        groups[f"{count}×{steps}"] = shown
    headers = ("", "nmnist: IF", "nmnist: LM-HT", "digits: IF", "direct", "hybrid", "hybrid's QCFS network")
    text.append(table(headers, rows))
    if all(len(members) == 3 for members in groups.values()):
        bars(folder / "mixing.png", groups, "accuracy, %", "digits: L×T", cut_below=True)
        text.append(picture("mixing.png", "LM-HT and IF on digits"))
    return [*text, claims_table(claims(runs))]


def claims(runs: Runs) -> list[Claim]:
    """What the paper says of LM-HT."""
    found = []
    for data in (NMNIST, DIGITS):
        binary, ours = _binary(runs, data, 4), _at(runs, data, DIRECT, 2, 2)
        if binary is not None:
            found.append(
                Claim(
                    "L=2, T=2 above earlier binary SNNs of 4 steps (CIFAR-100, ResNet-19: 81.76 %)",
                    f"{data}: LM-HT with L=2, T=2 above IF at T=4",
                    larger(ours, binary, ONE_SAMPLE[data]),
                    "At equal L·T both carry the same number of levels; what differs is the surrogate and the mixing "
                    "of steps, which a shallow network and an easy data set hardly need. On N-MNIST both end at 2: the "
                    "V_th of the IF was chosen by the trials below, θ of LM-HT is the paper's 2/L.",
                )
            )
    for count, steps in _cells(runs, DIGITS, HYBRID)[:1] if len(_cells(runs, DIGITS, HYBRID)) < 5 else ((4, 2),):
        hybrid, direct = (_at(runs, DIGITS, recipe, count, steps) for recipe in (HYBRID, DIRECT))
        analog = runs.sample("ann_accuracy", NAME, DIGITS, 100.0, recipe=HYBRID, L=count, T=steps)
        found += [
            Claim(
                "hybrid training brings LM-HT to the level of its ANN",
                f"digits: hybrid L={count}, T={steps} within 0.5 points of its QCFS network",
                within(hybrid, analog, 0.5),
                "The few epochs with spikes move away from an optimum that was exact.",
            ),
            Claim(
                "few epochs after a QCFS network suffice (CIFAR-100, VGG-16: 76.49 %)",
                f"digits: hybrid L={count}, T={steps} within 1 point of direct training of the same length",
                within(hybrid, direct, 1.0),
                "QCFS starts at a ceiling of 8, far above these currents: with few levels most of its steps stay "
                "empty until the ceiling has come down, which 15 epochs hardly allow.",
            ),
        ]
    return found + _eight(runs)


def _eight(runs: Runs) -> list[Claim]:
    if (2, 4) not in _cells(runs, DIGITS, DIRECT):
        return []
    why = "The paper's differences are 0.1 to 1.8 points on large data; the spread of seeds here is as large."
    found = []
    for recipe, better, other in ((DIRECT, (4, 2), (2, 4)), (HYBRID, (2, 4), (4, 2))):
        a, b = (_at(runs, DIGITS, recipe, *cell) for cell in (better, other))
        names = [f"L={count}, T={steps}" for count, steps in (better, other)]
        kind = "direct" if recipe == DIRECT else "hybrid"
        claim = f"L·T=8, {kind} training: {names[0]} above {names[1]}"
        found.append(Claim(claim, f"digits: {names[0]} above {names[1]}, {kind}", larger(a, b, 0.2), why))
    return found


def _cells(runs: Runs, data: str, recipe: str) -> list[tuple[int, int]]:
    return [(cell["L"], cell["T"]) for cell in runs.cells(NAME, data) if cell["recipe"] == recipe]


def _at(runs: Runs, data: str, recipe: str, count: int, steps: int) -> Sample:
    return runs.accuracy(NAME, data, recipe=recipe, L=count, T=steps)


def _binary(runs: Runs, data: str, steps: int) -> Sample | None:
    return runs.accuracy(levels.NAME, data, T=steps, N=1) if runs.of(levels.NAME, data, T=steps, N=1) else None
