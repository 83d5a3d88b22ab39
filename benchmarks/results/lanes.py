"""M-LIF against LIF over steps T and lanes S."""

from __future__ import annotations

from pathlib import Path

from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import curves
from .plan import Plan
from .recipes import DIGITS, NMNIST, ONE_SAMPLE, Section, digits, event_neuron, image_neuron, nmnist
from .statistics import Runs, mean_of
from .verdicts import Claim, larger, within

NAME = "lanes"
TITLE = "One-hot M-LIF against LIF (Abillama et al.)"
STEPS, LANES = (1, 2, 3, 5, 10), (1, 2, 3, 4)


def jobs(plan: Plan) -> list[Job]:
    """Every T with every S, the longest first so that none is left over at the end."""
    found = []
    for steps in sorted(plan.ends(STEPS), reverse=True):
        for lanes in plan.ends(LANES):
            for data in (NMNIST, DIGITS):
                cell = {"T": steps, "S": lanes}
                found += [Job(NAME, data, cell, seed, "train", work(plan, data, **cell)) for seed in range(plan.seeds)]
    return found


def work(plan: Plan, data: str, T: int, S: int) -> Section:
    if data == NMNIST:
        return nmnist(plan, T, S, neuron=event_neuron(S))
    return digits(plan, T, "hybrid", neuron=image_neuron(S))


def section(runs: Runs, folder: Path) -> list[str]:
    """Tables, pictures and claims."""
    text = [
        "Accuracy in %, mean ± standard deviation over the seeds. S = 1 is the LIF. The network, the recipe and the "
        "number of epochs are the same in all cells of a table. N-MNIST: each recording is cut into T·2^(S-1) binary "
        "frames of equal event count, 2^(S-1) of which make one one-hot step, so that a cell with more lanes sees "
        "finer slices of the same events (OR-pooling the paper's 80 frames is the same, but 80 is no multiple of all "
        "of these). Digits: the pixels enter as currents at every step; an analog network is trained first, then "
        "spikes."
    ]
    for data in (NMNIST, DIGITS):
        cells = runs.cells(NAME, data)
        steps, lanes = (sorted({cell[name] for cell in cells}) for name in ("T", "S"))
        found = {(t, s): runs.accuracy(NAME, data, T=t, S=s) for t in steps for s in lanes}
        headers = (data, *(f"T={t}" for t in steps))
        rows = [(f"S={s}" + (" (LIF)" if s == 1 else ""), *(found[t, s].text() for t in steps)) for s in lanes]
        text.append(table(headers, rows))
        name = f"lanes-{data}.png"
        lines = {f"S={s}" + (" (LIF)" if s == 1 else ""): [(t, found[t, s]) for t in steps] for s in lanes}
        curves(folder / name, lines, "steps T", "accuracy, %", f"M-LIF on {data}")
        text.append(picture(name, f"accuracy over steps on {data}"))
    return [*text, claims_table(claims(runs))]


def claims(runs: Runs) -> list[Claim]:
    """What the paper says of lanes and steps."""
    n = {(t, s): runs.accuracy(NAME, NMNIST, T=t, S=s) for t, s in _settings(runs, NMNIST)}
    d = {(t, s): runs.accuracy(NAME, DIGITS, T=t, S=s) for t, s in _settings(runs, DIGITS)}
    steps = sorted({t for t, _ in n})
    first, last, top = steps[0], steps[-1], max(s for _, s in n)
    few = 3 if 3 in steps else first
    middle = 3 if any(s == 3 for _, s in d) else top
    ann = runs.sample("ann_accuracy", NAME, DIGITS, 100.0, T=first, S=middle)
    return [
        Claim(
            "latency 3× lower on event data for less than 1 % accuracy",
            f"N-MNIST, S={top}: T={few} within 1 point of T={last}",
            within(n[few, top], n[last, top], 1.0),
            "1 point is 2 test recordings; the finer slices of more steps still carry something here.",
        ),
        Claim(
            "DVS-CIFAR10, T=10: 84.7 % with S=4, LIF 83.2 %",
            f"N-MNIST: S={top} above LIF, mean over T",
            larger(mean_of(n[t, top] for t in steps), mean_of(n[t, 1] for t in steps), ONE_SAMPLE[NMNIST]),
            "Both see the same events; where binary frames suffice to tell digits apart, lanes add nothing.",
        ),
        Claim(
            "2 % above LIF (ImageNet, VGG-16)",
            f"digits: S={top} above LIF at T={first}",
            larger(d[first, top], d[first, 1], ONE_SAMPLE[DIGITS]),
            "Digits are easy enough for binary spikes.",
        ),
        Claim(
            "one step loses 1.1 % against the ANN (CIFAR-10, VGG-16 and ResNet-20, S=3)",
            f"digits: T={first}, S={middle} within 1.1 points of its ANN",
            within(d[first, middle], ann, 1.1),
            f"The network is shallow and narrow: each of its few neurons says one of {middle + 1} values once.",
        ),
    ]


def must_show(runs: Runs) -> Claim:
    """M-LIF at T = 3, S = 4 against LIF at T = 10; in a quick trial the shortest and the longest."""
    steps = sorted({t for t, _ in _settings(runs, NMNIST)})
    few, lanes = 3 if 3 in steps else steps[0], max(s for _, s in _settings(runs, NMNIST))
    many = steps[-1]
    finding = within(runs.accuracy(NAME, NMNIST, T=few, S=lanes), runs.accuracy(NAME, NMNIST, T=many, S=1), 1.0)
    return Claim(
        "DVS-CIFAR10: 82.5 % (T=3, S=4) beside 83.2 % of LIF at T=10",
        f"N-MNIST: M-LIF at T={few}, S={lanes} within 1 point of LIF at T={many}",
        finding,
        "See the table: at these sizes T=3 carries too little.",
    )


def _settings(runs: Runs, data: str) -> list[tuple[int, int]]:
    return [(cell["T"], cell["S"]) for cell in runs.cells(NAME, data)]
