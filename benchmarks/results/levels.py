"""Multi-level IF over levels N and steps T."""

from __future__ import annotations

from pathlib import Path

from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import curves
from .plan import Plan
from .recipes import DIGITS, NMNIST, ONE_SAMPLE, Section, digits, level_neuron, nmnist
from .recipes import LEVELS as GROUPS
from .statistics import Runs, Sample
from .verdicts import Claim, at_least, larger, within

NAME = "levels"
TITLE = "Multi-level IF over its levels (Castagnetti et al.)"
STEPS, LEVELS = (1, 2, 4), (1, 2, 4, 8)
BINARY_STEPS = {NMNIST: (8, 10), DIGITS: (8,)}
"""More steps of the binary neuron alone."""
INPUT_LANES = {1: 4, 2: 3, 4: 2}
"""S of N-MNIST's input by T: every recording is cut into 8 frames, whatever T is; more steps get binary frames."""


def jobs(plan: Plan) -> list[Job]:
    """Every T with every N, and a binary neuron with more steps."""
    found = []
    for data in (NMNIST, DIGITS):
        more = plan.ends(BINARY_STEPS[data])
        cells = [{"T": t, "N": 1} for t in reversed(more)]
        cells += [{"T": t, "N": n} for t in sorted(plan.ends(STEPS), reverse=True) for n in plan.ends(LEVELS)]
        for cell in cells:
            found += [Job(NAME, data, cell, seed, "train", work(plan, data, **cell)) for seed in range(plan.seeds)]
    return found


def work(plan: Plan, data: str, T: int, N: int) -> Section:
    if data == NMNIST:
        neuron = level_neuron(plan, GROUPS[data], N)
        return nmnist(plan, T, INPUT_LANES.get(T, 1), group=GROUPS[data], neuron=neuron)
    return digits(plan, T, group=GROUPS[data], neuron=level_neuron(plan, GROUPS[data], N))


def section(runs: Runs, folder: Path) -> list[str]:
    """Tables, pictures and claims."""
    theta = {data: runs.of(NAME, data)[0]["work"]["neuron"]["threshold"] for data in (NMNIST, DIGITS)}
    text = [
        "Accuracy in % of the multi-level IF with N levels; N = 1 is the binary IF. N-MNIST is cut into 8 frames of "
        "equal event count for T = 1, 2, 4, 8 (one-hot steps of 8, 4, 2 or 1 of them) and into 10 for T = 10, so that "
        "all see the same events. Direct training; V_th = "
        f"{theta[NMNIST]:g} on N-MNIST, {theta[DIGITS]:g} on digits."
    ]
    for data in (NMNIST, DIGITS):
        cells = [(cell["T"], cell["N"]) for cell in runs.cells(NAME, data)]
        steps, levels = sorted({t for t, _ in cells}), sorted({n for _, n in cells})
        found = {(t, n): runs.accuracy(NAME, data, T=t, N=n) for t, n in cells}
        rows = [(f"N={n}", *(found[t, n].text() if (t, n) in found else "" for t in steps)) for n in levels]
        text.append(table((data, *(f"T={t}" for t in steps)), rows))
        name = f"levels-{data}.png"
        short = [t for t in steps if all((t, n) in found for n in levels)]
        lines = {f"T={t}": [(float(n), found[t, n]) for n in levels] for t in short}
        curves(folder / name, lines, "levels N", "accuracy, %", f"multi-level IF on {data}", x_log=True)
        text.append(picture(name, f"accuracy over levels on {data}"))
    text.append(
        table(
            ("digits, equal N·T", "levels × steps", "accuracy, %", "energy, memory model, nJ", "events per neuron"),
            [
                (f"N·T={n * t}", f"{n}×{t}", runs.accuracy(NAME, DIGITS, T=t, N=n).text(), *_costs(runs, t, n))
                for t, n in sorted(((c["T"], c["N"]) for c in runs.cells(NAME, DIGITS)), key=lambda c: (c[0] * c[1], c))
                if t * n in (4, 8)
            ],
        )
    )
    return [*text, claims_table(claims(runs))]


def _costs(runs: Runs, steps: int, levels: int) -> tuple[str, str]:
    energy = runs.sample("memory_pj", NAME, DIGITS, 1e-3, T=steps, N=levels)
    return energy.text(0), runs.sample("events", NAME, DIGITS, T=steps, N=levels).text(3)


def claims(runs: Runs) -> list[Claim]:
    """What the paper says of levels."""
    top = max(cell["N"] for cell in runs.cells(NAME, NMNIST))
    many = max(cell["T"] for cell in runs.cells(NAME, NMNIST))
    found = [
        Claim(
            "event data: latency down to 1 step, 10 times less, without loss of accuracy",
            f"N-MNIST: N={top} at T=1 within 1 point of the binary IF at T={many}",
            within(_at(runs, NMNIST, 1, top), _at(runs, NMNIST, many, 1), 1.0),
            "One step sees the counts of a recording's events, not their order.",
        )
    ]
    for data in (NMNIST, DIGITS):
        found.append(
            Claim(
                "more levels carry more information a step",
                f"{data}: N={top} above N=1 at T=1",
                larger(_at(runs, data, 1, top), _at(runs, data, 1, 1), ONE_SAMPLE[data]),
                "Binary neurons suffice for so easy a data set, or the spread of the seeds hides the difference.",
            )
        )
    return found + _energy_claims(runs)


def _energy_claims(runs: Runs) -> list[Claim]:
    cells = {(cell["T"], cell["N"]) for cell in runs.cells(NAME, DIGITS)}
    pairs = [(t, t) for t in (4, 8) if (t, 1) in cells and (1, t) in cells]
    found = []
    for steps, levels in pairs:
        binary = runs.sample("memory_pj", NAME, DIGITS, T=steps, N=1)
        ratio = binary.each(lambda a, b: a / b, runs.sample("memory_pj", NAME, DIGITS, T=1, N=levels))
        found.append(
            Claim(
                "images: 2 to 3 times less energy than binary SNNs",
                f"digits, memory model: IF at T={steps} takes at least 2 times the energy of N={levels} at T=1",
                at_least(ratio, 2.0),
                "The dense first layer costs the same in both, and on 8x8 pixels it is a large part of the whole.",
            )
        )
    return found


def _at(runs: Runs, data: str, steps: int, levels: int) -> Sample:
    return runs.accuracy(NAME, data, T=steps, N=levels)
