"""Energy ratios from the activity that the other experiments recorded, and what accuracy costs; trains nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nirbridge.costing import OperatingPoint, draw_frontier, frontier

from . import conversion, lanes, levels
from .jobs import Job
from .markdown import claims_table, picture, table
from .plan import Plan
from .recipes import DIGITS, NMNIST
from .statistics import Runs, Sample
from .verdicts import Claim, Finding, at_least, at_most

NAME = "energies"
TITLE = "Energy, and accuracy against energy and latency"
NEEDS = (lanes.NAME, levels.NAME, conversion.NAME)
MODELS = ("m-lif", "memory")


def jobs(plan: Plan) -> list[Job]:
    """None of its own."""
    return []


def ratio(runs: Runs, model: str, experiment: str, data: str, **cell: Any) -> Sample:
    """How many times the energy the ANN with the same synapses takes."""
    spent = runs.sample(f"{model}_pj", experiment, data, **cell)
    return runs.sample(f"{model}_ann_pj", experiment, data, **cell).each(lambda a, b: a / b, spent)


def section(runs: Runs, folder: Path) -> list[str]:
    """Tables, pictures and claims."""
    text = [
        "Energy of one inference from the recorded activity of the trained networks above (`nirbridge.energy`): *MAC* "
        "ratio by the M-LIF and One-Spike models (4.6 pJ a MAC, 0.9 pJ an addition; membranes cost nothing), *memory* "
        "ratio by the memory-aware model, in which every membrane is read and written at every step, so that T-fold "
        "traffic counts. A ratio is ANN over SNN: above 1 the SNN takes less."
    ]
    for data in (NMNIST, DIGITS):
        settings = [(cell["T"], cell["S"]) for cell in runs.cells(lanes.NAME, data)]
        steps, count = sorted({t for t, _ in settings}), sorted({s for _, s in settings})
        rows = [
            (f"S={s}, {'MAC' if model == 'm-lif' else model}", *(_cell(runs, model, data, t, s) for t in steps))
            for model in MODELS
            for s in count
        ]
        text.append(table((f"M-LIF on {data}, ANN/SNN", *(f"T={t}" for t in steps)), rows))
    text.append(
        "In the GCN the last aggregation takes sums that may be negative: two neurons a value send them, one for each "
        "sign, so that every layer takes spikes. W and Â of that layer are there twice then. The ANN has them once, as "
        "the network that was trained. Â counts as the dense layer that it is here, zeros included, in ANN and SNN."
    )
    text.append(_one_spike_table(runs))
    return [*text, *_frontiers(runs, folder), claims_table(claims(runs))]


def _cell(runs: Runs, model: str, data: str, steps: int, lanes_: int) -> str:
    return ratio(runs, model, lanes.NAME, data, T=steps, S=lanes_).text(2)


def _one_spike_table(runs: Runs) -> str:
    rows = []
    for data, name in ((conversion.IMAGES, "CNN"), (conversion.NODES, "GCN")):
        for bits in ("", "INT8"):
            found = [_of(runs, data, bits, f"{m}_ann_pj", f"{m}_pj").text(2) for m in ("one-spike", "memory")]
            rows.append((f"{name}, {bits or 'FP32'}", *found))
    return table(("One-Spike at T=16, Q=1.3, ANN/SNN", "MAC", "memory"), rows)


def _of(runs: Runs, data: str, bits: str, a: str, b: str) -> Sample:
    setting = conversion.PAPER | ({"weight_bits": conversion.WEIGHT_BITS} if bits else {})
    above, below = (conversion.number(runs, data, name, setting) for name in (a, b))
    return above.each(lambda x, y: x / y, below)


def _frontiers(runs: Runs, folder: Path) -> list[str]:
    text = []
    for data in (NMNIST, DIGITS):
        points = _points(runs, data)
        name = f"frontier-{data}.png"
        draw_frontier(points, folder / name, f"{data}, memory-aware energy")
        best = ", ".join(
            f"{p.group} {p.label} ({p.accuracy:.1%}, {p.energy_pj * 1e-3:.0f} nJ)" for p in frontier(points)
        )
        text += [picture(name, f"accuracy, energy and latency on {data}"), f"On the frontier of {data}: {best}."]
    return text


def _points(runs: Runs, data: str) -> list[OperatingPoint]:
    """The means of all seeds as one point a setting, with the energy of the memory-aware model."""
    points = []
    families = ((lanes.NAME, "M-LIF S", "S", (1, 4) if data == DIGITS else None), (levels.NAME, "ML-IF N", "N", (1, 4)))
    for experiment, family, key, shown in families:
        for cell in runs.cells(experiment, data):
            if shown is None or cell[key] in shown:
                energy = runs.sample("memory_pj", experiment, data, **cell).mean
                share = runs.sample("accuracy", experiment, data, **cell).mean
                group = f"{family}={cell[key]}"
                points.append(OperatingPoint(f"T={cell['T']}", share, energy, cell["T"], group))
    if data == DIGITS:
        for setting in (s for s in conversion.told(runs) if s.keys() == {"phases"} and s["phases"] <= 16):
            share, energy, steps = (
                conversion.number(runs, data, name, setting).mean for name in ("accuracy", "memory_pj", "latency")
            )
            points.append(OperatingPoint(f"T={setting['phases']}", share, energy, steps, "One-Spike"))
    return points


def claims(runs: Runs) -> list[Claim]:
    """What the papers say of energy."""
    steps = sorted({cell["T"] for cell in runs.cells(lanes.NAME, NMNIST)})
    count = sorted({cell["S"] for cell in runs.cells(lanes.NAME, NMNIST)})
    few, many, middle = 3 if 3 in steps else steps[0], steps[-1], 3 if 3 in count else count[-1]
    image = {"T": steps[0], "S": middle}
    first = runs.sample("m-lif_first_pj", lanes.NAME, DIGITS, **image)
    share = first.each(lambda a, b: 100 * a / b, runs.sample("m-lif_pj", lanes.NAME, DIGITS, **image))
    whole = runs.sample("m-lif_ann_pj", lanes.NAME, DIGITS, **image)
    limit = whole.each(lambda a, b: a / b, first).mean
    found = [
        Claim(
            "20 times less energy than the ANN (ImageNet VGG-16, T=1, S=3); 18 to 30 on CIFAR-10",
            f"digits, MAC: T={steps[0]}, S={middle} at least 18 times less",
            at_least(ratio(runs, "m-lif", lanes.NAME, DIGITS, **image), 18.0),
            f"The first layer takes pixels, hence MACs, as in the paper; here it is {share.mean:.0f} % of the SNN's "
            f"energy and alone bounds the ratio to {limit:.1f}, in a VGG-16 it is a small part.",
        )
    ]
    for model, name in (("m-lif", "MAC"), ("memory", "memory")):
        lif = runs.sample(f"{model}_pj", lanes.NAME, NMNIST, T=many, S=1)
        ours = runs.sample(f"{model}_pj", lanes.NAME, NMNIST, T=few, S=count[-1])
        found.append(
            Claim(
                "comparable or lower energy with fewer steps",
                f"N-MNIST, {name}: M-LIF at T={few}, S={count[-1]} takes at most the energy of LIF at T={many}",
                at_least(lif.each(lambda a, b: a / b, ours), 1.0),
                "Fewer steps have fewer but fuller frames: a pixel that is hit in several slices is one event, yet "
                "neurons that get larger values fire more often.",
            )
        )
    return [*found, *_one_spike_claims(runs), _traffic(runs)]


def _one_spike_claims(runs: Runs) -> list[Claim]:
    names = ("one-spike_ann_pj", "one-spike_pj")
    gain = _of(runs, conversion.IMAGES, "INT8", *names).each(
        lambda a, b: a / b, _of(runs, conversion.IMAGES, "", *names)
    )
    return [
        Claim(
            "CNNs: 4.6 to 17.3 times less energy than the ANN",
            "CNN, MAC: at least 4.6 times less",
            at_least(_of(runs, conversion.IMAGES, "", *names), 4.6),
            "Pixels of 5 bits enter in several spikes, and with two hidden layers the input's share is large.",
        ),
        Claim(
            "GCNs: 4.5 to 11.1 times less energy than the ANN",
            "GCN, MAC: at least 4.5 times less",
            at_least(_of(runs, conversion.NODES, "", *names), 4.5),
            "All layers take spikes, but most neurons do fire in a window: so many features are above 0.",
        ),
        Claim(
            "INT8 weights: 1.42 times more efficient on average",
            "CNN, MAC: ratio INT8 over FP32 at least 1.42",
            at_least(gain, 1.42),
            "By the costs alone the gain is (0.23/0.03)/(4.6/0.9) = 1.5; the rest is activity that rounding changes.",
        ),
    ]


def _traffic(runs: Runs) -> Claim:
    """That steps cost memory traffic, which the operations' model does not see."""
    steps = sorted({cell["T"] for cell in runs.cells(lanes.NAME, DIGITS)})
    last = steps[-1]
    memory = ratio(runs, "memory", lanes.NAME, DIGITS, T=last, S=1)
    plain = ratio(runs, "m-lif", lanes.NAME, DIGITS, T=last, S=1)
    finding = at_most(memory, 1.0, "×")
    numbers = f"memory {finding.numbers}; MAC {plain.text(2)}×"
    return Claim(
        "memory accesses of T steps consume what sparse additions save (Lemaire et al.)",
        f"digits: LIF at T={last} takes at least the ANN's energy once memory counts",
        Finding(finding.verdict, numbers),
        "Activity is so low that even T-fold membrane traffic stays below the ANN's reads of weights.",
    )
