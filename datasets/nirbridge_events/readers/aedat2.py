"""AEDAT 2.0, as jAER writes it: big-endian pairs of a 32-bit address and a 32-bit time in µs.

What an address means depends on the camera, which the header line ``# AEChip:`` names:

- DVS128: bit 0 polarity (0 = ON), bits 1–7 x, 8–14 y, bit 15 or 31 an external event;
- DAVIS: bit 10 an external event, bit 11 polarity (1 = ON), bits 12–21 x, 22–30 y, bit 31 a frame or IMU sample.

Both count x from the right and y from the bottom; here they come out from the left and from the top.  Where the
header names no camera, the sensor size that the caller gives decides.

For the DVS128, iniVation's page on AEDAT 1.0 and 2.0 says that 1 is ON.  jAER, which writes these files, takes 0 for
ON, and so does the Matlab reader that DVS-CIFAR10 and MNIST-DVS come with; they are followed.

Source: iniVation, AEDAT 2.0; jAER, ``DVS128.Extractor``, ``DavisChip`` and ``DavisBaseCamera``; ``dat2mat.m`` of
MNIST-DVS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Events, Size, as_places
from nirbridge_events.readers.aedat import camera_size, parse_header, version_of
from nirbridge_events.readers.base import Feed, Reader, Source, file_label

RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
TIME_BITS = 32


@dataclass(frozen=True)
class Layout:
    """The bits of an address.

    Attributes:
        x_shift, x_mask, y_shift, y_mask: column and row.
        polarity_bit: its place.
        on: its value for ON.
        others: bits that mark words without event, and how they are counted.
    """

    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    polarity_bit: int
    on: int
    others: tuple[tuple[int, str], ...]


DVS128 = Layout(1, 0x7F, 8, 0x7F, 0, 0, ((15, "external event words"), (31, "external event words")))
DAVIS = Layout(12, 0x3FF, 22, 0x1FF, 11, 1, ((31, "frame or IMU words"), (10, "external event words")))
LAYOUTS = {(128, 128): DVS128, (208, 192): DAVIS, (240, 180): DAVIS, (346, 260): DAVIS, (640, 480): DAVIS}


def decode(feed: Feed, layout: Layout, size: Size) -> Iterator[Events]:
    """One pass over the file, chunk by chunk."""
    previous = -1
    for _, records in feed.words(RECORD):
        address = records["address"].astype(np.uint32)
        t = records["t"].astype(np.int64)
        for bit, name in layout.others:
            other = (address >> bit & 1).astype(np.bool_)
            if other.any():
                feed.skipped[name] += int(other.sum())
                address, t = address[~other], t[~other]
        t = feed.unwrap(t, TIME_BITS, previous)
        previous = int(t[-1]) if len(t) else previous
        yield _events(address, t, layout, size)


def _events(address: npt.NDArray[np.uint32], t: npt.NDArray[np.int64], layout: Layout, size: Size) -> Events:
    x = size[0] - 1 - (address >> layout.x_shift & layout.x_mask).astype(np.int64)
    y = size[1] - 1 - (address >> layout.y_shift & layout.y_mask).astype(np.int64)
    p = (address >> layout.polarity_bit & 1) == layout.on
    return Events(as_places(x), as_places(y), t, p.astype(np.uint8))


def _open(path: Path, head: bytes, given: Size | None) -> Source:
    header = parse_header(path, head)
    chip = next((line.split(":", 1)[1] for line in header.lines if line.startswith("AEChip:")), "")
    size = camera_size(chip) or given
    if size is None:
        named = f"names the camera '{chip.strip()}', which is not known" if chip else "names no camera"
        choices = ", ".join(f"{width}x{height}" for width, height in LAYOUTS)
        raise InputError(file_label(path), f"its header {named}", f"Give its sensor size, one of {choices}")
    if size not in LAYOUTS:
        raise FileError(
            file_label(path),
            f"a sensor of {size[0]}x{size[1]} pixels has no known AEDAT 2.0 address layout",
            "Convert it to AEDAT 4.0",
        )
    layout = LAYOUTS[size]
    fixed = camera_size(chip) is not None
    return Source("aedat2", header.length, size, fixed, lambda feed: decode(feed, layout, size))


READER = Reader(
    "aedat2",
    "first bytes '#!AER-DAT2'",
    lambda _path, head: version_of(head).startswith("2."),
    _open,
    (".aedat", ".aedat2"),
)
