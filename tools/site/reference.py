"""A hook of MkDocs: the build warns, and so fails, for a public name that the reference lacks."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("nirbridge", "runtimes/nirbridge_*", "datasets/nirbridge_events")
INTERNAL = {
    "nirbridge.cli",  # docs/cli.md has its help
    "nirbridge_events.live",
    "nirbridge_events.readers",
    "nirbridge_events.viewing",
    "nirbridge_norse.norse_base",
}
"""Modules whose names are for other modules, not for users."""

_LOG = logging.getLogger("mkdocs.hooks.reference")


def public_names(root: Path = ROOT) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each public module, a package or a file right in one, with the names in its ``__all__``."""
    for package in sorted(folder for pattern in PACKAGES for folder in root.glob(pattern)):
        for file in sorted((*package.glob("*.py"), *package.glob("*/__init__.py"))):
            parts = file.relative_to(package.parent).with_suffix("").parts
            module = ".".join(part for part in parts if part != "__init__")
            names = _stated(file)
            if names and module not in INTERNAL:
                yield module, names


def _stated(file: Path) -> tuple[str, ...]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def missing(known: Callable[[str], bool], root: Path = ROOT) -> list[str]:
    """Public names, with their modules, that the reference does not know."""
    full = (f"{module}.{name}" for module, names in public_names(root) for name in names if name != "__version__")
    return [name for name in full if not known(name)]


def on_env(env: Any, config: Any, files: Any) -> Any:
    """Called when all pages have been read."""
    references = config.plugins["autorefs"]

    def known(name: str) -> bool:
        try:
            references.get_item_url(name)
        except KeyError:
            return False
        return True

    for name in missing(known):
        home = name.rpartition(".")[0]
        _LOG.warning("docs/api: no page has '%s': add '::: %s' to one, or give the name a docstring", name, home)
    return env
