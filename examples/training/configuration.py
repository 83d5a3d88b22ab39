"""What a training run is told, read from a JSON or TOML file and checked before anything is computed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from nirbridge.errors import FileError, InputError

OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("float32", "bfloat16", "float16")
READ: dict[str, tuple[str, ...]] = {
    "direct": ("neuron",),
    "hybrid": ("neuron", "analog_epochs", "analog_learning_rate", "percentile", "factor"),
    "lm-ht": ("levels",),
    "qcfs-lm-ht": ("levels", "analog_epochs", "analog_learning_rate"),
}
"""The recipes, and what each reads besides the keys that all of them read."""
_SECTIONS = ("data", "network", "neuron", "loss")


@dataclass(frozen=True)
class Configuration:
    """One run.

    Attributes:
        data: ``name`` of a data set and its options, among them ``validation``: how many training samples to hold back.
        network: ``name`` in ``nirbridge.networks.NETWORKS`` and its options.
        neuron: ``name`` ("m-lif", "multi-level-if") and its options, of which ``surrogate`` is a name or a section, as
            ``{"name": "sigmoid", "alpha": 1.25}``; by default the network's own.
        barrier: ``levels``, ``threshold`` and ``clipped`` of the barriers of a network that has them; by default the
            neuron's levels and threshold.
        loss: ``name`` in ``nirbridge.training.LOSSES`` and its options.
        recipe: "direct": spiking from the start. "hybrid": ReLU, thresholds by percentile, then spiking. "lm-ht":
            LM-HT from the start. "qcfs-lm-ht": QCFS, then LM-HT.
        steps: T.
        epochs: passes over the data with spikes.
        analog_epochs: passes over the data before, for the hybrid recipes.
        batch: samples a step of the optimizer, over all processes.
        optimizer: "adam", "adamw" or "sgd" (momentum 0.9), with a cosine schedule over each stage.
        learning_rate: at the start of the spiking stage.
        analog_learning_rate: at the start of the analog stage.
        weight_decay: of the optimizer.
        levels: L of LM-HT; Q of QCFS is L·T.
        percentile: of hybrid thresholds.
        factor: of hybrid thresholds.
        precision: "float32", or the type that matrix products are computed in.
        seed: of weights, batches and augmentation.
        workers: processes that load data.
        check_samples: test samples with which the exported graph is compared on the runtimes.
    """

    data: dict[str, Any]
    network: dict[str, Any]
    neuron: dict[str, Any] | None = None
    barrier: dict[str, Any] | None = None
    loss: dict[str, Any] = field(default_factory=lambda: {"name": "mean-ce"})
    recipe: str = "direct"
    steps: int = 4
    epochs: int = 20
    analog_epochs: int = 20
    batch: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    analog_learning_rate: float = 1e-3
    weight_decay: float = 0.0
    levels: int = 2
    percentile: float = 99.7
    factor: float = 1.0
    precision: str = "float32"
    seed: int = 0
    workers: int = 0
    check_samples: int = 8

    @property
    def all_epochs(self) -> int:
        """Passes over the data of all stages together."""
        return self.epochs + (self.analog_epochs if "analog_epochs" in READ[self.recipe] else 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def read_configuration(path: str | Path, changes: tuple[str, ...] = ()) -> Configuration:
    """The configuration in a .json or .toml file.

    Args:
        path: the file. TOML needs Python 3.11 or the package tomli.
        changes: "key=value" or "section.key=value", where the value is JSON or else text.

    Raises:
        FileError: the file is missing or is not what its name says.
        InputError: an unknown key, one that the recipe does not read, a value of the wrong kind or outside its limits.
    """
    values = _read(Path(path))
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign:
            raise InputError(f"change '{change}'", "has no '='", "Write it as epochs=5 or data.folder=/path")
        place, keys = values, name.split(".")
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise InputError(
                    f"change '{change}'", f"'{key}' is no section", f"Use {', '.join((*_SECTIONS, 'barrier'))}"
                )
        place[keys[-1]] = _value(text)
    return checked(values, f"file '{path}'")


def checked(values: dict[str, Any], where: str) -> Configuration:
    """``values`` as a configuration.

    Raises:
        InputError: an unknown or missing key, one that the recipe does not read, a value of the wrong kind or outside
            its limits.
    """
    known = {entry.name: entry for entry in fields(Configuration)}
    _require_no_nul(where, "", values)
    for name in values:
        if name not in known:
            raise InputError(where, f"unknown key {short(name)}", f"Use {', '.join(known)}")
    for name in ("data", "network"):
        if name not in values:
            raise InputError(where, f"has no section '{name}'", "Add it with at least a name")
    for name in _SECTIONS:
        section = values.get(name)
        if section is None and name not in ("data", "network"):
            continue
        if name in values and not (isinstance(section, dict) and isinstance(section.get("name"), str)):
            raise InputError(where, f"section '{name}' has no name", f'Write "{name}": {{"name": ...}}')
    if not isinstance(values.get("barrier"), (dict, type(None))):
        raise InputError(where, "section 'barrier' holds no keys", 'Write "barrier": {"levels": 8}')
    for name, options in (("recipe", tuple(READ)), ("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
        if name in values and values[name] not in options:
            raise InputError(where, f"{name} is {short(values[name])}", f"Use one of {', '.join(map(repr, options))}")
    recipe = values.get("recipe", "direct")
    for name in values:
        readers = [other for other, read in READ.items() if name in read]
        if readers and recipe not in readers:
            found = f"sets {name!r}, which recipe {recipe!r} does not read"
            raise InputError(where, found, f"Leave it away, or use recipe {' or '.join(readers)}")
    for name, (kind, low, high) in _NUMBERS.items():
        if name in values:
            values = values | {name: _number(where, name, values[name], kind, low, high)}
    return Configuration(**values)


_MOST = 1e12
_DEEPEST = 8
_NUMBERS: dict[str, tuple[type[int] | type[float], float, float]] = {
    **dict.fromkeys(("steps", "epochs", "batch", "levels"), (int, 1, _MOST)),
    **dict.fromkeys(("analog_epochs", "seed", "workers", "check_samples"), (int, 0, _MOST)),
    **dict.fromkeys(("learning_rate", "analog_learning_rate", "factor"), (float, 1e-12, _MOST)),
    "percentile": (float, 1e-12, 100.0),
    "weight_decay": (float, 0.0, _MOST),
}


def _number(where: str, name: str, value: Any, kind: type[int] | type[float], low: float, high: float) -> int | float:
    fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        limits = f"from {low:g}" if high == _MOST else f"from {low:g} to {high:g}"
        word = "whole number" if kind is int else "number"
        raise InputError(where, f"{name}={short(value)} is not a {word} {limits}", f"Choose another {name}")
    return kind(value)


def short(value: Any) -> str:
    """A value as errors quote it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _require_no_nul(where: str, name: str, value: Any) -> None:
    """No text may hold what the system's calls end at; pathlib and torch would raise errors of their own."""
    if name.count(".") > _DEEPEST:
        raise InputError(where, f"{short(name)} is nested too deeply", "Leave it out")
    if isinstance(value, dict):
        for key, inner in value.items():
            _require_no_nul(where, f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, str) and "\0" in value:
        raise InputError(where, f"{name}={short(value)} holds a NUL", "Leave it out")


def _read(path: Path) -> dict[str, Any]:
    where = f"file '{path}'"
    try:
        if path.is_char_device():  # /dev/zero never ends
            raise FileError(where, "is no file", "Give a .json or .toml file")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # it is no text, or its name holds a NUL
        reason = getattr(error, "strerror", None) or "it is not text"
        raise FileError(where, f"cannot be read ({reason})", "Give a .json or .toml file") from error
    try:
        values = _toml(where).loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:  # both parsers' errors are ValueErrors
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise FileError(where, f"is not {kind} ({' '.join(str(error).split())[:160]})", "Correct it there") from error
    if not isinstance(values, dict):
        raise FileError(where, "does not hold keys and values", 'Begin with {"data": ...}')
    return values


def _toml(where: str) -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise FileError(where, "TOML needs Python 3.11 or the package tomli", "pip install tomli, or use a .json file")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
