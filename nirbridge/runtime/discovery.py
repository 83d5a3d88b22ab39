"""Finds the runtimes that are installed."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from nirbridge.errors import RuntimeUnavailableError, reason_of
from nirbridge.runtime.protocol import Availability, Runtime

GROUP = "nirbridge.runtimes"
_FIRST = ("reference", "norse", "lava")
_LOADED: dict[str, Runtime] = {}


def runtime_names() -> tuple[str, ...]:
    """Names of all runtimes that are installed, nirbridge's own first."""
    found = {entry.name for entry in entry_points(group=GROUP)}
    return tuple(name for name in _FIRST if name in found) + tuple(sorted(found - set(_FIRST)))


def find_runtime(name: str) -> Runtime:
    """The runtime called ``name``, whether or not it can be used here; as a module it is loaded once.

    Raises:
        RuntimeUnavailableError: no runtime has this name, or its plugin cannot be loaded.
    """
    if name in _LOADED:
        return _LOADED[name]
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in entries:
        near = get_close_matches(name, entries, 1)
        hint = f"Did you mean '{near[0]}'?" if near else "Install its plugin"
        raise RuntimeUnavailableError(
            f"runtime '{name}'", f"is not installed; installed: {', '.join(runtime_names())}", hint
        )
    try:
        found = entries[name].load()
    except Exception as error:
        found_text = f"cannot be loaded ({reason_of(error)})"
        raise RuntimeUnavailableError(f"runtime '{name}'", found_text, "Reinstall its plugin") from error
    if not isinstance(found, Runtime):
        raise RuntimeUnavailableError(f"runtime '{name}'", f"its plugin gives a {type(found).__name__}", "Update it")
    _LOADED[name] = found
    return found


def usable_runtime(name: str) -> Runtime:
    """Like :func:`find_runtime`, for one that can be used here.

    Raises:
        RuntimeUnavailableError: something that it needs is missing; the message says what to install.
    """
    runtime = find_runtime(name)
    state = runtime.availability()
    if not state.usable:
        raise RuntimeUnavailableError(f"runtime '{name}'", state.reason, state.install)
    return runtime


def streaming_options(name: str) -> dict[str, Any]:
    """The options with which ``name`` streams best, one frame at a time; none where its plugin states none.

    Raises:
        RuntimeUnavailableError: no runtime has this name.
    """
    return dict(getattr(find_runtime(name), "streaming_options", {}))


def runtimes() -> dict[str, Availability]:
    """Every runtime that is installed and whether it can be used here."""
    states: dict[str, Availability] = {}
    for name in runtime_names():
        try:
            runtime = find_runtime(name)
            states[name] = replace(runtime.availability(), summary=runtime.summary)
        except RuntimeUnavailableError as error:
            problem = error.problems[0]
            states[name] = Availability("", problem.found, problem.next_step)
    return states
