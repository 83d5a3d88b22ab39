"""SPEC → module: ``package.module:callable`` or ``file.py:callable``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from nirbridge.errors import FileError, InputError
from nirbridge.exporting.tracing import failing_line
from nirbridge.exporting.user_code import describe, user_code

_FORM = "Write it as package.module:callable or file.py:callable"


def load_module(spec: str) -> nn.Module:
    """The module that ``spec`` names: an nn.Module, or what a function or class without arguments gives.

    A file is imported under its own name with its folder on the import path, as ``python file.py`` would.

    Raises:
        InputError: the form is wrong, the code or the callable raises, or it gives no nn.Module.
        FileError: the file does not exist.
    """
    home, separator, name = spec.rpartition(":")
    if not separator or not home or not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"SPEC '{spec}'", "is not of the form home:callable", _FORM)
    where = f"SPEC '{spec}'"
    source = _import_file(Path(home), where) if home.endswith(".py") else _import_package(home, where)
    found = _attribute(source, name, where)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise InputError(where, f"'{name}' is a {type(found).__name__}, not callable", "Name a function or class")
    with _named(where, f"calling '{name}()'", "It takes no arguments"):
        built = found()
    if not isinstance(built, nn.Module):
        raise InputError(where, f"'{name}()' gives a {type(built).__name__}, not an nn.Module", "Return the module")
    return built


def _import_file(path: Path, where: str) -> ModuleType:
    if not path.is_file():
        raise FileError(f"file '{path}'", "does not exist or is no file", "Check the path in SPEC")
    name = path.stem
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise FileError(f"file '{path}'", "cannot be imported", _FORM)
    module = importlib.util.module_from_spec(specification)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Dataclasses and pickles look their module up by name; an installed one of the same name is left alone.
    sys.modules.setdefault(name, module)
    with _named(where, f"importing '{path}'", "Fix the file"):
        try:
            specification.loader.exec_module(module)
        except BaseException:
            if sys.modules.get(name) is module:
                del sys.modules[name]
            raise
    return module


def _import_package(home: str, where: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with _named(where, f"importing '{home}'", "Fix the module"):
        try:
            return importlib.import_module(home)
        except ModuleNotFoundError as error:
            missing = error
    next_step = "Install it, or give the path of a .py file"
    raise InputError(where, f"no module named '{missing.name}'", next_step) from missing


def _attribute(source: ModuleType, name: str, where: str) -> Any:
    found: Any = source
    for part in name.split("."):
        with _named(where, f"looking for '{part}'", "Fix the file"):
            present = hasattr(found, part)
        if not present:
            near = get_close_matches(part, dir(found), 1)
            hint = f"Did you mean '{near[0]}'" if near else "Check the name behind the colon"
            raise InputError(where, f"'{source.__name__}' has no '{part}'", hint)
        found = getattr(found, part)
    return found


@contextmanager
def _named(where: str, doing: str, next_step: str) -> Iterator[None]:
    """Runs code of the user; what it raises becomes an error that says when."""
    try:
        with user_code():
            yield
    except Exception as error:
        line = failing_line(error.__traceback__)
        found = f"{doing} raises {describe(error)}{f' at {line}' if line else ''}"
        raise InputError(where, found, next_step) from error
