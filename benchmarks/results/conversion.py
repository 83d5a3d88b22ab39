"""What One-Spike conversion loses, over phases T, base Q, wait and weight bits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from .jobs import Job
from .markdown import claims_table, picture, table
from .pictures import curves
from .plan import Plan
from .recipes import DIGITS as IMAGES
from .recipes import ONE_SAMPLE, digits, recipe
from .statistics import Runs, Sample
from .verdicts import NOT_SUPPORTED, SUPPORTED, Claim, Finding, larger, within

NAME = "conversion"
TITLE = "One-Spike conversion without training (Hwang and Kung)"
NODES = "digits-graph"
PHASES, BASES, WAITS = (4, 8, 16, 24, 32, 64), (1.1, 1.2, 1.3, 1.5, 2.0), (2, 4, 8, 12, 16)
PAPER = {"phases": 16, "base": 1.3}
WEIGHT_BITS = 8
GRAPH = {"nodes": 1797, "neighbours": 8}
TRAINING = {"width": 32, "known": 10, "epochs": 150, "learning_rate": 0.02, "weight_decay": 5e-4}


def settings(plan: Plan) -> list[dict[str, Any]]:
    """All of them in floating point, then all with few bits."""
    found: list[dict[str, Any]] = [{"phases": t} for t in plan.ends(PHASES)]
    found += [PAPER | {"base": q} for q in (BASES[2::2] if plan.quick else BASES)]
    found += [PAPER | {"wait": w} for w in plan.ends(WAITS)]
    return found + [setting | {"weight_bits": WEIGHT_BITS} for setting in found]


def jobs(plan: Plan) -> list[Job]:
    """One training and all conversions for each seed, on images and on nodes."""
    told = settings(plan)
    costed = [i for i, s in enumerate(told) if _plain(s) or _of(s) == PAPER]
    # Of a hybrid run the analog stage alone, as long as the other networks are trained.
    analog = digits(plan, 1, "hybrid", epochs=1, analog_epochs=plan.epochs(recipe(plan, IMAGES).epochs))
    images = {"configuration": analog, "settings": told, "energy": costed}
    small = {"graph": GRAPH | ({"nodes": 200} if plan.quick else {}), "training": TRAINING}
    nodes = small | {"settings": told, "energy": [i for i, s in enumerate(told) if _of(s) == PAPER]}
    return [
        Job(NAME, data, {}, seed, task, work)
        for data, task, work in ((NODES, "convert-nodes", nodes), (IMAGES, "convert-images", images))
        for seed in range(plan.seeds)
    ]


def _of(setting: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in setting.items() if name != "weight_bits"}


def _plain(setting: dict[str, Any]) -> bool:
    return setting.keys() == {"phases"}


def number(runs: Runs, data: str, name: str, setting: dict[str, Any], factor: float = 1.0) -> Sample:
    """A number of one setting, for each seed."""
    return runs.converted(name, setting, NAME, factor, data=data)


def accuracy(runs: Runs, data: str, setting: dict[str, Any]) -> Sample:
    """The converted network's, in percent."""
    return number(runs, data, "accuracy", setting, 100.0)


def loss(runs: Runs, data: str, setting: dict[str, Any]) -> Sample:
    """Points that conversion loses; below 0 where the converted network is better."""
    return runs.accuracy(NAME, data).each(lambda a, b: a - b, accuracy(runs, data, setting))


def told(runs: Runs) -> list[dict[str, Any]]:
    """The settings in floating point."""
    rows = runs.of(NAME, IMAGES)[0]["numbers"]["rows"]
    return [row["setting"] for row in rows if "weight_bits" not in row["setting"]]


def section(runs: Runs, folder: Path) -> list[str]:
    """Tables, pictures and claims."""
    cnn, gcn = (runs.accuracy(NAME, data).text() for data in (IMAGES, NODES))
    text = [
        f"*Loss* is the ReLU network's accuracy minus the converted one's in points (below 0: conversion gained), "
        "*error* the mean absolute difference of the outputs over the mean output, in %. T_w is T unless given, Q the "
        "MAPE minimum unless given. INT8: weights of 8 bits. CNN: the network of the other tables with ReLU, digits, "
        f"{cnn} % before conversion. GCN: two layers (`nirbridge.networks.TextGCN`, width {TRAINING['width']}) on a "
        f"graph whose nodes are the {GRAPH['nodes']} digits, each linked with its {GRAPH['neighbours']} nearest, "
        f"features the 64 pixels, labels of {TRAINING['known']} nodes a class known, the others asked for, {gcn} % "
        "before conversion; the paper's text corpora are no part of the data that we have."
    ]
    for data, title in ((IMAGES, "CNN, digits"), (NODES, "GCN, graph of digits")):
        headers = (title, "loss FP32", "loss INT8", "error FP32", "error INT8", "same decision FP32, %", "steps")
        text.append(table(headers, [_row(runs, data, setting) for setting in told(runs)]))
    plain = [setting for setting in told(runs) if _plain(setting)]
    lines = {
        f"{name}, {bits or 'FP32'}": [
            (float(s["phases"]), number(runs, data, "output_error", s | _bits(bits), 100.0)) for s in plain
        ]
        for data, name in ((IMAGES, "CNN"), (NODES, "GCN"))
        for bits in ("", "INT8")
    }
    curves(
        folder / "conversion.png", lines, "phases T", "output error, %", "One-Spike conversion", x_log=True, y_log=True
    )
    return [*text, picture("conversion.png", "conversion error over phases"), claims_table(claims(runs))]


