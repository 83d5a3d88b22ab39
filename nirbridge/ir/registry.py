"""Every primitive that a graph may hold: those of nirbridge, and those that installed packages register.

A package names its :class:`~nirbridge.primitives.Spec` by the entry point group ``nirbridge.primitives``; it is loaded
when a type is asked for that nothing else knows, or when all are.
"""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points
from threading import RLock
from typing import Any

import nir

from nirbridge.errors import GraphError, GraphWarning, UnsupportedError
from nirbridge.primitives import BUILT_IN, Extension, Spec

GROUP = "nirbridge.primitives"
PRIMITIVES: dict[str, type[nir.NIRNode]] = {
    **{spec.node.__name__: spec.node for spec in BUILT_IN if spec.stored and not issubclass(spec.node, Extension)},
    nir.NIRGraph.__name__: nir.NIRGraph,
    **{spec.node.__name__: spec.node for spec in BUILT_IN if issubclass(spec.node, Extension)},
}
"""Name on disk → type, of all that nirbridge brings itself: NIR's own, then what it adds."""
_specs: dict[type[nir.NIRNode], Spec] = {spec.node: spec for spec in BUILT_IN}
_plugins_loaded = False
_LOADING = RLock()


def register(spec: Spec) -> Spec:
    """Makes a primitive known to this process, as an entry point does for every process.

    Raises:
        GraphError: it is no Spec, its node is no Extension, or another type has its name.
    """
    if not isinstance(spec, Spec):
        raise GraphError("primitive", f"{spec!r} is no nirbridge.primitives.Spec", "Register the Spec of the node")
    name = spec.node.__name__
    if not issubclass(spec.node, Extension):
        raise GraphError(f"primitive {name}", "its node is no nirbridge.primitives.Extension", "Derive it from one")
    known = next((kind for kind in (*_specs, nir.NIRGraph) if kind.__name__ == name), spec.node)
    if known is not spec.node:
        raise GraphError(f"primitive {name}", "another primitive has this name", "Rename it")
    _specs[spec.node] = spec
    return spec


def _load_plugins() -> None:
    """Loads what packages register, once.

    Warns:
        GraphWarning: one of them cannot be loaded; the others can.
    """
    global _plugins_loaded
    with _LOADING:
        if _plugins_loaded:
            return
        _plugins_loaded = True  # first, for a package that asks for a Spec while it is loaded
        for entry in entry_points(group=GROUP):
            try:
                spec = entry.load()
                if getattr(spec, "node", None) not in _specs:  # else the process has registered one of its own
                    register(spec)
            except Exception as error:  # a package may do anything at import
                found = f"primitive '{entry.name}': {entry.value} cannot be loaded ({type(error).__name__}: {error})."
                warnings.warn(f"{found} Mend or uninstall its package.", GraphWarning, stacklevel=3)


def find_spec(kind: type[nir.NIRNode]) -> Spec | None:
    """What is known of exactly this type; None where it is no primitive."""
    found = _specs.get(kind)
    if found is None and kind is not nir.NIRGraph:
        _load_plugins()
        found = _specs.get(kind)
    return found


def spec_of(node: Any) -> Spec:
    """What is known of the exact type of ``node``.

    Raises:
        UnsupportedError: it is no primitive.
    """
    found = find_spec(type(node))
    if found is None:
        where = f"node type {type(node).__name__}"
        raise UnsupportedError(where, "it is no primitive", "Register its Spec by the entry point nirbridge.primitives")
    return found


def all_specs() -> tuple[Spec, ...]:
    """Every primitive, those of nirbridge first."""
    _load_plugins()
    return tuple(_specs.values())


def type_named(name: str) -> type[nir.NIRNode] | None:
    """The type that files know by this name; None where nothing does."""
    if name == nir.NIRGraph.__name__:
        return nir.NIRGraph
    for specs in (_specs.values, all_specs):
        found = next((spec.node for spec in tuple(specs()) if spec.node.__name__ == name and spec.stored), None)
        if found is not None:
            return found
    return None


def stored_names() -> tuple[str, ...]:
    """The names of all types that files may hold."""
    return (nir.NIRGraph.__name__, *(spec.node.__name__ for spec in all_specs() if spec.stored))


def sends_spikes(name: str) -> bool:
    """Whether the type that files know by this name sends spikes, whatever comes in."""
    kind = type_named(name)
    spec = None if kind is None else find_spec(kind)
    return spec is not None and spec.sends.spikes


def time_constants(node: nir.NIRNode) -> tuple[str, ...]:
    """Its fields that hold time constants, in seconds; none of what is no primitive."""
    spec = find_spec(type(node))
    return () if spec is None else spec.time_constants


def is_coded(node: nir.NIRNode) -> bool:
    """Whether it sends its values as phases of a window, or reads such a code."""
    spec = find_spec(type(node))
    return spec is not None and spec.window is not None and spec.window.coded


def is_input(node: nir.NIRNode) -> bool:
    """Whether data enter a graph through it."""
    spec = _specs.get(type(node))
    return spec is not None and spec.sends.kind == "data"
