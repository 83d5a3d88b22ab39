"""Residual blocks of Spiking, SEW, MS and Sparse ResNets at equal size."""

from __future__ import annotations

from pathlib import Path

from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import bars
from .plan import Plan
from .recipes import DIGITS, NMNIST, Section, digits, level_neuron, nmnist
from .statistics import Runs, Sample
from .verdicts import Claim, at_least, larger, within

NAME = "blocks"
TITLE = "Sparse-ResNet against SEW, MS and Spiking blocks (seed 002)"
BLOCKS = {DIGITS: ("sparse", "sew", "ms", "spiking"), NMNIST: ("sparse", "sew")}
EPOCHS = {DIGITS: 15, NMNIST: 40}
LEVELS, WIDTH, SIZE, INPUT_LANES = 4, 8, 17, 4


def jobs(plan: Plan) -> list[Job]:
    """Every block on both data sets, one step."""
    return [
        Job(NAME, data, {"block": block}, seed, "train", _work(plan, data, block))
        for data in (NMNIST, DIGITS)
        for block in BLOCKS[data][: 2 if plan.quick else None]
        for seed in range(plan.seeds)
    ]


def _work(plan: Plan, data: str, block: str) -> Section:
    network = {"name": "resnet20", "width": 2 if plan.quick else WIDTH, "block": block}
    changes = {"network": network, "neuron": level_neuron(LEVELS), "epochs": plan.epochs(EPOCHS[data])}
    return nmnist(plan, 1, INPUT_LANES, SIZE, **changes) if data == NMNIST else digits(plan, 1, **changes)


def section(runs: Runs, folder: Path) -> list[str]:
    """Table, picture and claims."""
    text = [
        f"ResNet-20 of width {WIDTH} with multi-level IF neurons, N = {LEVELS}, T = 1, {EPOCHS[DIGITS]} epochs on "
        f"digits and {EPOCHS[NMNIST]} on N-MNIST at {SIZE}x{SIZE} pixels. Activity is what enters the synapses behind "
        "the first layer, for each of their input neurons: *events* are values other than 0, *values* count a "
        "multi-level value as often as its level. *Growth* is the largest value that the third block hands on, the "
        "last of the first stage, over that of the first."
    ]
    for data in (NMNIST, DIGITS):
        names = [cell["block"] for cell in runs.cells(NAME, data)]
        rows = [
            (
                name,
                runs.accuracy(NAME, data, block=name).text(),
                *(_activity(runs, data, name, kind).text(3) for kind in ("events", "values")),
                _growth(runs, data, name).text(2),
                runs.sample("memory_pj", NAME, data, 1e-6, block=name).text(2),
            )
            for name in names
        ]
        headers = (data, "accuracy, %", "events", "values", "growth", "energy, memory model, µJ")
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
                "A sum above V_th leaves the barrier as V_th: where blocks saturate, the shortcut no longer tells "
                "large values apart, and the straight-through gradient does not know of it. SEW keeps the whole sum.",
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
