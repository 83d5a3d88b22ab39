"""What export knows of another framework: which of its modules are nodes, and what to say of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from nirbridge.exporting.call import Handler
from nirbridge.exporting.signal import LeadingAxes, RefusalError

Readings = tuple[LeadingAxes, ...]


@dataclass(frozen=True)
class Framework:
    """A library whose modules are told by the names of their types, so that it need not be installed.

    Attributes:
        name: as its users write it.
        homes: beginnings of the names of the Python modules that hold its layers.
        modules: full name of a type → handler.
        unlike: name of a type → what it does that no node of a graph does.
        instead: what to do with what is refused; names the framework's own exporter, if it has one.
        readings: where time and batch stand in a module that holds such layers, the likeliest first.
    """

    name: str
    homes: tuple[str, ...]
    modules: Mapping[str, Handler]
    unlike: Mapping[str, str]
    instead: str
    readings: Callable[[nn.Module], Readings]

    def is_layer(self, module: nn.Module) -> bool:
        """Whether this is one of its layers, or a subclass of one, that is lowered or refused as a whole."""
        return any(kind.__module__.startswith(self.homes) for kind in type(module).__mro__)

    def refusal(self, module: nn.Module) -> RefusalError:
        """Why a layer without a handler is not exported."""
        kind = type(module)
        if not kind.__module__.startswith(self.homes):
            parent = next(one.__name__ for one in kind.__mro__ if one.__module__.startswith(self.homes))
            return RefusalError(f"is a subclass of {parent}, which may mean something else", f"Use {parent} itself")
        found = self.unlike.get(kind.__name__, "is a layer without a counterpart in a graph")
        return RefusalError(f"of {self.name} {found}", self.instead)
