"""The task of most jobs: train as a configuration says, with the repository's own loop, and measure the result."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nirbridge
from nirbridge.costing import EnergyReport
from nirbridge.errors import InputError
from train_data import load
from training import Data, Processes, Run, stages
from training.configuration import Configuration, checked

from .residual import blocks_of, gradient_growth, sums

MEASURED = 100
"""Test samples whose activity is recorded."""
RUNTIME = "norse"


def train_and_measure(work: dict[str, Any], seed: int) -> dict[str, Any]:
    """Numbers of a trained network: accuracy after the last epoch, activity, energies.

    Args:
        work: a configuration, as ``examples/train.py`` takes it.
        seed: of weights and batches.
    """
    configuration = told(work, seed)
    data = data_of(configuration)
    network, history = trained(configuration, data)
    numbers: dict[str, Any] = _accuracies(history)
    frames = test_frames(data, configuration.steps, MEASURED)
    if blocks_of(network):
        numbers |= sums(network, frames, float(configuration.neuron.get("threshold", 1.0)))
        plain = {name: value for name, value in configuration.neuron.items() if name in ("name", "levels")}
        for name, neuron in (("gradient_growth", configuration.neuron), ("gradient_growth_plain", plain)):
            changed = replace(configuration, neuron=neuron)
            (stage,) = stages(changed, data.input_shape, data.num_classes)
            numbers[name] = gradient_growth(stage, changed, data)
    return numbers | energies(network, data, frames)


def train_and_judge(work: dict[str, Any], seed: int) -> dict[str, Any]:
    """Accuracies alone, after the last epoch and, where an analog network comes first, that of its last.

    Args:
        work: a configuration, as ``examples/train.py`` takes it.
        seed: of weights and batches.
    """
    configuration = told(work, seed)
    _, history = trained(configuration, data_of(configuration))
    return _accuracies(history)


def _accuracies(history: list[dict[str, Any]]) -> dict[str, Any]:
    analog = [entry["test"] for entry in history if entry["stage"] == "analog"]
    numbers: dict[str, Any] = {"accuracy": history[-1]["test"], "train_accuracy": history[-1]["train"]}
    return numbers | ({"ann_accuracy": analog[-1]} if analog else {})


def train_and_validate(work: dict[str, Any], seed: int) -> dict[str, Any]:
    """Accuracy after the last epoch on the training samples that are held back; test samples are never asked for.

    Args:
        work: a configuration whose data hold some back.
        seed: of weights and batches.
    """
    configuration = told(work, seed)
    data = data_of(configuration)
    if data.validation is None:
        raise InputError("trial", "its data hold nothing back", "Set data.validation")
    _, history = trained(configuration, replace(data, test=data.validation, validation=None))
    return {"accuracy": history[-1]["test"], "train_accuracy": history[-1]["train"]}


def told(work: dict[str, Any], seed: int) -> Configuration:
    """The configuration of a job, whose process computes with one thread."""
    torch.set_num_threads(1)
    return checked({**work, "seed": seed}, "work")


def data_of(configuration: Configuration) -> Data:
    """The data set of a configuration; a worker keeps the last ones, which the next seed needs again."""
    return _data(json.dumps(configuration.data, sort_keys=True), configuration.steps)


@lru_cache(maxsize=3)
def _data(section: str, steps: int) -> Data:
    return load(json.loads(section), steps)


def trained(configuration: Configuration, data: Data) -> tuple[nn.Module, list[dict[str, Any]]]:
    """The network after the last epoch, and every epoch's numbers."""
    history: list[dict[str, Any]] = []
    place = Processes(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        network = Run(configuration, data, place, Path(folder), report=history.append).train()
    return network, history


def test_frames(data: Data, steps: int, count: int) -> Tensor:
    """The first test samples as [T, B, C, H, W]."""
    samples = torch.stack([torch.as_tensor(data.test[i][0]) for i in range(min(count, len(data.test)))]).float()
    frames = samples.transpose(0, 1) if data.has_time else samples.expand(steps, *samples.shape)
    return frames.contiguous()


def energies(network: nn.Module, data: Data, frames: Tensor) -> dict[str, float]:
    """Energy of one inference by two models, in pJ, that of the ANN, and the activity that it rests on."""
    graph = nirbridge.export(network, data.input_shape)
    kind = "events" if data.has_time else "analog"
    numbers: dict[str, float] = {}
    for model in ("m-lif", "memory"):
        report = nirbridge.energy(graph, frames.numpy(), RUNTIME, model, input_kind=kind)
        numbers |= {f"{model}_pj": report.pj, f"{model}_ann_pj": report.ann_pj}
        numbers[f"{model}_first_pj"] = report.layers[0].pj
    return numbers | activity(report)


def activity(report: EnergyReport) -> dict[str, float]:
    """What enters the synapses behind the first layer, for each of their input neurons, over all steps of an inference.

    ``events`` counts values other than 0, ``values`` a multi-level value as often as its level.
    """
    hidden = [row for row in report.layers[1:] if row.input == "events" and row.rate]
    neurons = sum(row.events / row.rate for row in hidden if row.rate)
    if not neurons:
        return {"events": 0.0, "values": 0.0}
    return {name: sum(getattr(row, name) for row in hidden) / neurons for name in ("events", "values")}
