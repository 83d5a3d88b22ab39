"""One recipe a data set, the same for every neuron, step count and level count; nothing is tuned cell by cell.

The values were chosen in a few trials of LIF at T = 10 (N-MNIST) and of M-LIF at T = 1 (digits).
"""

from __future__ import annotations

from typing import Any

from .plan import Plan

Section = dict[str, Any]
NMNIST, DIGITS = "nmnist", "digits"
TEST_SAMPLES = {NMNIST: 200, DIGITS: 500}
ONE_SAMPLE = {name: 100 / count for name, count in TEST_SAMPLES.items()}
"""Percent that one test sample is worth."""

_NETWORK = {NMNIST: {"name": "small-conv", "width": 12, "dropout": 0.3}}
_NETWORK[DIGITS] = {"name": "small-conv", "width": 24, "dropout": 0.4}
EPOCHS = {NMNIST: 25, DIGITS: 25}
_SPIKING_SHARE = 10
"""Of the epochs on digits, those that hybrid recipes train with spikes; a direct recipe trains all of them so."""


def nmnist(plan: Plan, steps: int, lanes: int, size: int = 34, **changes: Any) -> Section:
    """Direct training with TET on T·2^(S-1) binary frames of equal event count, encoded in S lanes (neurons.md §1)."""
    data = {"name": "nmnist", "folder": plan.nmnist, "equal_count": True, "lanes": lanes, "size": size, "shift": 1}
    recipe = {
        "data": plan.data(data),
        "network": _NETWORK[NMNIST],
        "loss": {"name": "tet", "mu": 1e-3},
        "recipe": "direct",
        "steps": steps,
        "epochs": plan.epochs(EPOCHS[NMNIST]),
        "batch": 40,
        "learning_rate": 5e-3,
    }
    return recipe | changes


def digits(plan: Plan, steps: int, recipe: str = "direct", **changes: Any) -> Section:
    """Still images at every step; direct training, or an analog network first and a share of epochs with spikes."""
    hybrid = recipe in ("hybrid", "qcfs-lm-ht")
    values = {
        "data": plan.data({"name": "digits"}),
        "network": _NETWORK[DIGITS],
        "recipe": recipe,
        "steps": steps,
        "epochs": plan.epochs(_SPIKING_SHARE if hybrid else EPOCHS[DIGITS]),
        "analog_epochs": plan.epochs(EPOCHS[DIGITS] - _SPIKING_SHARE),
        "batch": 32,
        "learning_rate": 1e-3 if hybrid else 3e-3,
        "analog_learning_rate": 3e-3,
        "percentile": 99.7,
        "factor": 0.6,
    }
    return values | changes


def event_neuron(lanes: int) -> Section:
    """M-LIF as for event recordings: hard reset, decay 1/2; one lane is the LIF."""
    return {"name": "m-lif", "lanes": lanes, "decay": 0.5, "reset": "value", "surrogate": "tet"}


def image_neuron(lanes: int) -> Section:
    """M-LIF as for still images: soft reset, threshold and decay learned."""
    return {"name": "m-lif", "lanes": lanes, "learn_threshold": True, "learn_decay": True}


def level_neuron(levels: int) -> Section:
    """Multi-level IF."""
    return {"name": "multi-level-if", "levels": levels}
