"""Checkpoints from which a run goes on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nirbridge.errors import FileError, InputError
from nirbridge.files import whole_file
from training.configuration import short

_FORMAT = "nirbridge training 1"
_ANOTHER = "Give a checkpoint.pt of this script"
_ENTRIES = {
    "configuration": str,
    "stage": str,
    "epoch": int,
    **dict.fromkeys(("network", "optimizer", "schedule", "scaler", "source"), dict),
    "history": list,
}
_SHOWN = 60


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
        FileError: the file is missing or no checkpoint of a training, or an entry of it does not fit.
        InputError: it comes from a run that was told something else.
    """
    where = f"checkpoint '{path}'"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileError(where, "does not exist", "Leave --resume away to begin anew") from error
    except Exception as error:  # torch raises a dozen types on what is damaged, foreign or holds code
        raise FileError(where, "is damaged or not a checkpoint", _ANOTHER) from error
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise FileError(where, "is not a checkpoint of a training run", _ANOTHER)
    _require_entries(where, content)
    saved = _configuration(where, content["configuration"])
    wanted = json.loads(json.dumps(configuration))
    for key in sorted(saved.keys() | wanted.keys()):
        if saved.get(key) != wanted.get(key):
            told, now = short(saved.get(key)), short(wanted.get(key))
            found = f"comes from a run with {str(key)[:_SHOWN]}={told}, this one has {now}"
            raise InputError(where, found, "Resume with the same configuration")
    return Checkpoint(**content | {"configuration": saved})


def restore(path: str | Path, what: str, target: Any, state: dict[str, Any]) -> None:
    """Puts a part of a checkpoint back where it came from.

    Args:
        path: the checkpoint, for the error.
        what: the part, for the error.
        target: has ``state_dict`` and ``load_state_dict``.
        state: the part.

    Raises:
        FileError: it does not fit, as where entries are missing or tensors have another shape.
    """
    own = target.state_dict()
    missing, unknown = [k for k in own if k not in state], [k for k in state if k not in own]
    found = [f"lacks {short(k)}" for k in missing[:1]] + [f"has an unknown {short(k)}" for k in unknown[:1]]
    if found:
        raise FileError(f"checkpoint '{path}'", f"its {what} {' and '.join(found)}", _ANOTHER)
    try:
        target.load_state_dict(state)
    except Exception as error:  # torch raises KeyError, TypeError, ValueError and RuntimeError
        text = " ".join(str(error).split())[:160]
        raise FileError(f"checkpoint '{path}'", f"its {what} does not fit ({text})", _ANOTHER) from error


def _require_entries(where: str, content: dict[Any, Any]) -> None:
    for name, kind in _ENTRIES.items():
        if not isinstance(content.get(name), kind) or isinstance(content.get(name), bool):
            found = f"its {name} is missing" if name not in content else f"its {name} is no {kind.__name__}"
            raise FileError(where, found, _ANOTHER)
    unknown = [name for name in content if name not in _ENTRIES]
    if unknown:
        raise FileError(where, f"holds {short(unknown[0])}, which no checkpoint has", _ANOTHER)
    if content["epoch"] < 0:
        raise FileError(where, f"its epoch is {content['epoch']}", _ANOTHER)


def _configuration(where: str, text: str) -> dict[str, Any]:
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(where, "its configuration is no JSON", _ANOTHER) from error
    if not isinstance(saved, dict):
        raise FileError(where, "its configuration has no keys", _ANOTHER)
    return saved
