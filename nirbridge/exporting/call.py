"""One call of a layer or function that is being lowered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir

from nirbridge.exporting.builder import GraphBuilder
from nirbridge.exporting.signal import Signal

Handler = Callable[..., Any]
"""Lowers one kind of call: takes the :class:`Call`, then what the code passes, and gives what the code gets back."""


def with_fields(function: Handler, *names: str) -> Handler:
    """The handler of a module that is a function of its input and of these fields."""

    def lower(call: Call, module: Any, input: Any) -> Any:
        return function(call, input, *(getattr(module, name) for name in names))

    return lower


@dataclass(frozen=True)
class Call:
    """Where the nodes of a call go and what they are called.

    Attributes:
        builder: the graph that the nodes go to.
        name: the path of the module, or of the function in its module.
        call_module: lowers an inner module, from the module, its path, its arguments and its named arguments.
    """

    builder: GraphBuilder
    name: str
    call_module: Callable[[Any, str, tuple[Any, ...], dict[str, Any]], Any]

    def emit(self, node: nir.NIRNode, signal: Signal, suffix: str = "") -> Signal:
        """Adds a node that takes ``signal``."""
        return self.builder.add(join(self.name, suffix), node, signal)


def join(path: str, name: str) -> str:
    """A dotted path."""
    return f"{path}.{name}" if path and name else path or name
