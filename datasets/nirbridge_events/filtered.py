"""Filters in front of a recording, an array or a stream of chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size
from nirbridge_events.filters.base import EventFilter
from nirbridge_events.filters.chain import FilterChain, FilterReport
from nirbridge_events.recording import Recording, open_recording
from nirbridge_events.settings import DEFAULT_SENSOR

Chunk = Events | npt.NDArray[Any]


class FilteredChunks:
    """Chunks of one's own behind filters; each iteration begins anew with them.

    Args:
        chunks: what comes in.
        chain: what it goes through.
    """

    def __init__(self, chunks: Iterable[Chunk], chain: FilterChain) -> None:
        self._chunks, self._chain = chunks, chain

    def __iter__(self) -> Iterator[Events]:
        """Yields what passes, chunk by chunk, an empty one where one came, and at the end what was held back.

        Raises:
            InputError: times go back, a polarity is neither 0 nor 1, or an event lies outside the sensor.
        """
        return self._chain.over(self._chunks)

    @property
    def reports(self) -> tuple[FilterReport, ...]:
        """What each filter did, up to now."""
        return self._chain.reports


@overload
def filtered(  # type: ignore[overload-overlap]  # a Recording is one of the iterables
    source: Recording | Events | npt.NDArray[Any], filters: Sequence[EventFilter], sensor_size: Size | None = None
) -> Recording: ...


@overload
def filtered(
    source: Iterable[Chunk], filters: Sequence[EventFilter], sensor_size: Size | None = None
) -> FilteredChunks: ...


def filtered(
    source: Recording | Chunk | Iterable[Chunk], filters: Sequence[EventFilter], sensor_size: Size | None = None
) -> Recording | FilteredChunks:
    """The same source with filters, one behind the other, for all that takes a recording or chunks.

    What passes is a recording of its own: windows begin with its first event unless ``start`` says when.

    Args:
        source: a ``Recording``, which may have filters already; ``Events`` or a structured array (x, y, t [µs], p);
            or an iterable of chunks.
        filters: their configurations.
        sensor_size: (width, height) of an array, by default the smallest known sensor that holds it, or of chunks, by
            default (346, 260).  A ``Recording`` has its own.

    Returns:
        a new ``Recording``; of chunks an iterable of chunks.

    Raises:
        InputError: a filter does not fit the sensor, or the sensor size does not fit the source.
    """
    if isinstance(source, Recording):
        if sensor_size is not None and tuple(sensor_size) != source.sensor_size:
            found = f"{sensor_size} is not the sensor of {source.name}, {source.sensor_size}"
            raise InputError("sensor_size", found, "Leave it away")
        return Recording(source.source, source.jitter, source.bad_events, (*source.filters, *filters))
    if isinstance(source, (Events, np.ndarray)):
        return open_recording(source, sensor_size, filters=filters)
    return FilteredChunks(source, FilterChain(filters, DEFAULT_SENSOR if sensor_size is None else sensor_size))
