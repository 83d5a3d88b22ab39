"""Recordings of tonic's data sets by name: ``tonic:NMNIST?root=data&index=3&train=false``.

tonic is GPL-3, so it is imported only here, when a user names one of its data sets.  Nothing is downloaded unless
``download=true`` says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size, as_events

SCHEME = "tonic:"
OPTIONS = ("root", "index", "train", "download")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def load(source: str) -> tuple[Events | Path, Size | None]:
    """The events of one recording, or the file that holds them, and the sensor size, None if it varies.

    Raises:
        InputError: tonic is not installed, does not know the data set, does not find it at ``root``, or cannot read it.
    """
    where = f"source '{source}'"
    name, options = _parse(where, source[len(SCHEME) :])
    known = classes(where)
    if name not in known:
        raise InputError(where, f"tonic has no data set '{name}'", f"Choose of {', '.join(known)}")
    size = _sensor(known[name])
    data = _open(where, known[name], options)
    index = _index(where, options, len(data))
    try:
        return as_events(data[index][0], where), size
    except InputError:
        raise
    except ImportError:
        # tonic reads some sets with packages of its own; the file behind the recording is one that readers here know.
        return Path(data.data[index]), size
    except Exception as error:
        raise InputError(where, f"tonic cannot read it ({error})", "Check the files at root") from error


def _parse(where: str, text: str) -> tuple[str, dict[str, str]]:
    name, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InputError(where, f"has no option '{unknown[0]}'", f"Options are {', '.join(OPTIONS)}")
    if "root" not in options:
        raise InputError(where, "does not say where the data are", "Add ?root=FOLDER&index=0")
    return name, options


def classes(where: str) -> dict[str, Any]:
    """tonic's data sets by name.

    Raises:
        InputError: tonic is not installed.
    """
    try:
        from tonic import datasets
    except ImportError as error:
        found = "needs the package tonic (GPL-3), which is not installed"
        raise InputError(where, found, "Install it with: pip install tonic") from error
    return {name: getattr(datasets, name) for name in datasets.__all__}


def offline(kind: Any, where: str, root: str, next_step: str) -> Any:
    """A class of tonic that says what is missing below ``root`` instead of downloading it."""

    def refuse(_self: Any) -> None:
        raise InputError(where, f"{kind.__name__} is not complete in {root}/{kind.__name__}", next_step)

    # tonic takes the folder's name from the class, so the class that refuses to download must have the same.
    return type(kind.__name__, (kind,), {"download": refuse})


def _open(where: str, kind: Any, options: dict[str, str]) -> Any:
    root = options["root"]
    if not _flag(where, options.get("download", "false")):
        kind = offline(kind, where, root, "Put it there, or add &download=true to fetch it")
    arguments = {"train": _flag(where, options["train"])} if "train" in options else {}
    try:
        return kind(root, **arguments)
    except InputError:
        raise
    except Exception as error:
        raise InputError(where, f"tonic cannot open it ({error})", "Check its options") from error


def _flag(where: str, text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise InputError(where, f"'{text}' is neither true nor false", "Give true or false")
    return _TRUTH[text.lower()]


def _index(where: str, options: dict[str, str], count: int) -> int:
    text = options.get("index", "0")
    if not text.isdecimal() or int(text[:18]) >= count:
        raise InputError(where, f"index '{text}' is not in 0..{count - 1}", "Give the number of one")
    return int(text)


def _sensor(kind: Any) -> Size | None:
    size = getattr(kind, "sensor_size", None)
    if isinstance(size, tuple) and len(size) >= 2 and all(isinstance(n, int) and n > 0 for n in size[:2]):
        return size[0], size[1]
    return None
