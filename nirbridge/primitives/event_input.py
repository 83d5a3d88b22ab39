"""The input that says how events become frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.errors import GraphError
from nirbridge.primitives.examples import DYADIC_DT, INTEGER_DT, Example, signed, weights, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_choice, as_count, as_shape
from nirbridge.primitives.multi_level_lif import MultiLevelLIF, integer_lanes
from nirbridge.primitives.shaping import declared, stated
from nirbridge.primitives.spec import HOST, Checks, Floats, Integers, Sends, Shown, Spec, boundary

CODINGS = ("binary", "count", "one-hot")
DOWNSAMPLES = ("or", "sum", "max")


@dataclass(eq=False)
class EventInput(Extension):
    """An ``Input`` fed by an event camera: one frame for each window of time.

    Args:
        shape: (P, H, W) of a frame; P is 2 with polarities kept, 1 with polarities merged.
        sensor_size: (width, height) of the sensor in pixels; larger than (W, H) means downsampling.
        window: length of a frame in µs.
        subframes: binary sub-frames that a window is split into and that coding "one-hot" sums up.
        lanes: S of coding "one-hot"; the values are 0, 1, 2, .., 2^(S-1).
        coding: "binary" (1 where an event fell), "count" (events), "one-hot" (2^round(log2 c) of the c sub-frames).
        downsample: "or", "sum" or "max", how pixels merge; always before the coding.

    Raises:
        GraphError: a field is out of range.

    Source: Abillama et al., IEEE Access 2025, section on the DVS encoding.
    """

    shape: Shape
    sensor_size: Shape
    window: int
    subframes: int = 1
    lanes: int = 1
    coding: str = "binary"
    downsample: str = "or"

    def __post_init__(self) -> None:
        where = "EventInput"
        self.shape = as_shape(where, self.shape, 3)
        if self.shape[0] > 2:
            raise GraphError(where, f"{self.shape[0]} polarities in shape {self.shape}, at most 2")
        self.sensor_size = as_shape(where, self.sensor_size, 2)
        self.window = as_count(where, "window", self.window, 1)
        self.subframes = as_count(where, "subframes", self.subframes, 1)
        self.lanes = as_count(where, "lanes", self.lanes, 1)
        self.coding = as_choice(where, "coding", self.coding, CODINGS)
        self.downsample = as_choice(where, "downsample", self.downsample, DOWNSAMPLES)
        (_, height, width), (sensor_width, sensor_height) = self.shape, self.sensor_size
        if width > sensor_width or height > sensor_height:
            found = f"frame {width}x{height} is larger than the sensor {sensor_width}x{sensor_height}"
            raise GraphError(where, found, "Downsampling only makes frames smaller")
        self._set_types(self.shape, self.shape)


def _range(node: EventInput) -> tuple[float, float]:
    return 0.0, {"binary": 1.0, "one-hot": 2.0 ** min(node.lanes - 1, 1023)}.get(node.coding, np.inf)


def _unused(node: EventInput) -> str:
    if node.coding == "one-hot":
        return ""
    return "lanes" if node.lanes > 1 else "subframes" if node.subframes > 1 else ""


def _example(layer: Any, neuron: Any, dt: float) -> Example:
    nodes = {"flat": nir.Flatten(None, 0, -1), "fc": layer, "act": neuron}
    entry = EventInput((2, 3, 4), (4, 3), 1000, 4, 3, "one-hot")
    return Example("event input", (EventInput,), nodes, ("input flat fc act output",), (2, 3, 4), dt=dt, entry=entry)


def _examples() -> list[Example]:
    return [_example(nir.Affine(weights(5, 24), signed(5)), MultiLevelLIF.one_hot((5,), 3), DYADIC_DT)]


def _integer_examples() -> list[Example]:
    neuron = integer_lanes(MultiLevelLIF.one_hot((5,), 3, 40, 0.5))
    return [_example(nir.Affine(whole_numbers(5, 24), whole_numbers(5)), neuron, INTEGER_DT)]


SPEC = Spec(
    node=EventInput,
    parameters=(),
    none_means={},
    shape=declared,
    states=stated,
    operation="identity",
    by_hand="it computes nothing; encoding is done before data reach a runtime",
    dynamics=None,
    sends=Sends(kind="data", range=_range),
    fires=None,
    window=None,
    floats=Floats(),
    integers=Integers(quantise="input"),
    cost=boundary("brings the data; the sensor and its encoding are outside of the network"),
    chip=HOST,
    shown=Shown(role="boundary", fields=("sensor_size", "window", "coding", "subframes", "lanes", "downsample")),
    checks=Checks(unused=(_unused, "coding")),
    draws=(),
    examples=_examples,
    integer_examples=_integer_examples,
)
