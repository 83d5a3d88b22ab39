"""Where HDF5 files keep events: tables are known by their columns, wherever they stand.

Four kinds of place are events:

1. a group with one-dimensional arrays t, x, y and p (or ts, xs, ys, ps, ...): DSEC, M3ED, RVT, eTraM, E2VID;
2. a one-dimensional table with such fields: Prophesee's ``CD/events``;
3. an array [N, 4] with ``event`` in its name: v2e, MVSEC; ``evidence`` tells its order;
4. a group with the arrays of arrays ``times`` and ``units``: SHD and SSC, one channel a unit, one sample a row.

Links are not followed: files come from strangers, and a link may lead out of them.

Source: Gehrig et al. 2021 (DSEC), Chaney et al. 2023 (M3ED), Zhu et al. 2018 (MVSEC), Hu et al. 2021 (v2e), Cramer
et al. 2022 (SHD, SSC), Prophesee's HDF5 event file format.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import h5py

from nirbridge_events.readers.beside import LARGEST, Said, as_numbers, text_of
from nirbridge_events.readers.columns import find_columns, one_of_each, unit_of
from nirbridge_events.readers.wanted import FIELDS

DEPTH, MOST_CHILDREN, MOST_OBJECTS = 5, 256, 2000
SPIKES = ("times", "units")
# Tables whose times are µs by their format; others name no unit.  A mark beside the events may be required.
MICROSECONDS = (("CD/events", ""), ("prophesee/left", ""), ("prophesee/right", ""), ("events", "ms_to_idx"))
UNIT_ATTRIBUTES = ("unit", "units")


@dataclass(frozen=True)
class Place:
    """Where events are kept.

    Attributes:
        path: of the group or array.
        arrays: one array, or one for each of ``names``, which are t, x, y and p.
        names: of the columns, None where nothing names them.
    """

    path: str
    arrays: tuple[h5py.Dataset, ...]
    names: tuple[str, ...] | None

    @property
    def camera(self) -> str:
        """What the camera is called: the path without the word events, or the path."""
        return self.path.removesuffix("events").strip("/") or self.path

    @property
    def is_spikes(self) -> bool:
        """Whether it is a set of one-dimensional samples."""
        return self.names == SPIKES


@dataclass
class Content:
    """What a walk through a file has found.

    Attributes:
        places: where it keeps events.
        listed: every array with its shape, for people.
        links: names that lead elsewhere.
    """

    places: list[Place] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def find_events(file: h5py.File) -> Content:
    """All places with events, those near the root first; the walk is bounded by depth and number."""
    content, seen = Content(), 0
    waiting: deque[tuple[h5py.Group, int]] = deque([(file, 0)])
    while waiting and seen < MOST_OBJECTS:
        group, depth = waiting.popleft()
        children = list(_children(group, content))
        seen += 1 + len(children)
        if depth < DEPTH:
            waiting.extend((child, depth + 1) for _, child in children if isinstance(child, h5py.Group))
        arrays = {name: data for name, data in children if isinstance(data, h5py.Dataset) and data.shape is not None}
        content.listed += [f"{group.name}/{name} {data.shape}".lstrip("/") for name, data in arrays.items()]
        content.places += _places(group.name.strip("/"), arrays)
    return content


def _places(path: str, arrays: dict[str, h5py.Dataset]) -> Iterator[Place]:
    """The places of events in one group."""
    flat = {name: data for name, data in arrays.items() if data.ndim == 1 and not data.dtype.names}
    found = one_of_each(list(flat))
    if set(SPIKES) <= set(flat) and all(h5py.check_vlen_dtype(flat[name].dtype) for name in SPIKES):
        yield Place(path, tuple(flat[name] for name in SPIKES), SPIKES)
    elif found:
        names = tuple(list(flat)[found[field]] for field in FIELDS)
        yield Place(path, tuple(flat[name] for name in names), names)
    for name, data in arrays.items():
        if data.ndim == 1 and data.dtype.names and set(find_columns(data.dtype.names)) == set(FIELDS):
            yield Place(f"{path}/{name}".strip("/"), (data,), data.dtype.names)
        elif data.ndim == 2 and data.shape[1] == len(FIELDS) and "event" in name.lower():
            yield Place(f"{path}/{name}".strip("/"), (data,), None)


def _children(group: h5py.Group, content: Content) -> Iterator[tuple[str, Any]]:
    for name in islice(group, MOST_CHILDREN):
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield name, group[name]
        else:
            content.links.append(f"{group.name}/{name}".strip("/"))


def known_unit(file: h5py.File, place: Place) -> str:
    """The unit of time that the times' attributes or, for whole numbers, the layout says, or ""."""
    times = place.arrays[0]
    if place.is_spikes:
        return "s" if h5py.check_vlen_dtype(times.dtype).kind == "f" else ""
    for name in UNIT_ATTRIBUTES if len(place.arrays) > 1 else ():
        if name in times.attrs and _size_of(times.attrs, name) <= LARGEST:
            return unit_of(text_of(times.attrs[name]).strip().lower())
    whole = (times.dtype["t"] if times.dtype.names and "t" in times.dtype.names else times.dtype).kind in "iu"
    known = any(path == place.path and (not mark or mark in file) for path, mark in MICROSECONDS)
    return "us" if known and whole else ""


def beside(file: h5py.File, place: Place) -> list[Said]:
    """What stands beside the events, the nearest first."""
    found = file[place.path] if place.path else file
    group = found if isinstance(found, h5py.Group) else found.parent
    holders = (group, place.arrays[0].attrs, group.attrs, group.get("calib"), file, file.attrs)
    return [partial(_numbers, holder) for holder in holders if holder is not None]


def _size_of(attributes: h5py.AttributeManager, name: str) -> int:
    return int(attributes.get_id(name).get_storage_size())


def _numbers(holder: Any, name: str, count: int) -> list[int | float] | None:
    """See ``Said``, of attributes or tiny arrays."""
    if name not in holder:
        return None
    if isinstance(holder, h5py.Group) and not isinstance(holder.get(name, getlink=True), h5py.HardLink):
        return []
    if isinstance(holder, h5py.AttributeManager) and _size_of(holder, name) > LARGEST:
        return []
    value = holder.get(name)
    if isinstance(value, h5py.Dataset):
        tiny = value.size is not None and value.size <= 2 and not (value.is_virtual or value.external)
        value = value[()] if tiny and value.dtype.kind in "iuf" else ()
    return as_numbers(value, count)
