"""Data: arrays as callers give them, and .npy and .npz files, read without ever running what is in them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import FileError, InputError, reason_of
from nirbridge.files import whole_file

Array = NDArray[Any]
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"


def as_array(where: str, given: Any, next_step: str = "Convert it to an array of numbers") -> Array:
    """``given`` as an array: numbers in lists, and tensors, whether or not they want a gradient or lie elsewhere.

    Raises:
        InputError: it is none, or a masked array with masked values, which are no data.
    """
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        found = f"{np.ma.count_masked(given)} of {given.size} values are masked"
        raise InputError(where, found, "Say what they stand for: x.filled(0)")
    if hasattr(given, "detach"):  # a tensor; numpy has no bfloat16, of which float32 holds every value
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given
    try:
        return np.asarray(given)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(where, f"is no array ({reason_of(error)})", next_step) from error


def read_arrays(path: str | os.PathLike[str], shape: str = "[T, B, *shape]") -> Array | dict[str, Array]:
    """The array of an .npy file, or of an .npz file with one; a dictionary by name where there are several.

    Args:
        path: the file.
        shape: what the reader needs, for the error.

    Raises:
        FileError: the file is missing, damaged, of another format, or holds Python objects.
    """
    where = f"file '{path}'"
    file = Path(path)
    if not file.exists():
        raise FileError(where, "does not exist", "Check the path")
    if file.is_dir():
        raise FileError(where, "is a folder", "Give an .npy or .npz file")
    try:
        with file.open("rb") as stream:
            head = stream.read(len(_NPY))
            if not head.startswith((_NPY, _ZIP)):
                found = "is empty" if not head else "is neither .npy nor .npz"
                raise FileError(where, found, f"Save the data with numpy.save(path, x), x of shape {shape}")
            stream.seek(0)
            arrays = _load(stream)
    except OSError as error:
        raise FileError(where, f"cannot be read ({error.strerror or error})", "Check its permissions") from error
    except (ValueError, EOFError, KeyError, SyntaxError, zipfile.BadZipFile, NotImplementedError) as error:
        objects = "allow_pickle" in str(error)
        reason = "it holds pickled Python objects, which could run code" if objects else reason_of(error)
        raise FileError(where, f"cannot be read ({reason})", "Save plain numbers with numpy.save") from error
    if isinstance(arrays, np.ndarray):
        return arrays
    if not arrays:
        raise FileError(where, "holds no array", "Save at least one")
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def one_array(path: str | os.PathLike[str], found: Array | dict[str, Array], next_step: str) -> Array:
    """What :func:`read_arrays` found in a file that is to hold one array.

    Raises:
        InputError: there are several.
    """
    if isinstance(found, dict):
        names = ", ".join(list(found)[:8])
        raise InputError(f"file '{path}'", f"holds {len(found)} arrays ({names})", next_step)
    return found


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Writes an .npz file, compressed, whole or not at all; unlike numpy.savez it takes any name.

    Raises:
        FileError: the file cannot be written.
    """
    with (
        whole_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _load(stream: BinaryIO) -> Array | dict[str, Array]:
    loaded = np.load(stream, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return {name: np.asarray(loaded[name]) for name in loaded.files}
