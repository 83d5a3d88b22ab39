"""What goes between this process and its workers, as bytes: work, pieces and answers.

Everything is pickled plainly. The pickler of ``multiprocessing`` would put tensors of torch into shared memory, which
goes with the process that made it. The bytes come from our own processes, or from a cluster that runs our code anyway.
"""

from __future__ import annotations

import pickle
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nirbridge.errors import ExecutionError


def packed(content: object) -> bytes:
    """``content`` as bytes; what cannot be pickled raises here, in the process that asks for the work."""
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """Undoes :func:`packed`."""
    return pickle.loads(content)


class Work:
    """A function with what is shared, :func:`packed` as a pair, which its first piece unpacks."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._held: tuple[Callable[[Any, Any], Any], Any] | None = None

    def done(self, piece: bytes) -> Any:
        """The result for a packed piece."""
        if self._held is None:
            self._held = unpacked(self._content)
        function, shared = self._held
        return function(shared, unpacked(piece))


class WorkerTrace(Exception):  # noqa: N818
    """Where in a worker an exception was raised, as text: the cause of the exception here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True)
class _Answer:
    """What a piece gave or raised, and its warnings: text, category, file and line."""

    warned: tuple[tuple[str, type[Warning], str, int], ...]
    value: bytes
    error: BaseException | None
    trace: str


def answer(get: Callable[[], Any]) -> bytes:
    """What ``get`` gives or raises and warns of, for :func:`opened` in another process."""
    with warnings.catch_warnings(record=True) as said:
        try:
            found, error, trace = packed(get()), None, ""
        except BaseException as raised:
            found, error, trace = packed(None), raised, traceback.format_exc()
    warned = tuple((str(each.message), each.category, each.filename, each.lineno) for each in said)
    return packed(_Answer(warned, found, _travelling(error), trace))


def opened(content: bytes) -> Any:
    """What was given; what was raised is raised again, with the worker's own trace as its cause.

    Warnings are given here, where filters and whoever shows them are; the same one once, as ever.
    """
    found: _Answer = unpacked(content)
    for text, category, file, line in found.warned:
        warnings.warn_explicit(text, category, file, line, registry=_SAID)
    if found.error is not None:
        raise found.error from WorkerTrace(found.trace)
    return unpacked(found.value)


_SAID: dict[Any, Any] = {}


def _travelling(error: BaseException | None) -> BaseException | None:
    """The exception itself, if it can be pickled and made again; many take other arguments than they keep."""
    try:
        unpacked(packed(error))
    except Exception:
        return ExecutionError("work", f"failed with {type(error).__name__} ({error})")
    return error
