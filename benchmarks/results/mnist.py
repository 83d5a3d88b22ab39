"""What conversion of deep ReLU networks loses on MNIST, by the published calibration and by ours, over T and bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .jobs import Job
from .markdown import claims_table, table
from .plan import Plan
from .statistics import Runs, Sample
from .verdicts import NOT_SUPPORTED, SUPPORTED, Claim, Finding

NAME = "mnist"
TITLE = "Conversion of deep networks on MNIST"
RESNET, VGG = "ResNet-20", "VGG-16"
NETWORKS: dict[str, tuple[dict[str, Any], int, float]] = {
    RESNET: ({"name": "resnet20", "width": 8}, 28, 5e-3),
    VGG: ({"name": "vgg16", "width": 8, "pooling": "max"}, 32, 2e-3),
}
"""Each network, the side of its images and its learning rate."""
EPOCHS = 6
CALIBRATION = 2048
UNSEEN = 3
"""Seeds besides those of the plan: nobody looked at their digits while the calibration was made."""
TWO = {"phases": 8, "spikes": 2}
CODES: tuple[dict[str, Any], ...] = ({"phases": 4}, {"phases": 8}, {"phases": 16}, TWO)
PAPER, OURS = {"calibrate": "paper"}, {"calibrate": "auto"}
BITS = (8, 6, 4, 3)


def settings(plan: Plan) -> list[dict[str, Any]]:
    """The published calibration and ours for each code, then fewer bits at T = 8."""
    codes = [CODES[place] for place in plan.ends(range(len(CODES)))]
    found = [code | rule for code in codes for rule in (PAPER, OURS)]
    return found + [_few(bits) for bits in plan.ends(BITS)]


def _few(bits: int) -> dict[str, Any]:
    return {"phases": 8, "weight_bits": bits, "weight_rounding": "gptq"} | OURS


def jobs(plan: Plan) -> list[Job]:
    """One training and all conversions for each network and seed."""
    found = []
    for name, (network, size, rate) in NETWORKS.items():
        data = {"name": "mnist", "folder": plan.mnist, "size": size, "shift": 1}
        configuration = {
            "data": plan.data(data),
            "network": plan.network(network),
            "recipe": "hybrid",
            "steps": 1,
            "epochs": 1,
            "analog_epochs": plan.epochs(EPOCHS),
            "analog_learning_rate": rate,
            "learning_rate": rate,
            "batch": 64,
        }
        work = {"configuration": configuration, "settings": settings(plan), "energy": []}
        work["calibration"] = plan.calibration(CALIBRATION)
        seeds = plan.seeds if plan.quick else plan.seeds + UNSEEN
        found += [Job(NAME, "mnist", {"network": name}, seed, "convert-images", work) for seed in range(seeds)]
    return found


def _number(runs: Runs, network: str, name: str, setting: dict[str, Any]) -> Sample:
    """A number of one setting in percent, for each seed."""
    return runs.converted(name, setting, NAME, 100.0, network=network)


def _own(runs: Runs, network: str) -> Sample:
    return runs.accuracy(NAME, "mnist", network=network)


def loss(runs: Runs, network: str, setting: dict[str, Any]) -> Sample:
    """Points that conversion loses."""
    return _own(runs, network).each(lambda a, b: a - b, _number(runs, network, "accuracy", setting))


def settings_of(runs: Runs, network: str) -> list[dict[str, Any]]:
    """Those that were converted."""
    return [row["setting"] for row in runs.of(NAME, network=network)[0]["numbers"]["rows"]]


def section(runs: Runs, folder: Path) -> list[str]:
    """A table for each network, and what must hold."""
    text = [
        f"ReLU networks of width 8, {EPOCHS} epochs on 7,000 digits, calibrated on the first {CALIBRATION:,} of them, "
        "judged on 2,000 others by Norse. *Loss* is the ReLU network's accuracy minus the converted one's in points, "
        "*same* the share of decisions as the network's own in %; both means with the half of their 95 % interval over "
        'the seeds (Student\'s t). "Paper" is the published calibration, "ours" the default, Q from the data; bits are '
        "those of weights that GPTQ rounds, with ours. One digit is worth 0.05 points. Which steps of our calibration "
        "exist was decided while test digits of seeds 0 to 2 were looked at, so that its losses may be somewhat too "
        f"good there; here are {UNSEEN} more seeds than elsewhere, which nobody had looked at."
    ]
    for network in [name for name in NETWORKS if runs.of(NAME, network=name)]:
        own = _own(runs, network)
        rows = [
            (_named(s), loss(runs, network, s).interval(), _number(runs, network, "agreement", s).interval(1))
            for s in settings_of(runs, network)
        ]
        text.append(table((f"{network}, {own.text(2)} % before", "loss", "same"), rows))
    return [*text, claims_table(claims(runs))]


def _named(setting: dict[str, Any]) -> str:
    spikes, bits = setting.get("spikes", 1), setting.get("weight_bits")
    name = f"T={setting['phases']}" + (f", {spikes} spikes" if spikes > 1 else "")
    return name + (f", {bits} bits" if bits else "") + (", paper" if setting["calibrate"] == "paper" else ", ours")


def claims(runs: Runs) -> list[Claim]:
    """What the conversion of a deep network shall keep."""
    bounds = (({"phases": 4} | OURS, 1.0, "T=4"), ({"phases": 8} | OURS, 0.3, "T=8"))
    wanted = (*bounds, (_few(3), 1.0, "T=8, 3-bit weights"))
    found = []
    for network in [name for name in NETWORKS if runs.of(NAME, network=name)]:
        for setting, bound, name in wanted:
            if setting not in settings_of(runs, network):
                continue
            value = loss(runs, network, setting)
            verdict = SUPPORTED if value.mean <= bound + 1e-9 else NOT_SUPPORTED
            each = ", ".join(f"{v:.2f}" for v in value.values)
            numbers = f"{value.interval()} points (each seed: {each})"
            paper = "none; a bound of our own"
            found.append(Claim(paper, f"{network}, {name}: at most {bound:g} points lost", Finding(verdict, numbers)))
    return found
