"""Errors that a user can act on.

Every message has one form, ``where: found, limit. Next step.``, and fits one line.  Only ``nirbridge.cli`` turns
them into exit codes; the library raises.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace


def sentence(text: str) -> str:
    """One line that ends as a sentence does."""
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else text + "."


_QUOTE = reprlib.Repr()
_QUOTE.maxstring = _QUOTE.maxother = _QUOTE.maxlong = 60
_QUOTE.maxlist = _QUOTE.maxtuple = _QUOTE.maxdict = _QUOTE.maxarray = _QUOTE.maxset = 8


_LONGEST = {"where": 400, "found": 1200, "next_step": 800}
"""Characters of each part of a message; names, lists of names and values come from files and can be of any length."""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def brief(value: object) -> str:
    """A value as errors quote it: what a file or a caller gave can be of any length.

    Up to 8 values and 60 characters are quoted, the rest is cut; a larger array is named by its shape.
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and hasattr(value, "tolist"):
        if math.prod(shape) > _QUOTE.maxlist:
            return f"array of shape {shape}"
        value = value.tolist()
    return _QUOTE.repr(value)


def reason_of(error: BaseException) -> str:
    """What an error of another library says, in one line of up to 200 characters."""
    text = " ".join(str(error)[:1000].split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: the file, node, option or event that is wrong, as ``node 'conv2.act' (MultiLevelLIF)``.
        found: what was found and which limit it breaks.
        next_step: what the reader can do about it.
        rule: the name of the rule that found it, for programs.
        severity: "error", which stops ``compile``, or "warning", which stops nothing.
    """

    where: str
    found: str
    next_step: str = ""
    rule: str = ""
    severity: str = "error"

    def __post_init__(self) -> None:
        for name, most in _LONGEST.items():
            object.__setattr__(self, name, _cut(getattr(self, name), most))

    def __str__(self) -> str:
        line = f"{self.where}: {sentence(self.found)}"
        return f"{line} {sentence(self.next_step)}" if self.next_step else line

    def to_dict(self) -> dict[str, str]:
        """The problem as plain data, with its full line under ``message``."""
        return {**asdict(self), "message": str(self)}


class GraphWarning(UserWarning):
    """A graph contradicts itself, asks for what steps cannot give, or sums leave their range; what is done is said."""


class NirbridgeError(Exception):
    """Base of every error that nirbridge raises on purpose.

    Args:
        where: what is wrong, as ``file 'a.nir'`` or ``node 'fc1' (Affine)``.
        found: what was found and which limit it breaks.
        next_step: what to do next.
    """

    def __init__(self, where: str, found: str, next_step: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(where, found, next_step),)
        super().__init__(where, found, next_step)

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> NirbridgeError:
        """One error that carries all ``problems``; its text has one line for each."""
        if not problems:
            raise ValueError("an error needs at least one problem")
        error = cls(problems[0].where, problems[0].found, problems[0].next_step)
        error.problems = tuple(problems)
        return error

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@contextmanager
def placing(place: Callable[[str], str]) -> Iterator[None]:
    """Errors raised in the block say ``place(where)`` in the place of each problem's ``where``."""
    try:
        yield
    except NirbridgeError as error:
        problems = [replace(problem, where=place(problem.where)) for problem in error.problems]
        raise type(error).from_problems(problems) from error


class FileError(NirbridgeError):
    """A file is missing, unreadable, of a foreign format, or cannot be written."""


class GraphError(NirbridgeError):
    """A graph or a node is not valid."""


class InputError(NirbridgeError):
    """Data or an option that the caller gave does not fit."""


class ExportError(NirbridgeError):
    """A torch module holds something that has no counterpart in the graph."""


class UnsupportedError(NirbridgeError):
    """A runtime does not run this node, option or precision."""


class LibraryError(NirbridgeError, ImportError):
    """A library that every part of nirbridge needs is missing or too old."""


class RuntimeUnavailableError(NirbridgeError):
    """A runtime is unknown or cannot be used here."""


class ExecutionError(NirbridgeError):
    """A runtime failed while it was running."""
