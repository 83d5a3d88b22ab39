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
from nirbridge.primitives.spec import HOST, STATELESS, Checks, Floats, Integers, Sends, Shown, Spec, boundary

CODINGS = ("binary", "count", "one-hot", "time-surface")
DOWNSAMPLES = ("or", "sum", "max")
TAU = 50_000


@dataclass(eq=False)
class EventInput(Extension):
    """An ``Input`` fed by an event camera: one frame for each window of time.

    Args:
        shape: (P, H, W) of a frame; P is 2 with polarities kept, 1 with polarities merged.
        sensor_size: (width, height) of the sensor in pixels; larger than (W, H) means downsampling.
        window: length of a frame in µs.
        subframes: binary sub-frames that a window is split into and that coding "one-hot" sums up.
        lanes: S of coding "one-hot"; the values are 0, 1, 2, .., 2^(S-1).
        coding: "binary" (1 where an event fell), "count" (events), "one-hot" (2^round(log2 c) of the c sub-frames),
            "time-surface" (exp(-(t_end - t_last)/tau) of a pixel's last event in this window or an earlier one).
        downsample: "or", "sum" or "max", how pixels merge; always before the coding.  A time surface knows no "sum".
        tau_surface: tau of "time-surface" in µs, 50 ms if not given, and 0 with another coding.  Only files with a time
            surface hold it, so that all others stay as they were before there was one.

    Raises:
        GraphError: a field is out of range.

    Source: Abillama et al., IEEE Access 2025, section on the DVS encoding; "time-surface": Lagorce et al., HOTS, 2017.
    """

    shape: Shape
    sensor_size: Shape
    window: int
    subframes: int = 1
    lanes: int = 1
    coding: str = "binary"
    downsample: str = "or"
    tau_surface: int = 0

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
        self.tau_surface = self._known_tau_surface(where)
        (_, height, width), (sensor_width, sensor_height) = self.shape, self.sensor_size
        if width > sensor_width or height > sensor_height:
            found = f"frame {width}x{height} is larger than the sensor {sensor_width}x{sensor_height}"
            raise GraphError(where, found, "Downsampling only makes frames smaller")
        self._set_types(self.shape, self.shape)

    def to_dict(self) -> dict[str, Any]:
        """See ``Extension.to_dict``."""
        stored = super().to_dict()
        if np.array_equal(self.tau_surface, 0):
            del stored["tau_surface"]
        return stored

    def _known_tau_surface(self, where: str) -> int:
        tau = as_count(where, "tau_surface", self.tau_surface, 0)
        if self.coding != "time-surface":
            if tau:
                found = f"tau_surface goes with coding 'time-surface', not with '{self.coding}'"
                raise GraphError(where, found, "Leave it away")
            return 0
        if self.downsample == "sum" or self.subframes > 1:
            found = "downsample 'sum'" if self.downsample == "sum" else f"{self.subframes} subframes"
            raise GraphError(where, f"{found} with coding 'time-surface', where one event counts", "Leave it away")
        return tau or TAU


def brings_events(node: nir.NIRNode) -> bool:
    """Whether it is an input whose frames count events; the decaying values of a time surface are analog."""
    return type(node) is EventInput and node.coding != "time-surface"


def _range(node: EventInput) -> tuple[float, float]:
    return 0.0, {"binary": 1.0, "time-surface": 1.0, "one-hot": 2.0 ** min(node.lanes - 1, 1023)}.get(
        node.coding, np.inf
    )


def _unused(node: EventInput) -> str:
    if node.coding == "one-hot":
        return ""
    return "lanes" if node.lanes > 1 else "subframes" if node.subframes > 1 else ""


def _example(layer: Any, neuron: Any, dt: float) -> Example:
    nodes = {"flat": nir.Flatten(None, 0, -1), "fc": layer, "act": neuron}
    entry = EventInput((2, 3, 4), (4, 3), 1000, 4, 3, "one-hot")
    return Example("event input", (EventInput,), nodes, ("input flat fc act output",), (2, 3, 4), dt=dt, entry=entry)


def _integer_examples() -> list[Example]:
    neuron = integer_lanes(MultiLevelLIF.one_hot((5,), 3, 40, 0.5))
    return [_example(nir.Affine(whole_numbers(5, 24), whole_numbers(5)), neuron, INTEGER_DT)]


SPEC = Spec(
    **STATELESS,
    node=EventInput,
    shape=declared,
    states=stated,
    operation="identity",
    by_hand="it computes nothing; encoding is done before data reach a runtime",
    sends=Sends(kind="data", range=_range),
    floats=Floats(),
    integers=Integers(quantise="input"),
    cost=boundary("brings the data; the sensor and its encoding are outside of the network"),
    chip=HOST,
    shown=Shown(
        role="boundary",
        fields=("sensor_size", "window", "coding", "subframes", "lanes", "downsample", "tau_surface"),
    ),
    checks=Checks(unused=(_unused, "coding")),
    draws=(),
    examples=lambda: [_example(nir.Affine(weights(5, 24), signed(5)), MultiLevelLIF.one_hot((5,), 3), DYADIC_DT)],
    integer_examples=_integer_examples,
)
