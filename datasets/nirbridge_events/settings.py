"""What an encoder is told: how events become frames, checked once, and comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from nirbridge.errors import InputError
from nirbridge_events.areas import Area, as_area, require_inside
from nirbridge_events.events import Size, as_size
from nirbridge_events.pixels import DOWNSAMPLES, PixelMap

CODINGS = ("binary", "count", "one-hot", "phase", "voxel", "time-surface")
POLARITIES = ("keep", "merge", "signed")
SIGNED_CODINGS = ("binary", "count", "voxel", "time-surface")
OPTION_OF = {"lanes": "one-hot", "phases": "phase", "bins": "voxel", "tau": "time-surface"}
"""Options that only one coding has."""
DEFAULT_SENSOR = (346, 260)
MAX_LANES = 16
MAX_SUBFRAMES = 1 << 16
MAX_PHASES = 24
MAX_BINS = 1024
TAU = 50_000
MAX_VALUES = 1 << 28
"""Values of the frames of one window, and of a full sensor that is merged by max: 1 GiB as float32."""


class EventInputLike(Protocol):
    """The fields of the graph primitive ``EventInput`` that an encoder takes over."""

    shape: tuple[int, ...]
    sensor_size: tuple[int, ...]
    window: int
    subframes: int
    lanes: int
    coding: str
    downsample: str
    tau_surface: int


@dataclass(frozen=True)
class EncoderSettings:
    """How events become frames; ``FrameEncoder`` gives the equations.

    Args:
        sensor_size: (width, height) of the sensor.
        window: length of a window in µs; becomes 0 with ``per_events``.
        coding: "binary", "count", "one-hot", "phase", "voxel" or "time-surface".
        lanes: S of "one-hot"; its values are 0, 1, 2, .., 2^(S-1).
        subframes: parts of a window; by default 2^(lanes-1) for "one-hot" and 1 else.
        size: (width, height) of the frames, by default that of the crop; never larger.
        downsample: "or", "sum" or "max"; by default "sum" for "count", "phase" and "voxel", and "or" else.  "voxel"
            knows "sum" alone, "time-surface" all but "sum".
        polarity: "keep" (P = 2, channel 0 OFF and 1 ON), "merge" (P = 1), or "signed" (P = 1, the value of ON less
            the value of OFF, for "binary", "count", "voxel" and "time-surface").
        phases: K of "phase".
        bins: B of "voxel".
        tau: time constant of "time-surface" [µs], 50 ms if not given.
        crop: (x, y, width, height) of the sensor pixels that count; events elsewhere are left out and counted.
        per_events: number of events of a window, instead of its length in time; not for "voxel".

    Raises:
        InputError: an argument is out of range, or two of them exclude each other.
    """

    sensor_size: Size = DEFAULT_SENSOR
    window: int = 10_000
    coding: str = "binary"
    lanes: int = 3
    subframes: int | None = None
    size: Size | None = None
    downsample: str | None = None
    polarity: str = "keep"
    phases: int = 8
    bins: int = 5
    crop: Area | None = None
    per_events: int | None = None
    tau: int = TAU

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        put("sensor_size", as_size(self.sensor_size, "sensor_size"))
        if self.per_events is None:
            put("window", whole_number(self.window, "window", 1, 1 << 40))
        else:
            put("per_events", whole_number(self.per_events, "per_events", 1, 1 << 40))
            put("window", 0)
            if self.coding == "voxel":
                raise InputError(
                    "per_events", "goes with every coding but 'voxel', which divides time", "Give a window"
                )
        one_of(self.coding, "coding", CODINGS)
        put("lanes", whole_number(self.lanes, "lanes", 1, MAX_LANES))
        subframes = (
            (1 << (self.lanes - 1) if self.coding == "one-hot" else 1) if self.subframes is None else self.subframes
        )
        put("subframes", whole_number(subframes, "subframes", 1, MAX_SUBFRAMES))
        if subframes > 1 and self.coding in ("phase", "voxel", "time-surface"):
            raise InputError("subframes", f"{subframes} do not go with coding '{self.coding}'", "Leave it away")
        put("phases", whole_number(self.phases, "phases", 1, MAX_PHASES))
        put("bins", whole_number(self.bins, "bins", 2, MAX_BINS))
        put("tau", whole_number(self.tau, "tau", 1, 1 << 40))
        put("downsample", self._known_downsample())
        one_of(self.polarity, "polarity", POLARITIES)
        if self.polarity == "signed" and self.coding not in SIGNED_CODINGS:
            found = f"'signed' does not go with coding '{self.coding}', whose values have no sign"
            raise InputError("polarity", found, f"Use keep or merge, or one of {', '.join(SIGNED_CODINGS)}")
        if self.crop is not None:
            put("crop", as_area(self.crop, "crop"))
            require_inside(self.crop, self.sensor_size, "crop")
        put("size", self._known_size())
        self._require_moderate()

    @classmethod
    def from_node(cls, node: EventInputLike, **options: Any) -> EncoderSettings:
        """What a graph's ``EventInput`` describes; ``options`` are what it leaves open, which is ``crop``.

        Raises:
            InputError: an option contradicts it.
        """
        check_options(node.coding, options)
        if said := sorted(set(options) - {"crop"}):
            found = f"contradicts the EventInput, which has windows of {int(node.window)} µs and coding '{node.coding}'"
            raise InputError(said[0], found, "Leave it away")
        if node.coding == "time-surface":
            options["tau"] = int(node.tau_surface)
        polarities, height, width = (int(n) for n in node.shape)
        sensor_width, sensor_height = (int(n) for n in node.sensor_size)
        return cls(
            sensor_size=(sensor_width, sensor_height),
            window=int(node.window),
            coding=node.coding,
            lanes=int(node.lanes),
            subframes=int(node.subframes),
            size=(width, height),
            downsample=node.downsample,
            polarity="merge" if polarities == 1 else "keep",
            **options,
        )

    @property
    def area(self) -> Size:
        """(width, height) of the sensor pixels that count."""
        return self.sensor_size if self.crop is None else (self.crop[2], self.crop[3])

    @property
    def frame_size(self) -> Size:
        """(width, height) of the frames."""
        return self.area if self.size is None else self.size

    @property
    def length(self) -> int:
        """Length of a window: in µs, or in events with ``per_events``."""
        return self.per_events or self.window

    @property
    def length_text(self) -> str:
        """The length of a window with its unit."""
        return f"{self.window / 1e3:g} ms" if self.per_events is None else f"{self.per_events} events"

    @property
    def parts(self) -> int:
        """Sub-frames that must be kept apart while a window is collected."""
        return 1 if self.coding == "binary" else int(self.subframes or 1)

    @property
    def frames_per_window(self) -> int:
        """K: phases of "phase", bins of "voxel", and 1 else."""
        return {"phase": self.phases, "voxel": self.bins}.get(self.coding, 1)

    @property
    def pixel_map(self) -> PixelMap:
        """Where an event of the crop falls while it is counted; signed polarities are kept apart until the end."""
        return PixelMap(self.area, self.frame_size, 1 if self.polarity == "merge" else 2)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(P, H, W) of every frame."""
        width, height = self.frame_size
        return 2 if self.polarity == "keep" else 1, height, width

    def to_dict(self) -> dict[str, Any]:
        """The settings as arguments of an encoder: defaults filled in, options of other codings left out."""
        return {name: value for name, value in asdict(self).items() if OPTION_OF.get(name, self.coding) == self.coding}

    def _known_downsample(self) -> str:
        if self.coding == "voxel" and self.downsample not in (None, "sum"):
            raise InputError("downsample", f"'{self.downsample}' does not go with coding 'voxel'", "Use sum")
        if self.coding == "time-surface" and self.downsample == "sum":
            found = "'sum' does not go with coding 'time-surface', where the last event of merged pixels counts"
            raise InputError("downsample", found, "Use or")
        default = "sum" if self.coding in ("count", "phase", "voxel") else "or"
        return one_of(self.downsample or default, "downsample", tuple(DOWNSAMPLES))

    def _require_moderate(self) -> None:
        """An inferred or a wrong size of the sensor must not fill the memory."""
        pixels = self.pixel_map if self.downsample != "max" else self.pixel_map.at_sensor_size()
        values = self.frames_per_window * pixels.pixels
        if values > MAX_VALUES:
            width, height = self.sensor_size
            found = f"{width}x{height} pixels make {values} values a window, at most {MAX_VALUES} may be"
            raise InputError("sensor_size", found, "Give the right sensor size, a crop or a size")

    def _known_size(self) -> Size:
        width, height = size = self.area if self.size is None else as_size(self.size, "size")
        if width > self.area[0] or height > self.area[1]:
            what = "sensor's" if self.crop is None else "crop's"
            raise InputError("size", f"frames of {size} exceed the {what} {self.area}", "Only shrink")
        return size


def whole_number(value: Any, name: str, lowest: int, highest: int) -> int:
    """``value`` as an int.

    Raises:
        InputError: it is no whole number in the range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not lowest <= value <= highest:
        raise InputError(name, f"{value!r} is not a whole number in {lowest}..{highest}", "Give one in this range")
    return int(value)


def check_options(coding: str, options: Mapping[str, Any]) -> None:
    """Refuses options that an encoder does not have, or that would do nothing.

    Raises:
        InputError: there is one.
    """
    if unknown := sorted(set(options) - set(EncoderSettings.__dataclass_fields__)):
        raise InputError(unknown[0], "is no option of an encoder", "Leave it away")
    for name, owner in OPTION_OF.items():
        if name in options and coding != owner and coding in CODINGS:
            raise InputError(name, f"goes with coding '{owner}', not with '{coding}'", "Leave it away")


def one_of(value: str, name: str, choices: tuple[str, ...]) -> str:
    """``value``, which must be a choice.

    Raises:
        InputError: it is none.
    """
    if value not in choices:
        raise InputError(name, f"{value!r} is unknown; known are {', '.join(choices)}", "Choose one of them")
    return value