def _bits(name: str) -> dict[str, int]:
    return {"weight_bits": WEIGHT_BITS} if name else {}


def _row(runs: Runs, data: str, setting: dict[str, Any]) -> tuple[str, ...]:
    both = (setting, setting | _bits("INT8"))
    base = setting.get("base", number(runs, data, "base", setting).mean)
    name = f"T={setting['phases']}, Q={base:g}" + (f", T_w={setting['wait']}" if "wait" in setting else "")
    name += "" if "base" in setting else " (auto)"
    errors = [number(runs, data, "output_error", s, 100.0).text() for s in both]
    same = number(runs, data, "agreement", setting, 100.0).text()
    steps = f"{number(runs, data, 'latency', setting).mean:.0f}"
    return name, *(loss(runs, data, s).text(2) for s in both), *errors, same, steps


def claims(runs: Runs) -> list[Claim]:
    """What the paper says of conversion."""
    wait = max(s["wait"] for s in told(runs) if s.get("wait", 99) < PAPER["phases"])
    whole = PAPER | {"wait": PAPER["phases"]}
    small = PAPER | _bits("INT8")
    found: list[Claim] = []
    for data, name, bound in ((IMAGES, "CNN", 0.35), (NODES, "GCN", 0.9)):
        ann = runs.accuracy(NAME, data)
        found += [
            Claim(
                f"mean loss {bound:g} % ({'CIFAR-10' if data == IMAGES else 'Text-GCN'}) at T=16, Q=1.3",
                f"{name}: loss at most {bound:g} points",
                within(accuracy(runs, data, PAPER), ann, bound),
                "One test image is worth 0.2 points here."
                if data == IMAGES
                else "Features are dense pixels, not words.",
            ),
            Claim(
                "INT8 weights: negligible loss (at most 0.22 % on CIFAR)",
                f"{name}: INT8 at most 0.22 points below FP32",
                within(accuracy(runs, data, small), accuracy(runs, data, PAPER), 0.22),
                "With so few weights a channel, rounding moves some decisions that were close.",
            ),
        ]
    found.append(
        Claim(
            "T=16: Q near 1.3 is best, Q=2 is worse",
            "CNN: error at Q=2 above that at Q=1.3",
            larger(*(number(runs, IMAGES, "output_error", PAPER | {"base": q}, 100.0) for q in (2.0, 1.3)), 0.1),
            "",
        )
    )
    if whole in told(runs) and wait > PAPER["phases"] / 2:
        found.append(
            Claim(
                "a wait of more than 10 of 16 steps suffices",
                f"CNN: T_w={wait} within {ONE_SAMPLE[IMAGES]:g} points of T_w=16",
                within(
                    accuracy(runs, IMAGES, PAPER | {"wait": wait}), accuracy(runs, IMAGES, whole), ONE_SAMPLE[IMAGES]
                ),
                "Late spikes of the first layers still change single decisions.",
            )
        )
    return found


def must_show(runs: Runs) -> list[Claim]:
    """Loss under 1 point at T = 16, Q = 1.3, and on the way to 0 as T grows."""
    below = Claim(
        "loss of 0.35 / 0.55 / 0.85 % on CIFAR-10 / 100 / ImageNet",
        "digits, CNN: loss under 1 point at T=16, Q=1.3",
        _under(loss(runs, IMAGES, PAPER), 1.0),
        "See the table of bases.",
    )
    plain = sorted((s for s in told(runs) if _plain(s)), key=lambda s: s["phases"])
    errors = [number(runs, IMAGES, "output_error", s, 100.0) for s in plain]
    falls = all(b < a for x, y in pairwise(errors) for a, b in zip(x.values, y.values, strict=True))
    same = number(runs, IMAGES, "agreement", plain[-1], 100.0)
    steps = " → ".join(f"{error.mean:.2f}" for error in errors)
    last = loss(runs, IMAGES, plain[-1])
    good = falls and abs(last.mean) <= 2 * ONE_SAMPLE[IMAGES]
    numbers = (
        f"error {steps} % at T = {', '.join(str(s['phases']) for s in plain)}, for each seed smaller with every T: "
        f"{'yes' if falls else 'no'}; at T={plain[-1]['phases']} loss {last.text(2)} points, {same.text()} % of the "
        "decisions as the network's own"
    )
    to_zero = Claim(
        "conversion error vanishes with T",
        "digits, CNN: the error falls with every T and the loss ends within two test images of 0",
        Finding(SUPPORTED if good else NOT_SUPPORTED, numbers),
        "See the table of phases.",
    )
    return [below, to_zero]


def _under(value: Sample, bound: float) -> Finding:
    numbers = f"{value.text(2)} points (each seed: {', '.join(f'{v:.2f}' for v in value.values)})"
    return Finding(SUPPORTED if value.mean < bound else NOT_SUPPORTED, numbers)
