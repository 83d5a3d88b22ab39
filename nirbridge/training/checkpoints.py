"""Checkpoints from which a run goes on as if it had never stopped."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nirbridge.errors import FileError, InputError
from nirbridge.files import whole_file

_FORMAT = "nirbridge training 1"


@dataclass
class Checkpoint:
    """The state of a run between two epochs.

    Random numbers are no part of it: every epoch seeds them anew from the run's seed, the stage and its own number.

    Attributes:
        configuration: what the run was told.
        stage: name of the stage.
        epoch: epochs of the stage that are done.
        network: its parameters and buffers.
        optimizer: its state.
        schedule: its state.
        scaler: state of the loss scaling; empty without.
        source: parameters and buffers of the finished analog stage; empty without.
        history: one entry for each epoch so far.
    """

    configuration: dict[str, Any]
    stage: str
    epoch: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Writes the file whole or not at all.

    Raises:
        FileError: it cannot be written.
    """
    content = vars(checkpoint) | {"format": _FORMAT, "configuration": json.dumps(checkpoint.configuration)}
    with whole_file(path) as file:
        torch.save(content, file)


def load_checkpoint(path: str | Path, configuration: dict[str, Any]) -> Checkpoint:
    """The checkpoint in a file; nothing in it is executed.

    Args:
        path: the file.
        configuration: that of the run which is to go on.

    Raises:
        FileError: the file is missing or no checkpoint of a training.
        InputError: it comes from a run that was told something else.
    """
    where = f"checkpoint '{path}'"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileError(where, "does not exist", "Leave --resume away to begin anew") from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise FileError(where, "is damaged or not a checkpoint", "Give a checkpoint.pt of this script") from error
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise FileError(where, "is not a checkpoint of a training run", "Give a checkpoint.pt of this script")
    saved = json.loads(content["configuration"])
    wanted = json.loads(json.dumps(configuration))
    for key in sorted(saved.keys() | wanted.keys()):
        if saved.get(key) != wanted.get(key):
            found = f"comes from a run with {key}={saved.get(key)!r}, this one has {wanted.get(key)!r}"
            raise InputError(where, found, "Resume with the same configuration")
    return Checkpoint(**content | {"configuration": saved})
