"""What the workers do in these tests, which they import by name, and what several tests ask."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any


class Counted:
    """Notes each time that it is unpickled, and by whom, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        note(self.folder, "unpickled")


def note(folder: Path, what: str) -> None:
    (folder / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()


def notes(folder: Path, what: str) -> list[int]:
    """The processes that noted it, each as often as it did."""
    return [int(entry.name.split("-")[1]) for entry in folder.glob(f"{what}-*")]


def environment() -> dict[str, str]:
    """Of programs that the tests start."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}


def square(_shared: object, piece: int) -> int:
    return piece * piece


def later_first(_shared: object, piece: int) -> int:
    """Even pieces take longer, so that they end after the next one."""
    time.sleep(0.05 * (piece % 2 == 0))
    return piece


def zero_waits(marker: Path, piece: int) -> int:
    """Piece 0 ends when the caller has made the file."""
    while piece == 0 and not marker.exists():
        time.sleep(0.005)
    return piece


def counted(shared: Counted, piece: int) -> int:
    note(shared.folder, "worked")
    time.sleep(0.02)
    return piece


def counted_by_two(shared: Counted, piece: int) -> int:
    """Ends when another process has begun a piece too."""
    note(shared.folder, "worked")
    while len(set(notes(shared.folder, "worked"))) < 2:
        time.sleep(0.005)
    return piece


def kill_once(marker: Path, piece: int) -> float:
    """The third piece ends its process the first time."""
    if piece == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return (piece + 1) / 7


def kill_always(_shared: object, piece: int) -> int:
    if piece == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def refuse(_shared: object, piece: int) -> int:
    if piece == 3:
        raise ValueError("three is refused")
    return piece


class _Strange(Exception):  # noqa: N818
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"strange {a}{b}")


def fail_strangely(_shared: object, piece: int) -> int:
    raise _Strange(piece, piece)


def warn(_shared: object, piece: int) -> int:
    warnings.warn(f"piece {piece % 2} is odd", UserWarning, stacklevel=1)
    return piece


def threads(_shared: object, _piece: int) -> list[str | None]:
    return [os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")]


def sleep(folder: Path, piece: int) -> int:
    note(folder, "slept")
    time.sleep(600)
    return piece


def sleep_but_for_zero(folder: Path, piece: int) -> int:
    return sleep(folder, piece) if piece else 0
