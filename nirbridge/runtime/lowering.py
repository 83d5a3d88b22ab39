"""A table from exact node types to the functions that lower them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import nir

from nirbridge.errors import UnsupportedError

F = TypeVar("F", bound=Callable[..., object])


class LoweringTable(Generic[F]):
    """Node type → function.  A subclass of a registered type is not found: it may mean something else."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self._entries: dict[type[nir.NIRNode], F] = {}

    def register(self, *kinds: type[nir.NIRNode]) -> Callable[[F], F]:
        """Decorator that enters a function for each of ``kinds``."""

        def enter(function: F) -> F:
            for kind in kinds:
                if kind in self._entries:
                    raise KeyError(f"{kind.__name__} is registered twice for runtime {self.runtime!r}")
                self._entries[kind] = function
            return function

        return enter

    @property
    def kinds(self) -> frozenset[type[nir.NIRNode]]:
        """The types that the table holds."""
        return frozenset(self._entries)

    def __getitem__(self, kind: type[nir.NIRNode]) -> F:
        try:
            return self._entries[kind]
        except KeyError:
            raise UnsupportedError(
                f"node type {kind.__name__}",
                f"runtime '{self.runtime}' has no lowering for it",
                "Use --runtime reference",
            ) from None
