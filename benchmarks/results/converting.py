"""The tasks of conversion: a trained ReLU network, converted with many settings, against itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import nirbridge
from nirbridge.converting import convert_in_full
from nirbridge.networks import build_network
from train_data import DigitGraph, make_graph
from training import CHECKPOINT, Processes, Run, load_checkpoint
from training.configuration import Configuration

from . import digit_graph
from .training import RUNTIME, data_of, told

Array = NDArray[np.float64]
MEASURED = 50
"""Test samples whose activity is recorded."""
_AT_A_TIME = 100


def convert_images(work: dict[str, Any], seed: int) -> dict[str, Any]:
    """A convolutional network for digits with ReLU, trained, then converted with every setting.

    Args:
        work: ``configuration`` of a hybrid recipe, whose analog stage is used; ``settings`` for
            ``nirbridge.convert``; ``calibration``, how many training samples it gets, all by default; ``energy`` says
            for which of them energies are measured.
        seed: of weights and batches.
    """
    configuration = told(work["configuration"], seed)
    data = data_of(configuration)
    network = analog_network(configuration)
    known = min(len(data.train), work.get("calibration", len(data.train)))
    train = np.stack([np.asarray(data.train[i][0], np.float64) for i in range(known)])
    test = np.stack([np.asarray(data.test[i][0], np.float64) for i in range(len(data.test))])
    labels = np.array([int(data.test[i][1]) for i in range(len(data.test))])

    def accuracy(outputs: Array) -> float:
        return float((outputs.argmax(1) == labels).mean())

    return _converted(network, train, test, work, accuracy, 1, MEASURED)


def analog_network(configuration: Configuration) -> nn.Module:
    """The network after the analog stage of a hybrid run, in double precision."""
    data = data_of(configuration)
    place = Processes(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(configuration, data, place, Path(folder))
        run.train(stop_after=configuration.analog_epochs)
        state = load_checkpoint(Path(folder) / CHECKPOINT, configuration.to_dict()).network
    options = {"num_classes": data.num_classes, "input_shape": data.input_shape} | configuration.network
    network = build_network(options.pop("name"), neuron=nn.ReLU, **options)
    network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    return network.double().eval()


def convert_nodes(work: dict[str, Any], seed: int) -> dict[str, Any]:
    """A two-layer graph network on the graph of digits, trained, then converted with every setting.

    Args:
        work: ``graph`` for ``make_graph``, ``training`` for ``digit_graph.trained``; ``settings`` and ``energy`` as for
            images.
        seed: of weights and of the nodes whose classes are known.
    """
    torch.set_num_threads(1)
    graph = _graph(**work["graph"])
    network, known = digit_graph.trained(graph, seed, **work["training"])
    x = graph.features.numpy()[None]
    asked = ~known.numpy()
    labels = graph.labels.numpy()

    def accuracy(outputs: Array) -> float:
        return float((outputs[0].argmax(0) == labels)[asked].mean())

    return _converted(network, x, x, work, accuracy, 1, 1)


@lru_cache(maxsize=1)
def _graph(**options: Any) -> DigitGraph:
    return make_graph(**options)


def _converted(
    network: nn.Module,
    train: Array,
    test: Array,
    work: dict[str, Any],
    accuracy: Callable[[Array], float],
    axis: int,
    measured: int,
) -> dict[str, Any]:
    """The network's own accuracy, and for every setting what conversion costs; classes are on ``axis``."""
    with torch.no_grad():
        analog = np.concatenate([network(torch.as_tensor(part)).numpy() for part in _parts(test)])
    rows = []
    for index, setting in enumerate(work["settings"]):
        conversion = convert_in_full(network, train, **{"calibrate": "paper"} | setting)
        with nirbridge.compile(conversion.graph, RUNTIME) as program:
            found = np.concatenate([program.run(part[None]).output[-1] for part in _parts(test)])
        row = {
            "setting": setting,
            "accuracy": accuracy(found),
            "agreement": float((found.argmax(axis) == analog.argmax(axis)).mean()),
            "output_error": float(np.abs(found - analog).mean() / np.abs(analog).mean()),
            "base": float(conversion.options["base"]),
            "latency": conversion.latency.pipelined(),
        }
        if index in work["energy"]:
            row |= _energies(conversion.graph, test[:measured], setting.get("weight_bits"))
        rows.append(row)
    return {"accuracy": accuracy(analog), "rows": rows}


def _parts(x: Array) -> list[Array]:
    """Batches of bounded memory."""
    return [x[start : start + _AT_A_TIME] for start in range(0, len(x), _AT_A_TIME)]


def _energies(graph: Any, x: Array, bits: int | None) -> dict[str, float]:
    """What the converted network takes, and what its ANN does; ``bits`` of the weights, None for 32."""
    found: dict[str, float] = {}
    for model in ("one-spike", "memory"):
        report = nirbridge.energy(graph, x[None], RUNTIME, model, bits=bits or 32)
        found |= {f"{model}_pj": report.pj, f"{model}_ann_pj": report.ann_pj}
    return found
