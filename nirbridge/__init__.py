"""nirbridge takes trained multi-level spiking neural networks to neuromorphic execution.

A network is a ``nir.NIRGraph``, extended by the primitives of :mod:`nirbridge.ir`.  The functions here are loaded on
first use, so that ``import nirbridge`` costs neither torch nor nir.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nirbridge.version import __version__

if TYPE_CHECKING:
    from nirbridge.comparing import compare
    from nirbridge.converting import convert
    from nirbridge.costing import energy
    from nirbridge.evaluating import evaluate
    from nirbridge.expanding import expand, fuse
    from nirbridge.exporting import export
    from nirbridge.ir import read, write
    from nirbridge.plotting import plot
    from nirbridge.quantizing import quantize
    from nirbridge.runtime import check, compile, runtimes
    from nirbridge.showing import show

_HOMES = {
    "check": "nirbridge.runtime",
    "compare": "nirbridge.comparing",
    "compile": "nirbridge.runtime",
    "convert": "nirbridge.converting",
    "energy": "nirbridge.costing",
    "evaluate": "nirbridge.evaluating",
    "expand": "nirbridge.expanding",
    "export": "nirbridge.exporting",
    "fuse": "nirbridge.expanding",
    "plot": "nirbridge.plotting",
    "quantize": "nirbridge.quantizing",
    "read": "nirbridge.ir",
    "runtimes": "nirbridge.runtime",
    "show": "nirbridge.showing",
    "write": "nirbridge.ir",
}

__all__ = [
    "__version__",
    "check",
    "compare",
    "compile",
    "convert",
    "energy",
    "evaluate",
    "expand",
    "export",
    "fuse",
    "plot",
    "quantize",
    "read",
    "runtimes",
    "show",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import_module("nirbridge.needed_nir")
        return getattr(import_module(_HOMES[name]), name)
    if name in ("errors", "ir", "neurons", "runtime"):
        return import_module(f"nirbridge.{name}")
    raise AttributeError(f"module 'nirbridge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
