"""What users bring as data → one array: tensors, arrays, loaders, generators of batches or of samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nirbridge.arrays import as_array
from nirbridge.errors import InputError, brief
from nirbridge.exporting.user_code import describe, user_code

LIMIT = 1024
WHERE = "argument 'data'"
_SHAPE = "Give samples [N, *shape], or a loader that gives batches of them"
_INPUTS = ("image", "images", "pixel_values", "x", "input", "inputs", "data", "features")
_LABELS = ("label", "labels", "y", "target", "targets")
_MOST_EMPTY = 1000
"""Items without a sample that a source may give beyond those with one."""


class Samples(NamedTuple):
    """Data as the network takes them.

    Attributes:
        data: [N, *shape].
        note: how many were taken of a source that has or may have more; empty where all were.
    """

    data: NDArray[Any]
    note: str = ""


def samples(data: Any, limit: int = LIMIT) -> Samples:
    """The samples of whatever holds them, perhaps with labels, which nobody needs here.

    1. An array, a tensor, or what numpy makes an array of: all of it.
    2. A tuple (x, y) of such, y of whole numbers: all of it.
    3. A DataLoader, or another source of batches: tensors [B, *shape], tuples (x, y), dictionaries with one tensor or
       a key such as "image", "pixel_values" or "x".
    4. A Dataset, or a list of samples: tensors [*shape], tuples (x, y) with y a number, or dictionaries.

    Args:
        data: the source.
        limit: samples to take at most of 3 and 4, whose number need not be known.

    Raises:
        InputError: the source gives nothing, something else, or samples of several shapes; one line.
    """
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise InputError("option 'limit'", f"{limit!r} is not a whole number from 1", "Give for instance 1024")
    if isinstance(data, (np.ndarray, Tensor)):
        return Samples(as_numbers(data))
    if isinstance(data, tuple) and len(data) == 2 and _is_labelled(*data):
        return Samples(as_numbers(data[0]))
    if isinstance(data, Dataset):
        items = data if isinstance(data, IterableDataset) else (data[index] for index in range(_length(data)))
        return _gathered(items, limit, batched=False)
    if isinstance(data, (list, tuple)):
        numbers = not any(isinstance(item, (Tensor, np.ndarray, tuple, Mapping)) for item in data)
        return Samples(as_numbers(data)) if numbers else _gathered(data, limit, batched=False)
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
        if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
            return Samples(as_numbers(data))
        raise InputError(WHERE, f"is a {type(data).__name__}, which holds no samples", _SHAPE)
    return _gathered(data, limit, batched=not isinstance(data, DataLoader) or data.batch_sampler is not None)


def _length(data: Any) -> int:
    """Of a data set; one that does not say how long it is ends with an IndexError, which is told."""
    try:
        return len(data)
    except TypeError:
        return 2**62


def _gathered(source: Iterable[Any], limit: int, batched: bool) -> Samples:
    """The first ``limit`` samples of a source.

    Args:
        source: of batches or of single samples.
        limit: samples to take at most.
        batched: which of both, where no labels tell.
    """
    parts: list[NDArray[Any]] = []
    taken, more = 0, False
    for empty, item in enumerate(_guarded(source)):
        found = _batch(item, batched)
        if found.ndim < 2:
            raise InputError(WHERE, f"gives batches of shape {found.shape}, expected [B, *shape]", _SHAPE)
        if parts and found.shape[1:] != parts[0].shape[1:]:
            both = f"{parts[0].shape[1:]} and {found.shape[1:]}"
            raise InputError(WHERE, f"gives samples of shapes {both}", "Bring all to one shape")
        more = taken + len(found) > limit
        if len(found) and taken < limit:
            parts.append(found[: limit - taken])
            taken += len(parts[-1])
        if more or empty > taken + _MOST_EMPTY:
            break
    if not taken:
        raise InputError(WHERE, "gives no sample", "Give at least one")
    return Samples(np.concatenate(parts), f"the first {taken} samples of it were taken" if more else "")


def _batch(item: Any, batched: bool) -> NDArray[Any]:
    """What a source gives as samples [B, *shape].

    One label for each of several samples tells a batch, a single number a sample.
    """
    found, label = _split(item)
    if label is not None:
        batched = label.ndim == 1 and found.ndim > 1 and len(found) == len(label)
    return found if batched else found[None]


def _guarded(source: Iterable[Any]) -> Iterable[Any]:
    """The items of a source whose code may raise."""
    try:
        with user_code():
            items = iter(source)
        while True:
            with user_code():
                batch = list(islice(items, 1))
            if not batch:
                return
            yield batch[0]
    except InputError:
        raise
    except Exception as error:
        raise InputError(WHERE, f"raises {describe(error)} while it is read", "Iterate over it yourself") from error


def _split(item: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(samples, labels) of what a source gives."""
    if isinstance(item, Mapping):
        return _of_mapping(item)
    if isinstance(item, (tuple, list)) and item and _holds_tensors(item[0]):
        if isinstance(item[0], Mapping):
            return _of_mapping(item[0])
        return as_numbers(item[0]), _labels(item[1]) if len(item) > 1 else None
    return as_numbers(item), None


def _holds_tensors(item: Any) -> bool:
    return isinstance(item, (Tensor, np.ndarray, Mapping)) or hasattr(item, "__array__")


def _of_mapping(item: Mapping[Any, Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    arrays = {key: value for key, value in item.items() if isinstance(value, (Tensor, np.ndarray))}
    label = next((_labels(item[key]) for key in _LABELS if key in item), None)
    named = [key for key in _INPUTS if key in arrays]
    real = [key for key, value in arrays.items() if key not in _LABELS and value.ndim > 1]  # else numbers of samples
    keys = named[:1] or real
    if len(keys) != 1:
        found = f"gives a dictionary with {brief(sorted(map(str, item)))}, which does not say what the network takes"
        raise InputError(WHERE, found, f"Name it as one of {', '.join(_INPUTS[:4])}")
    return as_numbers(arrays[keys[0]]), label


def _labels(value: Any) -> NDArray[Any] | None:
    """Whole numbers, one or an array with one axis; None for anything else that stands beside samples."""
    if isinstance(value, (bool, str, bytes)) or value is None:
        return None
    try:
        array = np.asarray(value.detach().cpu()) if isinstance(value, Tensor) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in "iu" and array.ndim < 2 else None


def _is_labelled(x: Any, y: Any) -> bool:
    """Whether a tuple of two is samples and their labels, instead of two samples."""
    label = _labels(y)
    return label is not None and label.ndim == 1 and _holds_tensors(x) and np.ndim(x) > 1 and len(x) == len(label)


def as_numbers(value: Any, next_step: str = _SHAPE) -> NDArray[Any]:
    """As numpy reads it, which has no bfloat16.

    Raises:
        InputError: it is no array of numbers.
    """
    array = as_array(WHERE, value, next_step)
    if array.dtype.kind not in "fiub":
        kind = f"dtype {array.dtype}" if array.dtype != object else f"objects such as {type(value).__name__}"
        raise InputError(WHERE, f"has {kind}, not numbers", next_step)
    return array
