"""Files and lists of hot pixels."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.arrays import read_arrays
from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Size
from nirbridge_events.hot_pixels import Mask


def read_hot_pixels(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """A mask [H, W] of an .npy file, or the places [N, 2] of a text with x and y in every line.

    Lines may have commas or blanks, one heading of words, and remarks behind '#'.

    Raises:
        FileError: the file is missing, or holds something else.
    """
    file = Path(path)
    if file.suffix.lower() == ".npy":
        found = read_arrays(file, "[H, W] of a mask")
        if isinstance(found, dict) or found.ndim != 2 or found.dtype != np.bool_:
            what = "several arrays" if isinstance(found, dict) else f"{found.dtype} {found.shape}"
            raise FileError(f"file '{file}'", f"holds {what}, not bool [H, W]", "Save a mask, True where hot")
        return found
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"file '{file}'", f"is no readable text ({error})", "Give .npy, or x,y in each line") from error
    places: list[list[int]] = []
    for number, line in enumerate(lines, start=1):
        words = [word for word in re.split(r"[,;\s]+", line.partition("#")[0]) if word]
        if not words or (not places and not any(word[0].isdigit() for word in words)):
            continue
        if len(words) != 2 or not all(word.isdecimal() and len(word) < 7 for word in words):
            raise FileError(f"file '{file}'", f"line {number} is not x,y: '{line[:40]}'", "Give two whole numbers")
        places.append([int(word) for word in words])
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def as_mask(given: npt.NDArray[Any], sensor_size: Size, where: str) -> Mask:
    """A mask, or places [N, 2] of x and y, as a mask of this sensor.

    Raises:
        InputError: it is of another sensor, or neither.
    """
    width, height = sensor_size
    if given.dtype == np.bool_:
        if given.shape != (height, width):
            found = f"is a mask of shape {given.shape}, the sensor has {(height, width)} (rows, columns)"
            raise InputError(where, found, "Give a mask of this sensor")
        return given
    if given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1:] != (2,):
        raise InputError(
            where, f"is {given.dtype} {given.shape}, neither bool [H, W] nor x and y [N, 2]", "Give one of them"
        )
    bad = (given < 0).any(axis=1) | (given[:, 0] >= width) | (given[:, 1] >= height)
    if bad.any():
        x, y = given[int(bad.argmax())]
        raise InputError(
            where, f"({x}, {y}) is outside the sensor of {width}x{height} pixels", "Give pixels of this sensor"
        )
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[given[:, 1], given[:, 0]] = True
    return mask
