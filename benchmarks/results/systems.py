"""Deep networks on MNIST with the neurons of three papers, over T; the fourth paper's are converted (``mnist``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .jobs import Job
from .markdown import picture, table
from .mnist import NAME as CONVERTED
from .mnist import NETWORKS, OURS, loss, settings_of
from .pictures import curves
from .plan import Plan
from .recipes import image_neuron
from .statistics import Runs, Sample

NAME = "systems"
TITLE = "Four systems in deep networks on MNIST"
STEPS = (1, 2, 4)
ANALOG_EPOCHS, EPOCHS, SPIKING_RATE = 4, 2, 1 / 3
LEVELS = 4
SYSTEMS: dict[str, dict[str, Any]] = {
    "M-LIF, S=3": {"recipe": "hybrid", "neuron": image_neuron(3)},
    f"multi-level IF, N={LEVELS}": {"recipe": "hybrid", "neuron": {"name": "multi-level-if", "levels": LEVELS}},
    f"LM-HT, L={LEVELS}": {"recipe": "qcfs-lm-ht", "levels": LEVELS},
}
ONE_SPIKE = "One-Spike, converted"
ONE_SPIKE_STEPS = (4, 8, 16)


def jobs(plan: Plan) -> list[Job]:
    """Every system with every T in both networks, the longest first."""
    found = []
    for steps in STEPS[:1] if plan.quick else STEPS[::-1]:
        for network, (options, size, rate) in NETWORKS.items():
            data = plan.data({"name": "mnist", "folder": plan.mnist, "size": size, "shift": 1})
            for system, changes in SYSTEMS.items():
                work = {
                    "data": data,
                    "network": plan.network(options),
                    "steps": steps,
                    "epochs": plan.epochs(EPOCHS),
                    "analog_epochs": plan.epochs(ANALOG_EPOCHS),
                    "analog_learning_rate": rate,
                    "learning_rate": rate * SPIKING_RATE,
                    "batch": 64,
                    **changes,
                }
                cell = {"network": network, "system": system, "T": steps}
                found += [Job(NAME, "mnist", cell, seed, "judge", work) for seed in range(plan.seeds)]
    return found


def section(runs: Runs, folder: Path) -> list[str]:
    """A table and a picture for each network."""
    text = [
        "Accuracy in % on 2,000 digits, mean with the half of its 95 % interval over the seeds (Student's t). The "
        f"first three are trained: an analog network of width 8 for {ANALOG_EPOCHS} epochs on 7,000 digits (for LM-HT "
        f"with QCFS of as many levels as L·T), then spikes for {EPOCHS}, at a third of the rate; nothing is tuned for "
        "a system. One-Spike is the conversion of the section before, of networks trained for 6 epochs."
    ]
    for network in [name for name in NETWORKS if runs.of(NAME, network=name)]:
        lines = {
            system: [(t, runs.accuracy(NAME, "mnist", network=network, system=system, T=t)) for t in _steps(runs)]
            for system in SYSTEMS
        }
        if runs.of(CONVERTED, network=network):
            known = [t for t in ONE_SPIKE_STEPS if _one_spike(t) in settings_of(runs, network)]
            lines[ONE_SPIKE] = [(t, _converted(runs, network, t)) for t in known]
        steps = sorted({t for line in lines.values() for t, _ in line})
        rows = [
            (name, *(dict(line)[t].interval() if t in dict(line) else "" for t in steps))
            for name, line in lines.items()
        ]
        text.append(table((network, *(f"T={t}" for t in steps)), rows))
        name = f"systems-{network.lower()}.png"
        curves(folder / name, lines, "steps T", "accuracy, %", f"{network} on MNIST", x_log=True)
        text.append(picture(name, f"accuracy over steps of {network}"))
    return text


def _steps(runs: Runs) -> list[int]:
    return sorted({cell["T"] for cell in runs.cells(NAME, "mnist")})


def _converted(runs: Runs, network: str, steps: int) -> Sample:
    own = runs.accuracy(CONVERTED, "mnist", network=network)
    return own.each(lambda a, b: a - b, loss(runs, network, _one_spike(steps)))


def _one_spike(steps: int) -> dict[str, Any]:
    return {"phases": steps} | OURS
