"""What runs on the workers of a Dask cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from nirbridge.errors import ExecutionError
from nirbridge.version import __version__
from nirbridge.workers.messages import Work, answer


@dataclass
class _Kept:
    """What is shared by the pieces of one ``map``, and each thread's own copy: programs take one call at a time."""

    content: bytes
    copies: dict[int, Work] = field(default_factory=dict)


_KEPT: dict[str, _Kept] = {}


class Shared(WorkerPlugin):
    """Brings function and shared data to each worker, before its first piece."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self._content = content

    def setup(self, worker: Worker) -> None:
        """On a worker that is there, or comes."""
        _KEPT[self.name] = _Kept(self._content)

    def teardown(self, worker: Worker) -> None:
        """When no piece is left."""
        _KEPT.pop(self.name, None)


def do_piece(name: str, version: str, piece: bytes) -> bytes:
    """The answer for a piece of the ``map`` of that name."""
    return answer(lambda: _done(name, version, piece))


def _done(name: str, version: str, piece: bytes) -> Any:
    if version != __version__:  # a worker that came later; those that were there were asked
        found = f"a worker has nirbridge {__version__}, version {version} asks for work"
        raise ExecutionError("cluster", found, "Install the same version on all machines")
    kept = _KEPT[name]
    return kept.copies.setdefault(threading.get_ident(), Work(kept.content)).done(piece)
