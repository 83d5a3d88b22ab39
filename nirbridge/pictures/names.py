"""Names in pictures, which come from files and can be of any length."""

from __future__ import annotations

from nirbridge.reports import drawable


def short_name(name: str, most: int = 28) -> str:
    """A name as matplotlib draws it, its middle left out where it is longer than ``most`` characters."""
    if len(name) > most:
        name = f"{name[: most // 2]}…{name[len(name) - (most - most // 2 - 1) :]}"
    return drawable(name)
