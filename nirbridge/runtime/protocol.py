"""What a runtime is: a plugin that turns plans into programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import nir

from nirbridge.errors import Problem, sentence
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.program import Program


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can be used here.

    Attributes:
        version: of the library that executes, empty where it is missing.
        reason: why it cannot be used, empty where it can.
        install: what to do about it.
        summary: the runtime in one line; filled in from the runtime's own.
    """

    version: str
    reason: str = ""
    install: str = ""
    summary: str = ""

    @property
    def usable(self) -> bool:
        """Whether nothing is missing."""
        return not self.reason

    @property
    def lack(self) -> str:
        """Why it cannot be used, and what to do about it, as sentences."""
        return f"{sentence(self.reason)} {self.install}".rstrip()


@runtime_checkable
class Runtime(Protocol):
    """A runtime, found by the entry-point group ``nirbridge.runtimes``.

    The object itself must be cheap to import: the library that executes is loaded by :meth:`compile` alone.

    Attributes:
        name: the name users type.
        summary: one line for ``nirbridge runtimes``.
        precisions: the values of ``precision`` that it knows, the default first.
        options: the other keywords of ``nirbridge.compile`` that it knows.
        supported: the exact node types that it runs.

    A runtime may also have ``streaming_options``, a mapping of options with which it streams best, and ``resets``, the
    values of ``reset`` that it knows: by default "value" alone.
    """

    name: str
    summary: str
    precisions: tuple[str, ...]
    options: frozenset[str]
    supported: frozenset[type[nir.NIRNode]]

    def availability(self) -> Availability:
        """Whether it can be used here, without loading what it needs."""
        ...

    def check(self, plan: Plan) -> Iterable[Problem]:
        """Problems beyond unsupported node types: the runtime's own limits."""
        ...

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        """The program for a plan that :meth:`check` finds nothing wrong with."""
        ...


def make_program(runtime: Runtime, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
    """What the runtime compiles; it knows how it was made, so that ``Program.copy`` can make another."""
    program = runtime.compile(plan, precision, options)
    program._made_by = make_program, (runtime, plan, precision, dict(options))
    return program
