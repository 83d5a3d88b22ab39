"""One call at a time: a program holds one set of states, and two calls at once would mix them."""

from __future__ import annotations

import os
from threading import Lock

from nirbridge.errors import UnsupportedError

_COPY = "program.copy()"


class Turn:
    """A context that lets one call in and refuses another at once, from whatever thread, signal handler or callback.

    A fork has the parent's copy: where a call was under way when it forked, its states are torn, and all are refused.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = os.getpid()

    @property
    def forked(self) -> bool:
        """Whether this is a fork of the process that made the program."""
        return os.getpid() != self._process

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            found = "another call of it is under way, in another thread or around this one"
            raise UnsupportedError("program", found, f"Give each thread a program of its own: {_COPY}")

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def require_own_process(self) -> None:
        """Refuses the fork of a process.

        Raises:
            UnsupportedError: this is not the process that made the program.
        """
        if self.forked:
            found = f"process {self._process} made it and holds what it runs in, this is its fork {os.getpid()}"
            raise UnsupportedError("program", found, f"Make one here: {_COPY}")
