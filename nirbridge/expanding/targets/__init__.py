"""The platforms that ``expand`` writes for, one a file, found by the names of the files."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from nirbridge.errors import InputError
from nirbridge.expanding.target import Target


def target_names() -> tuple[str, ...]:
    """The names that ``--for`` takes."""
    return tuple(sorted(module.name.replace("_", "-") for module in iter_modules(__path__)))


def target_named(name: str) -> Target:
    """The platform of that name.

    Raises:
        InputError: there is none.
    """
    if name not in target_names():
        raise InputError("target", f"no platform {name!r} is known", f"Use one of {', '.join(target_names())}")
    found = import_module(f"{__name__}.{name.replace('-', '_')}").TARGET
    assert isinstance(found, Target)
    return found
