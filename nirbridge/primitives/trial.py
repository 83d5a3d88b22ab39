"""A step on trial: what numpy, torch and a compiled loop would each answer in a way of their own is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_COUNTING = (np.add, np.subtract, np.negative)
"""On comparisons alone numpy and torch join bits, or raise, where the loop of a step counts 1 and 0."""


class AmbiguousStepError(TypeError):
    """The step has no one meaning."""


def require_one_meaning(owner: str, step: Callable[..., Any], names: tuple[str, ...], states: int) -> None:
    """Runs the step once, on ones.

    Args:
        owner: name of its node.
        step: ``step(x, *state, *parameters)``.
        names: of its arguments.
        states: how many of them are states.

    Raises:
        AmbiguousStepError: it adds, subtracts or negates comparisons alone, or changes an argument in place.
    """
    shapes = [(2, 3)] * (1 + states) + [(3,)] * (len(names) - 1 - states)
    given = [np.ones(shape).view(_Tried) for shape in shapes]
    for array in given:
        array.flags.writeable = False
    # Parameters may have to be of other shapes; whether the step runs at all is no question here.
    with np.errstate(all="ignore"):
        try:
            step(*given)
        except AmbiguousStepError as error:
            raise AmbiguousStepError(f"{owner}: {error}") from None
        except Exception:
            return


class _Tried(np.ndarray[Any, Any]):
    """Numbers that say what is done to them."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **more: Any) -> Any:
        plain = [np.asarray(one) for one in inputs]
        if out is not None and not all(one.flags.writeable for one in out):
            raise AmbiguousStepError("step changes what it is given, which others read: write v = v + x, not v += x")
        if ufunc in _COUNTING and all(one.dtype.kind == "b" for one in plain):
            found = f"step takes {ufunc.__name__} of comparisons alone, which numpy and torch do not count as 1"
            raise AmbiguousStepError(f"{found}: write where(a > b, 1.0, 0.0) for one of them")
        return _tried(getattr(ufunc, method)(*plain, **more))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _tried(super().__array_function__(func, types, args, kwargs))


def _tried(found: Any) -> Any:
    return np.asarray(found).view(_Tried)
