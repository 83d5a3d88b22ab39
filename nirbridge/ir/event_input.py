"""The input that says how events become frames."""

from __future__ import annotations

from dataclasses import dataclass

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, Shape, as_choice, as_count, as_shape

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
