"""What is found about a graph or a node is found once: it stays with it, for whoever asks next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


def once(analysis: Callable[[A], T]) -> Callable[[A], T]:
    """Lets a function of one frozen object keep its result in it, as ``cached_property`` does for a method.

    So a module may add what it knows to a class of a module below it.  Neither the object nor the result may be changed
    in place afterwards; ``dataclasses.replace`` makes an object of which nothing is known.
    """
    key = f"{analysis.__module__}.{analysis.__qualname__}"

    @wraps(analysis)
    def found(about: A) -> T:
        known = vars(about)
        if key not in known:
            known[key] = analysis(about)
        result: T = known[key]
        return result

    return found
