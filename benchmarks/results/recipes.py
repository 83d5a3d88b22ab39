"""One recipe a data set, the same for every neuron, step count and level count; nothing is tuned cell by cell.

``CANDIDATES`` are tried by ``trials`` on training samples that are held back; ``CHOSEN`` says which won.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .plan import Plan

Section = dict[str, Any]
NMNIST, DIGITS = "nmnist", "digits"
TEST_SAMPLES = {NMNIST: 200, DIGITS: 500}
ONE_SAMPLE = {name: 100 / count for name, count in TEST_SAMPLES.items()}
"""Percent that one test sample is worth."""
BLOCKS = {NMNIST: "blocks on nmnist", DIGITS: "blocks on digits"}
"""Residual networks have recipes of their own, the same for every block."""
LEVELS = {NMNIST: "levels on nmnist", DIGITS: DIGITS}
"""Rate and epochs of multi-level IF neurons are those of all others; on N-MNIST their V_th and α were tried too."""


@dataclass(frozen=True)
class Recipe:
    """What is chosen by trials.

    Attributes:
        rate: learning rate at the start, of direct training and of analog networks.
        epochs: passes over the data; a hybrid recipe shares them out.
        threshold: V_th of multi-level IF neurons and barriers.
        steepness: α of the multi-level IF's surrogate, in units of one level q = V_th/N ("level") or of V_th ("V_th").
    """

    rate: float
    epochs: int
    threshold: float = 1.0
    steepness: str = "level"

    def __str__(self) -> str:
        return f"rate {self.rate:g}, {self.epochs} epochs, V_th = {self.threshold:g}, α = 5 per {self.steepness}"


CANDIDATES: dict[str, tuple[Recipe, ...]] = {
    NMNIST: (Recipe(2e-3, 25), Recipe(5e-3, 25), Recipe(1e-2, 25), Recipe(2e-2, 25)),
    LEVELS[NMNIST]: (Recipe(1e-2, 25), Recipe(1e-2, 25, 1.0, "V_th"), Recipe(1e-2, 25, 2.0, "V_th")),
    DIGITS: (Recipe(1e-3, 25), Recipe(3e-3, 25), Recipe(1e-2, 25), Recipe(2e-2, 25)),
    BLOCKS[NMNIST]: (
        Recipe(5e-3, 30),
        Recipe(5e-3, 30, 2.0, "V_th"),
        Recipe(1e-2, 30, 2.0, "V_th"),
        Recipe(5e-3, 60, 2.0, "V_th"),
    ),
    BLOCKS[DIGITS]: (Recipe(3e-3, 15), Recipe(3e-3, 15, 2.0, "V_th"), Recipe(1e-2, 15, 2.0, "V_th")),
}
CHOSEN = {NMNIST: 2, LEVELS[NMNIST]: 2, DIGITS: 2, BLOCKS[NMNIST]: 3, BLOCKS[DIGITS]: 2}
"""Place of the candidate that won, as ``docs/results/trials.json`` has it (a test compares them)."""

_ALPHA = 5.0
_NETWORK = {NMNIST: {"name": "small-conv", "width": 12, "dropout": 0.3}}
_NETWORK[DIGITS] = {"name": "small-conv", "width": 24, "dropout": 0.4}
_SPIKING_EPOCHS = 10
"""Of the epochs on digits, those that hybrid recipes train with spikes; a direct recipe trains all of them so."""
_SPIKING_RATE = 1 / 3
"""Of the learning rate, where they begin."""


def recipe(plan: Plan, group: str) -> Recipe:
    """The recipe of a group of settings: the chosen one, or that which a trial asks for."""
    return CANDIDATES[group][dict(plan.candidates).get(group, CHOSEN[group])]


def nmnist(plan: Plan, steps: int, lanes: int, size: int = 34, group: str = NMNIST, **changes: Any) -> Section:
    """Direct training with TET on T·2^(S-1) binary frames of equal event count, encoded in S lanes."""
    data = {"name": "nmnist", "folder": plan.nmnist, "equal_count": True, "lanes": lanes, "size": size, "shift": 1}
    chosen = recipe(plan, group)
    told = {
        "data": plan.data(data),
        "network": _NETWORK[NMNIST],
        "loss": {"name": "tet", "mu": 1e-3},
        "recipe": "direct",
        "steps": steps,
        "epochs": plan.epochs(chosen.epochs),
        "batch": 40,
        "learning_rate": chosen.rate,
    }
    return told | changes


def digits(plan: Plan, steps: int, kind: str = "direct", group: str = DIGITS, **changes: Any) -> Section:
    """Still images at every step; direct training, or an analog network first and a share of epochs with spikes."""
    hybrid, chosen = kind in ("hybrid", "qcfs-lm-ht"), recipe(plan, group)
    told = {
        "data": plan.data({"name": "digits"}),
        "network": _NETWORK[DIGITS],
        "recipe": kind,
        "steps": steps,
        "epochs": plan.epochs(_SPIKING_EPOCHS if hybrid else chosen.epochs),
        "batch": 32,
        "learning_rate": chosen.rate * (_SPIKING_RATE if hybrid else 1),
    }
    if hybrid:
        told |= {"analog_epochs": plan.epochs(chosen.epochs - _SPIKING_EPOCHS), "analog_learning_rate": chosen.rate}
    if kind == "hybrid":
        told |= {"percentile": 99.7, "factor": 0.6}
    return told | changes


def event_neuron(lanes: int) -> Section:
    """M-LIF as for event recordings: hard reset, decay 1/2; one lane is the LIF."""
    return {"name": "m-lif", "lanes": lanes, "decay": 0.5, "reset": "value", "surrogate": "tet"}


def image_neuron(lanes: int) -> Section:
    """M-LIF as for still images: soft reset, threshold and decay learned."""
    return {"name": "m-lif", "lanes": lanes, "learn_threshold": True, "learn_decay": True}


def level_neuron(plan: Plan, group: str, levels: int) -> Section:
    """Multi-level IF."""
    chosen = recipe(plan, group)
    alpha = _ALPHA / levels if chosen.steepness == "V_th" else _ALPHA
    surrogate = {"name": "sigmoid", "alpha": alpha}
    return {"name": "multi-level-if", "levels": levels, "threshold": chosen.threshold, "surrogate": surrogate}
