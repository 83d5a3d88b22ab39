"""One call at a time: a program holds one set of states, and two calls at once would mix them."""

from __future__ import annotations

import os
import sys
from threading import Lock
from types import FrameType

from nirbridge.errors import UnsupportedError

_COPY = "program.copy()"
_BY = "by"


class Turn:
    """A context that lets one call in and refuses another at once, from whatever thread, signal handler or callback.

    A fork has the parent's copy: where a call was under way when it forked, its states are torn, and all are refused.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        # Who has it stands there by one operation, which an interrupt (Ctrl-C) does not divide.
        self._taken: dict[str, tuple[FrameType, object]] = {}
        self._mending = Lock()

    @property
    def forked(self) -> bool:
        """Whether this is a fork of the process that made the program."""
        return os.getpid() != self._process

    def __enter__(self) -> None:
        call = sys._getframe(1), object()
        if self._taken.setdefault(_BY, call) is not call and not self._mended(call):
            found = "another call of it is under way, in another thread or around this one"
            raise UnsupportedError("program", found, f"Give each thread a program of its own: {_COPY}")

    def __exit__(self, *_: object) -> None:
        self._taken.pop(_BY, None)

    def _mended(self, call: tuple[FrameType, object]) -> bool:
        """Whether ``call`` takes over from one that an interrupt ended before it could give its turn back."""
        with self._mending:
            holder = self._taken.setdefault(_BY, call)
            if holder is not call and not self.forked and not _runs(holder[0]):
                self._taken[_BY] = call
        return self._taken.get(_BY) is call

    def require_own_process(self) -> None:
        """Refuses the fork of a process.

        Raises:
            UnsupportedError: this is not the process that made the program.
        """
        if self.forked:
            found = f"process {self._process} made it and holds what it runs in, this is its fork {os.getpid()}"
            raise UnsupportedError("program", found, f"Make one here: {_COPY}")


def _runs(call: FrameType) -> bool:
    """Whether a call is under way in some thread."""
    for frame in sys._current_frames().values():
        outer: FrameType | None = frame
        while outer is not None:
            if outer is call:
                return True
            outer = outer.f_back
    return False
