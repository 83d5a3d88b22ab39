"""What every extension primitive shares: the opset, validation of fields, and the form on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError, brief

OPSET = 1
"""The newest version of the extension primitives that this nirbridge reads and writes."""

Shape = tuple[int, ...]
"""The shape of one frame, without time and batch."""
MOST_AXES = 30
"""numpy's arrays have up to 32, two of them for time and batch."""
TEXT_FIELDS = ("padding", "reset", "boundary", "coding", "downsample")
"""Fields that hold a text, some only at times; all others hold numbers."""
NOT_FIELDS = ("input_type", "output_type", "metadata")
"""What every node has beside its own fields."""


class Extension(nir.NIRNode):
    """Base of the primitives that nirbridge adds to NIR.

    It subclasses ``nir.NIRNode`` and never a neuron of NIR, so that a consumer which tests with ``isinstance``
    cannot run one as a binary neuron.  Subclasses are dataclasses; all their meaning is in fields.
    """

    opset: ClassVar[int] = OPSET

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """The fields that carry the meaning, in the order of the constructor."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name not in NOT_FIELDS)

    def to_dict(self) -> dict[str, Any]:
        """The node as NIR stores it, with its type and its opset."""
        stored: dict[str, Any] = super().to_dict()
        stored["opset"] = self.opset
        return stored

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Extension:
        """The node that :meth:`to_dict` stored.

        Raises:
            GraphError: the opset is newer than this nirbridge, a field is unknown or one is missing.
        """
        fields = dict(stored)
        fields.pop("type", None)
        opset = int(fields.pop("opset", OPSET))
        if not 1 <= opset <= OPSET:
            raise GraphError(
                cls.__name__, f"opset {opset} is not in 1..{OPSET}, which this nirbridge knows", "Update nirbridge"
            )
        unknown = sorted(set(fields) - set(cls.field_names()) - {"metadata"})
        if unknown:
            raise GraphError(cls.__name__, f"unknown field {brief(unknown[0])}", f"Known fields: {_listed(cls)}")
        try:
            return cls(**fields)
        except TypeError as error:
            missing = sorted(set(cls.field_names()) - set(fields))
            raise GraphError(
                cls.__name__, f"fields {missing} are missing" if missing else str(error), f"Fields: {_listed(cls)}"
            ) from error

    def _hold_numbers(self, shape: Shape, *names: str) -> None:
        """Makes arrays of these fields, which have to hold numbers that broadcast to ``shape``."""
        where = type(self).__name__
        for name in names:
            array = as_number(where, name, getattr(self, name))
            require_broadcast(where, name, array, shape)
            setattr(self, name, array)

    def _set_types(self, input_shape: Shape | None, output_shape: Shape | None) -> None:
        """Fills NIR's type fields; ``None`` where the shape depends on the graph."""
        self.input_type = {"input": None if input_shape is None else np.array(input_shape, dtype=np.int64)}
        self.output_type = {"output": None if output_shape is None else np.array(output_shape, dtype=np.int64)}


def _listed(cls: type[Extension]) -> str:
    return ", ".join(cls.field_names())


def as_shape(where: str, value: Any, ndim: int | None = None) -> Shape:
    """``value`` as a tuple of positive integers.

    Raises:
        GraphError: it is not one, or has not ``ndim`` entries.
    """
    if np.size(value) > MOST_AXES:
        raise GraphError(where, f"shape {brief(value)} has more than {MOST_AXES} axes")
    numbers = np.atleast_1d(value).tolist()
    if any(not isinstance(n, (int, float)) or not float(n).is_integer() or n < 1 for n in numbers):
        raise GraphError(where, f"shape {brief(tuple(numbers))} has an entry that is not a positive whole number")
    if ndim is not None and len(numbers) != ndim:
        raise GraphError(where, f"shape {tuple(numbers)} has {len(numbers)} axes, expected {ndim}")
    return tuple(int(n) for n in numbers)


def as_pair(where: str, name: str, value: Any, minimum: int) -> NDArray[np.int64]:
    """``value`` as (height, width), whole numbers of at least ``minimum``; one number counts for both."""
    pair = np.asarray(value)
    if pair.size not in (1, 2) or not np.issubdtype(pair.dtype, np.integer) or (pair < minimum).any():
        raise GraphError(where, f"{name} {brief(value)} is not one or two whole numbers of at least {minimum}")
    return np.broadcast_to(pair.ravel(), (2,)).astype(np.int64)


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether values of this type are numbers as every runtime and reader knows them: no complex, no long double."""
    return dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize <= 8)


def as_number(where: str, name: str, value: Any) -> NDArray[Any]:
    """``value`` as a numeric array whose dtype is kept.

    Raises:
        GraphError: it is not numeric.
    """
    array = np.asarray(value)
    if not is_real(array.dtype):
        raise GraphError(where, f"{name} has dtype {array.dtype}", "Give real numbers of up to 64 bits")
    return array


def as_count(where: str, name: str, value: Any, minimum: int) -> int:
    """``value`` as a whole number of at least ``minimum``."""
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "fiu" or not np.inf > number == np.rint(number) >= minimum:
        raise GraphError(where, f"{name} {brief(value)} is not a whole number of at least {minimum}")
    return int(number)


def as_choice(where: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """``value`` as one of ``choices``."""
    text = value.decode() if isinstance(value, bytes) else str(value)
    if text not in choices:
        raise GraphError(where, f"{name} {brief(text)} is unknown", f"Known: {', '.join(choices)}")
    return text


def broadcasts(found: Shape, shape: Shape) -> bool:
    """Whether an array of shape ``found`` broadcasts to exactly ``shape``."""
    try:
        return np.broadcast_shapes(found, shape) == shape
    except ValueError:
        return False


def require_broadcast(where: str, name: str, array: NDArray[Any], shape: Shape) -> None:
    """Refuses an array that does not broadcast to exactly ``shape``."""
    if not broadcasts(array.shape, shape):
        raise GraphError(where, f"{name} of shape {array.shape} does not broadcast to {shape}")


@dataclasses.dataclass(eq=False)
class Neuron(Extension):
    """A base for neurons: ``shape``, and fields of numbers that broadcast to it.

    A subclass is a dataclass that adds its fields; all of them are checked here.

    Raises:
        GraphError: a field holds no numbers, or does not broadcast to ``shape``.
    """

    shape: Shape

    def __post_init__(self) -> None:
        self.shape = as_shape(type(self).__name__, self.shape)
        self._hold_numbers(self.shape, *(name for name in self.field_names() if name != "shape"))
        self._set_types(self.shape, self.shape)
