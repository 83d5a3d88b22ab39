"""What a data set is to an evaluation: samples by number, loaded a few at a time in whatever process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from nirbridge.errors import InputError
from nirbridge.runtime import Array


@dataclass(frozen=True)
class Batch:
    """Samples that run together.

    Attributes:
        x: [T, B, *shape] by input name; samples that are shorter than T end in zeros.
        places: [B], their numbers in the part.
        steps: [B], T of each, in steps of the graph's input.
        still: whether every sample is one frame that is shown at each step.
        bad: why a sample could not be read, by its number in the part; such ones are not in ``x``.
        losses: what was left out of a sample, by its number in the part.
        filtered: of each filter of events, by its text, how many came to it and how many it took out.
    """

    x: Mapping[str, Array]
    places: Array
    steps: Array
    still: bool = False
    bad: Mapping[int, str] = field(default_factory=dict)
    losses: Mapping[int, str] = field(default_factory=dict)
    filtered: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def only(self, rows: Any) -> Batch:
        """Some of the samples."""
        x = {name: array[:, rows] for name, array in self.x.items()}
        return replace(self, x=x, places=self.places[rows], steps=self.steps[rows])


Part = Callable[[], Batch]
"""Loads a few samples in the process to which it travels; what cannot be read of them is in ``bad``."""


class Samples(Protocol):
    """A data set."""

    @property
    def labels(self) -> Array | None:
        """[N], the class of each sample; None where it is not known."""
        ...

    @property
    def steps(self) -> int | None:
        """T of every sample in steps of the graph's input; None where each has its own."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know about how the data are read, a line each."""
        ...

    @property
    def input_kind(self) -> str | None:
        """What inputs bring, "events" or "analog", where the data say it; see :func:`nirbridge.energy`."""
        ...

    @property
    def identity(self) -> tuple[str | int | float, ...]:
        """What tells these data from others, and from older ones of the same name."""
        ...

    def __len__(self) -> int: ...

    def part(self, first: int, stop: int) -> Part:
        """The samples ``first`` to ``stop`` - 1."""
        ...

    def name(self, number: int) -> str:
        """The file of a sample, empty where it has none of its own."""
        ...


def all_bad(number: int, why: str) -> InputError:
    """The error for data of which no sample can be read, as sample ``number``."""
    return InputError(f"input, sample {number}", f"cannot be read, nor can any other: {why}", "Check the data")


def require_labels(labels: Array, samples: int, classes: int) -> Array:
    """Labels as whole numbers [N].

    Raises:
        InputError: they are none, not one for each sample, or beyond the network's classes.
    """
    found = np.asarray(labels)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        what = f"{found.dtype} of shape {found.shape}, expected whole numbers [N]"
        raise InputError("labels", what, "Give the class of each sample, from 0 on")
    if len(found) != samples:
        raise InputError("labels", f"{len(found)} classes for {samples} samples", "Give one for each sample")
    if found.size and (found.min() < 0 or found.max() >= classes):
        wrong = int(found.min() if found.min() < 0 else found.max())
        raise InputError("labels", f"class {wrong} is not within 0..{classes - 1}", "Number the classes from 0 on")
    return found.astype(np.int64)
