"""Residual blocks of Spiking, SEW, MS and Sparse ResNets at equal size."""

from __future__ import annotations

from pathlib import Path

from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import bars
from .plan import Plan
from .recipes import BLOCKS as GROUPS
from .recipes import DIGITS, NMNIST, Section, digits, level_neuron, nmnist
from .statistics import Runs, Sample
from .verdicts import Claim, at_least, larger, within

NAME = "blocks"
TITLE = "Sparse-ResNet against SEW, MS and Spiking blocks (Castagnetti et al.)"
BLOCKS = {DIGITS: ("sparse", "sew", "ms", "spiking"), NMNIST: ("sparse", "sew")}
LEVELS, WIDTH, SIZE, INPUT_LANES = 4, 8, 17, 4


def jobs(plan: Plan) -> list[Job]:
    """Every block on both data sets, one step."""
    return [
        Job(NAME, data, {"block": block}, seed, "train", work(plan, data, block))
        for data in (NMNIST, DIGITS)
        for block in BLOCKS[data][: 2 if plan.quick else None]
        for seed in range(plan.seeds)
    ]


def work(plan: Plan, data: str, block: str) -> Section:
    network = {"name": "resnet20", "width": 2 if plan.quick else WIDTH, "block": block}
    changes = {"group": GROUPS[data], "network": network, "neuron": level_neuron(plan, GROUPS[data], LEVELS)}
    return nmnist(plan, 1, INPUT_LANES, SIZE, **changes) if data == NMNIST else digits(plan, 1, **changes)


def section(runs: Runs, folder: Path) -> list[str]:
    """Table, picture and claims."""
    told = {data: runs.of(NAME, data)[0]["work"] for data in (NMNIST, DIGITS)}
    epochs, theta = ({data: work[name] for data, work in told.items()} for name in ("epochs", "neuron"))
    text = [
        f"ResNet-20 of width {WIDTH} with multi-level IF neurons, N = {LEVELS}, T = 1; {epochs[DIGITS]} epochs and "
        f"V_th = {theta[DIGITS]['threshold']:g} on digits, {epochs[NMNIST]} epochs and V_th = "
        f"{theta[NMNIST]['threshold']:g} on N-MNIST at {SIZE}x{SIZE} pixels, the same for every block. *Training* is "
        "the share of the training samples decided rightly in the last epoch. Activity is what enters the synapses "
        "behind the first layer, for each of their input neurons: *events* are values other than 0, *values* count a "
        "multi-level value as often as its level. *Growth* is the largest value that the third block hands on, the "
        "last of the first stage, over that of the first. *Above V_th* is the share of all blocks' sums that lie "
        "there, which a barrier cuts; *gradient* how many times longer, before training, the loss's gradient is over "
        "what enters the first block than over what leaves the last; beside it the same with the neuron's own "
        "defaults, V_th = 1 and α = 5 in units of one level."
    ]
    for data in (NMNIST, DIGITS):
        names = [cell["block"] for cell in runs.cells(NAME, data)]
        rows = [
            (
                name,
                runs.accuracy(NAME, data, block=name).text(),
                runs.sample("train_accuracy", NAME, data, 100.0, block=name).text(),
                *(_activity(runs, data, name, kind).text(3) for kind in ("events", "values")),
                _growth(runs, data, name).text(2),
                _above(runs, data, name).text(),
                runs.sample("gradient_growth", NAME, data, block=name).text(),
                runs.sample("gradient_growth_plain", NAME, data, block=name).text(0),
                runs.sample("memory_pj", NAME, data, 1e-6, block=name).text(2),
            )
            for name in names
        ]
        names_of_numbers = (
            "events",
            "values",
            "growth",
            "above V_th, %",
            "gradient",
            "by default",
            "energy, memory model, µJ",
        )
        headers = (data, "accuracy, %", "training, %", *names_of_numbers)
        text.append(table(headers, rows))
    groups = {
        data: {name: _activity(runs, data, name, "events") for name in ("sparse", "sew")} for data in (NMNIST, DIGITS)
    }
    bars(folder / "blocks.png", groups, "events per input neuron", "activity of residual networks")
    return [*text, picture("blocks.png", "activity of the blocks"), claims_table(claims(runs))]


def _activity(runs: Runs, data: str, block: str, kind: str) -> Sample:
    return runs.sample(kind, NAME, data, block=block)


def _growth(runs: Runs, data: str, block: str) -> Sample:
    """The third block ends the first stage of ResNet-20."""
    found = [run["numbers"]["largest_sums"] for run in runs.of(NAME, data, block=block)]
    return Sample(tuple(sums[2] / sums[0] if sums[0] else 0.0 for sums in found))


def _above(runs: Runs, data: str, block: str) -> Sample:
    """The share of sums above V_th, in percent, mean over the blocks."""
    found = [run["numbers"]["above_threshold"] for run in runs.of(NAME, data, block=block)]
    return Sample(tuple(100 * sum(shares) / len(shares) for shares in found))


def _why_less(runs: Runs, data: str) -> str:
    """What was measured of the training of Sparse and SEW blocks."""

    def both(number: str, digits: int, factor: float = 1.0) -> list[str]:
        return [runs.sample(number, NAME, data, factor, block=block).text(digits) for block in ("sparse", "sew")]

    gradients, learned = both("gradient_growth", 1), both("train_accuracy", 1, 100.0)
    plain = both("gradient_growth_plain", 0)
    return (
        f"Of the training samples themselves Sparse blocks learn {learned[0]} %, SEW blocks {learned[1]} %. Before "
        f"training the loss's gradient grows {gradients[0]} times from the last block to the first, with SEW "
        f"{gradients[1]} times: a sum grows from block to block with SEW, and with it the spread by which the next "
        "normalisation divides the gradient; behind a barrier it does not, while the gradient passes straight "
        f"through. And a barrier cuts {_above(runs, data, 'sparse').text()} % of its sums, all of which leave it "
        f"alike. With the neuron's defaults the gradient grows {plain[0]} and {plain[1]} times, and Sparse is further "
        "behind: see the trials in the last section."
    )


def claims(runs: Runs) -> list[Claim]:
    """What the paper says of blocks."""
    found = []
    for data in (NMNIST, DIGITS):
        for kind in ("events", "values"):
            sew, sparse = (_activity(runs, data, block, kind) for block in ("sew", "sparse"))
            saved = sew.each(lambda a, b: 100 * (1 - b / a) if a else 0.0, sparse)
            found.append(
                Claim(
                    "over 20 % less activity than earlier spiking ResNets",
                    f"{data}: Sparse has at least 20 % fewer {kind} than SEW",
                    at_least(saved, 20.0, " %"),
                    "At one step a barrier limits how large a sum is, not whether it is 0: a sum of levels above 0 "
                    "stays so. Events differ only where training takes another course, values where sums exceed V_th.",
                )
            )
        found.append(
            Claim(
                "the same accuracy as SEW or better",
                f"{data}: Sparse within 1 point of SEW",
                within(runs.accuracy(NAME, data, block="sparse"), runs.accuracy(NAME, data, block="sew"), 1.0),
                _why_less(runs, data),
            )
        )
        found.append(
            Claim(
                "values grow from block to block with SEW (spike avalanche), not with barriers",
                f"{data}: growth of SEW above that of Sparse",
                larger(_growth(runs, data, "sew"), _growth(runs, data, "sparse"), 0.05, "times"),
                "Three blocks in a stage are few for values to pile up.",
            )
        )
    return found
