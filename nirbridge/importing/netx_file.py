"""The HDF5 layout in which lava-dl writes trained networks for its netx, as layers of named values.

Source: lava-dl, ``export_hdf5`` in src/lava/lib/dl/slayer/block/base.py, read by src/lava/lib/dl/netx/hdf5.py
(github.com/lava-nc/lava-dl).  A group ``layer`` holds a group for each layer, named by its number; each has a ``type``,
a ``shape``, parameters and mostly a group ``neuron``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import FileError, GraphError, brief
from nirbridge.ir.guard import guarded
from nirbridge.ir.sources import Origin

_LARGEST = 2.0**32
"""No parameter of the chip has so many bits."""


@dataclass(frozen=True)
class Fields:
    """Named values of one group.

    Attributes:
        where: how messages name it.
        values: by name.
    """

    where: str
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text, which may stand in an array of one; empty where there is none."""
        value = np.asarray(self.values.get(name, "")).reshape(-1)[:1]
        return "".join(item.decode("ascii", "replace") if isinstance(item, bytes) else str(item) for item in value)

    def whole(self, name: str, default: Any = None) -> NDArray[np.int64]:
        """Whole numbers, in whatever dtype they are stored.

        Raises:
            GraphError: it is missing, holds something else, or is no array of numbers.
        """
        value = np.asarray(self.values.get(name, default))
        value = value.astype(np.int8) if value.dtype.kind == "b" else value
        if value.dtype.kind not in "iufb":
            found = f"has no '{name}'" if name not in self.values else f"'{name}' holds {value.dtype}, not numbers"
            raise GraphError(self.where, found, "Export it from lava-dl again")
        rounded = np.rint(value, dtype=np.float64)  # bytes would round in half precision
        bad = (rounded != value) | (np.abs(rounded) > _LARGEST)
        if bad.any():
            found = f"'{name}' holds {brief(value[bad].flat[0])}, which is no whole number"
            raise GraphError(self.where, found, "Train it with lava-dl's 8-bit quantisation, and export it again")
        return rounded.astype(np.int64)

    def require_known(self, names: Iterable[str]) -> None:
        """Refuses what nobody would read.

        Raises:
            GraphError: it holds another field.
        """
        unknown = sorted(set(self.values) - set(names))
        if unknown:
            raise GraphError(self.where, f"unknown field {brief(unknown[0])}", "nirbridge drops nothing silently")


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: "layer0" and so on, by which its nodes are named.
        kind: its type, as "dense".
        fields: its own values.
        neuron: those of its neuron; None where it has none.
    """

    name: str
    kind: str
    fields: Fields
    neuron: Fields | None


def read_layers(source: Any) -> list[Layer]:
    """The layers of a file, in their order.

    Args:
        source: a path, or an object that gives bytes, as for ``nirbridge.read``.

    Raises:
        FileError: it is missing, damaged, or no file of this layout.
        GraphError: a layer has no type, or holds a group that is not known.
    """
    origin = Origin(source, "read")
    with guarded(origin) as file:
        group = file.get("layer")
        if not isinstance(group, h5py.Group) or not len(group):
            raise FileError(origin.where, "holds no group 'layer'", "This HDF5 file is none that lava-dl exported")
        numbers = [str(number) for number in range(len(group))]
        if set(group) != set(numbers):
            found = f"its layers are {brief(sorted(group))}, not 0 to {len(group) - 1}"
            raise FileError(origin.where, found, "Export it again")
        return [_layer(group[number], f"layer {number}") for number in numbers]


def _layer(group: Any, where: str) -> Layer:
    if not isinstance(group, h5py.Group):
        raise GraphError(where, "is no group", "Export it from lava-dl again")
    values = {name: item[()] for name, item in group.items() if isinstance(item, h5py.Dataset)}
    kind = Fields(where, values).text("type")
    where = f"{where} ({kind or 'no type'})"
    groups = [name for name, item in group.items() if isinstance(item, h5py.Group)]
    if "weight" in groups:
        raise GraphError(where, "its weights are complex", "Only real weights have a counterpart in NIR")
    if set(groups) - {"neuron"}:
        raise GraphError(where, f"unknown group {brief(sorted(groups)[0])}", "nirbridge drops nothing silently")
    values.pop("type", None)
    neuron = None
    if "neuron" in groups:
        stored = {name: item[()] for name, item in group["neuron"].items() if isinstance(item, h5py.Dataset)}
        neuron = Fields(f"{where}, neuron", stored)
    return Layer(where.split(" (")[0].replace(" ", ""), kind, Fields(where, values), neuron)
