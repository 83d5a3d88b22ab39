"""A table from node types, or from what they do, to the functions that lower them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import nir

from nirbridge.errors import UnsupportedError
from nirbridge.ir import all_specs, find_spec

F = TypeVar("F", bound=Callable[..., object])


class LoweringTable(Generic[F]):
    """Exact node type, or operation of its :class:`~nirbridge.primitives.Spec`, → function.

    An entry for the type itself comes first.  A subclass of a registered type is not found: it may mean something else.
    With an entry for "step" a runtime runs every neuron that states its dynamics, those of other packages too.
    """

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self._entries: dict[type[nir.NIRNode] | str, F] = {}

    def register(self, *keys: type[nir.NIRNode] | str) -> Callable[[F], F]:
        """Decorator that enters a function for each of ``keys``: node types, or names of operations."""

        def enter(function: F) -> F:
            for key in keys:
                if key in self._entries:
                    name = key if isinstance(key, str) else key.__name__
                    raise KeyError(f"{name} is registered twice for runtime {self.runtime!r}")
                self._entries[key] = function
            return function

        return enter

    @property
    def kinds(self) -> frozenset[type[nir.NIRNode]]:
        """The types that the table lowers."""
        own = {key for key in self._entries if not isinstance(key, str)}
        return frozenset(own | {spec.node for spec in all_specs() if spec.operation in self._entries})

    def __getitem__(self, kind: type[nir.NIRNode]) -> F:
        found = self._entries.get(kind)
        if found is None and (spec := find_spec(kind)) is not None:
            found = self._entries.get(spec.operation)
        if found is None:
            raise UnsupportedError(
                f"node type {kind.__name__}",
                f"runtime '{self.runtime}' has no lowering for it",
                "Use --runtime reference",
            )
        return found
