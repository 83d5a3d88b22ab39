"""AEDAT 2.0, as jAER and v2e write it: big-endian pairs of a 32-bit address and a 32-bit time in µs.

What an address means depends on the chip, which the header line ``# AEChip:`` names; see ``CHIPS``.  All layouts count
x from the right and y from the bottom; here they come out from the left and from the top.  Bits that no event of a
layout sets are checked, because they tell that the addresses are of another chip.

- DVS128: bit 0 polarity (0 = ON), bits 1–7 x, 8–14 y, bit 15 or 31 an external event;
- DAVIS: bits 0–3 the number of the camera where several are synchronised, bit 10 an external event, bit 11 polarity
  (1 = ON), bits 12–21 x, 22–30 y, bit 31 a frame or IMU sample;
- DVS640: bit 0 polarity (1 = ON), bits 1–10 x, 11–20 y.

Where the header names no chip, the sensor size that the caller gives decides.  v2e names none and means the DVS640
by 640x480.  Chips whose layout is not published, or published in two ways (the polarity of Davis208PixelParade, pairs
of chips), are refused.

For the DVS128, iniVation's page on AEDAT 1.0 and 2.0 says that 1 is ON.  jAER, which writes these files, takes 0 for
ON, and so does the Matlab reader that DVS-CIFAR10 and MNIST-DVS come with; they are followed.

Source: iniVation, AEDAT 2.0; jAER, ``DVS128``, ``DVS640``, ``Tmpdiff128``, ``DavisChip``, ``DavisBaseCamera`` and
``MultiCameraApsDvsEvent``; v2e, ``AEDat2Output``; Calabrese et al. 2019, "DHP19".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Events, Size, as_places
from nirbridge_events.readers.aedat import Header, parse_header, version_of
from nirbridge_events.readers.base import STDIN, Feed, Reader, Source, file_label, read_head
from nirbridge_events.readers.wanted import Wanted, choose_camera

RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
TIME_BITS = 32


@dataclass(frozen=True)
class AddressBits:
    """The bits of an address.

    Attributes:
        x_shift, x_mask, y_shift, y_mask: column and row.
        polarity_bit: its place.
        on: its value for ON.
        others: bits that mark words without event, and how they are counted.
        camera_mask: bits of the camera's number.
        unused: bits that no event sets.
    """

    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    polarity_bit: int
    on: int
    others: tuple[tuple[int, str], ...]
    camera_mask: int = 0
    unused: int = 0


DVS128 = AddressBits(
    1, 0x7F, 8, 0x7F, 0, 0, ((15, "external event words"), (31, "external event words")), unused=0x7FFF_0000
)
DAVIS = AddressBits(
    12, 0x3FF, 22, 0x1FF, 11, 1, ((31, "frame or IMU words"), (10, "external event words")), 0xF, unused=0x3F0
)
DVS640 = AddressBits(1, 0x3FF, 11, 0x3FF, 0, 1, (), unused=0xFFE0_0000)

# jAER's names, in lower case, with the size of their sensor.
CHIPS: dict[str, tuple[Size, AddressBits]] = {
    **dict.fromkeys(("dvs128", "tmpdiff128"), ((128, 128), DVS128)),
    "davis128": ((128, 128), DAVIS),
    **dict.fromkeys(("davis240", "davis240a", "davis240b", "davis240c", "dvs240"), ((240, 180), DAVIS)),
    **dict.fromkeys(
        (
            "davis346", "davis346a", "davis346b", "davis346bmono", "davis346bcolor", "davis346blue", "davis346red",
            "davis346redcolor", "davis346mini", "davis346cbsi",
        ),
        ((346, 260), DAVIS),
    ),
    **dict.fromkeys(("davis640", "davis640color"), ((640, 480), DAVIS)),
    "dvs640": ((640, 480), DVS640),
    "multidavis240ccamerachip": ((240, 180), DAVIS),
    "multidavis346bcamerachip": ((346, 260), DAVIS),
}  # fmt: skip
# Without a name, only sizes that one layout has: files without names are older than the DAVIS128.
UNNAMED = {(128, 128): DVS128, (240, 180): DAVIS, (346, 260): DAVIS}
V2E, V2E_NOISE = "AEDat2Output in v2e", "noise events are labeled"
HEAD_RECORDS = 1 << 17
OTHER_CAMERAS = "events of other cameras were left out"


def decode(feed: Feed, bits: AddressBits, size: Size, camera: int, chosen: bool) -> Iterator[Events]:
    """One pass over the file, chunk by chunk.

    Raises:
        FileError: the file has events of another chip.
        InputError: it has events of several cameras, and the caller has not chosen one.
    """
    previous = -1
    for _, records in feed.words(RECORD):
        address = records["address"].astype(np.uint32)
        t = records["t"].astype(np.int64)
        for bit, name in bits.others:
            other = (address >> bit & 1).astype(np.bool_)
            if other.any():
                feed.skipped[name] += int(other.sum())
                address, t = address[~other], t[~other]
        good = _of_this_chip(address, bits)
        strange, address, t = address[good:], address[:good], t[:good]
        t = feed.unwrap(t, TIME_BITS, previous)
        previous = int(t[-1]) if len(t) else previous
        others = (address & bits.camera_mask) != camera
        if others.any():
            if not chosen:
                _choose(feed.path, bits, address, "")
            feed.lost[OTHER_CAMERAS] += int(others.sum())
            address, t = address[~others], t[~others]
        yield _events(address, t, bits, size)
        _require_chip(file_label(feed.path), strange, bits)


def _of_this_chip(address: npt.NDArray[np.uint32], bits: AddressBits) -> int:
    """How many addresses come before the first that has bits which no event of the layout sets."""
    strange = (address & bits.unused) != 0
    return int(strange.argmax()) if strange.any() else len(address)


def _require_chip(where: str, address: npt.NDArray[np.uint32], bits: AddressBits) -> None:
    good = _of_this_chip(address, bits)
    if good < len(address):
        found = f"the address {address[good]:#010x} has bits that a {_name_of(bits)} never sets"
        raise FileError(where, found, "Check which camera recorded it, or convert it to AEDAT 4.0 in jAER or DV")


def _choose(path: Path, bits: AddressBits, address: npt.NDArray[np.uint32], wanted: str) -> int:
    """The number of the camera that is read, of those that the events have."""
    event = np.ones(len(address), np.bool_)
    for bit, _ in bits.others:
        event &= (address >> bit & 1) == 0
    _require_chip(file_label(path), address[event], bits)
    numbers = np.unique(address[event] & bits.camera_mask).tolist() or [0]
    return int(choose_camera(file_label(path), {str(number): "" for number in numbers}, wanted))


def _events(address: npt.NDArray[np.uint32], t: npt.NDArray[np.int64], bits: AddressBits, size: Size) -> Events:
    x = size[0] - 1 - (address >> bits.x_shift & bits.x_mask).astype(np.int64)
    y = size[1] - 1 - (address >> bits.y_shift & bits.y_mask).astype(np.int64)
    p = (address >> bits.polarity_bit & 1) == bits.on
    return Events(as_places(x), as_places(y), t, p.astype(np.uint8))


def _open(path: Path, head: bytes, wanted: Wanted) -> Source:
    header = parse_header(path, head)
    named = next((line.split(":", 1)[1].strip() for line in header.lines if line.startswith("AEChip:")), "")
    size, bits = _chip(file_label(path), header, named, wanted.sensor_size)
    address = np.frombuffer(_first_bytes(path, head, header.length), RECORD)["address"].astype(np.uint32)
    camera, chosen = _choose(path, bits, address, wanted.camera), bool(wanted.camera)
    notes = () if named else ("its header names no camera; its addresses are read as of " + _name_of(bits),)
    stated = size if named else None
    return Source("aedat2", header.length, stated, lambda feed: decode(feed, bits, size, camera, chosen), notes)


def _chip(where: str, header: Header, named: str, given: Size | None) -> tuple[Size, AddressBits]:
    """The size and the layout of the camera.

    Raises:
        InputError: the header names no camera, and the size was not given.
        FileError: the layout of the camera is not known.
    """
    by_v2e = any(V2E in line for line in header.lines)
    unnamed = {**UNNAMED, (640, 480): DVS640} if by_v2e else UNNAMED
    next_step = "Convert it to AEDAT 4.0"
    if named:
        short = named.lower().rsplit(".", 1)[-1]
        if short not in CHIPS:
            raise FileError(where, f"its header names the camera '{named[:80]}', whose layout is not known", next_step)
        return CHIPS[short]
    if given is None:
        choices = ", ".join(f"{width}x{height}" for width, height in unnamed)
        raise InputError(where, "its header names no camera", f"Give its sensor size, one of {choices}")
    if given not in unnamed:
        width, height = given
        found = f"names no camera, and no one AEDAT 2.0 address layout is known for {width}x{height} pixels"
        raise FileError(where, found, next_step)
    if unnamed[given] == DVS640 and any(V2E_NOISE in line for line in header.lines):
        raise FileError(where, "marks noise in a bit that is also x in this layout", "Write it without that mark")
    return given, unnamed[given]


def _name_of(bits: AddressBits) -> str:
    return next(name for name, (_, known) in CHIPS.items() if known == bits).upper()


def _first_bytes(path: Path, head: bytes, start: int) -> bytes:
    """The first events, whole: of a pipe those that came with its head."""
    data = (head if path == STDIN else read_head(path, start + HEAD_RECORDS * RECORD.itemsize))[start:]
    return data[: len(data) // RECORD.itemsize * RECORD.itemsize]


READER = Reader(
    "aedat2",
    "first bytes '#!AER-DAT2'",
    lambda _path, head: version_of(head).startswith("2."),
    _open,
    (".aedat", ".aedat2"),
    frozenset(("camera",)),
)
