"""Which instructions of ``forward`` run, so that a recording that takes another branch than tensors do is noticed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from torch import nn

from nirbridge.exporting.tracing import is_of_the_user

Paths = dict[CodeType, set[int]]
"""The instructions that ran, by their place in each piece of code."""
# Python 3.13 tells no instructions of a function's first call; there the lines have to do.
_INSTRUCTIONS = sys.version_info < (3, 13)


@contextmanager
def watched(module: nn.Module, paths: Paths) -> Iterator[None]:
    """Notes what runs in the block of the ``forward`` of each module, and of what it calls in its own file."""
    forwards = {getattr(type(inner).forward, "__code__", None) for inner in module.modules()}

    def called(frame: FrameType, event: str, arg: Any) -> Any:
        code, caller = frame.f_code, frame.f_back and frame.f_back.f_code
        beside = caller in paths and caller.co_filename == code.co_filename
        if not (code in forwards or beside) or not is_of_the_user(code.co_filename):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = _INSTRUCTIONS, not _INSTRUCTIONS
        ran = paths.setdefault(code, set())

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            if event in ("opcode", "line"):
                ran.add(frame.f_lasti)
            return step

        return step

    sys._getframe().f_trace_opcodes = _INSTRUCTIONS  # without it Python 3.12 tells none of the first call
    with _traced(called):
        yield


def unwatched() -> AbstractContextManager[None]:
    """Notes nothing in its block: what a later step does is not what the one plain step does."""
    return _traced(None)


@contextmanager
def _traced(function: Any) -> Iterator[None]:
    known = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(known)


def first_difference(one: Mapping[CodeType, set[int]], other: Mapping[CodeType, set[int]]) -> str:
    """``file.py:line`` of the first instruction that ran in one of two runs alone, of code that both ran; or ""."""
    for code in one:
        if alone := one[code] ^ other.get(code, one[code]):
            lines = (line for start, stop, line in code.co_lines() if line and start <= min(alone) < stop)
            return f"{Path(code.co_filename).name}:{next(lines, code.co_firstlineno)}"
    return ""
