"""Whether the workers of a cluster calculate with what this process has."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

from nirbridge.errors import ExecutionError
from nirbridge.version import __version__

LIBRARIES = ("numpy", "torch", "norse", "numba")
"""Other versions of these may round otherwise."""


def versions() -> dict[str, str]:
    """Of this process, or of the worker that calls it."""
    found = {"nirbridge": __version__, "python": python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def same_versions(where: str, client: Any) -> tuple[str, ...]:
    """Remarks on workers whose libraries differ from this process's.

    Args:
        where: the cluster, for messages.
        client: a ``distributed.Client``.

    Raises:
        ExecutionError: a worker has another nirbridge, or none.
    """
    here, differing = versions(), []
    for worker, there in client.run(versions, on_error="return").items():
        if isinstance(there, OSError):  # it has gone meanwhile
            continue
        if not isinstance(there, dict):
            found = f"worker {worker} cannot load nirbridge ({there})"
            raise ExecutionError(where, found, f"Install nirbridge {__version__} there")
        if there["nirbridge"] != __version__:
            found = f"worker {worker} has nirbridge {there['nirbridge']}, here is {__version__}"
            raise ExecutionError(where, found, "Install the same version on all machines")
        differing += [f"{name} {there[name]}, here {here[name]}" for name in here if there[name] != here[name]]
    return tuple(f"{where}: workers have {each}; last bits may differ" for each in sorted(set(differing)))
