"""What a caller says about a recording that its file leaves open, and which formats can use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nirbridge.errors import InputError
from nirbridge_events.events import Size

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds in each unit of time."""
FIELDS = ("t", "x", "y", "p")
UNUSED = "_"
MOST_LISTED = 16
NUMBER = "number:"
"""How a camera begins that is a number and no name."""
COLUMNS_HELP = "--columns t,x,y,p (columns='t,x,y,p') in the file's order"
UNIT_HELP = "--time-unit s, ms, us or ns (time_unit='s')"


@dataclass(frozen=True)
class Wanted:
    """What the caller says.

    Attributes:
        sensor_size: (width, height) in pixels.
        columns: for each column of a table "t", "x", "y", "p" or "_"; empty where the file must tell.
        time_unit: of ``UNITS``, or "".
        camera: name or number of one of several cameras, or ""; a number alone behind NUMBER.
        sample: number of one of several samples.
    """

    sensor_size: Size | None = None
    columns: tuple[str, ...] = ()
    time_unit: str = ""
    camera: str = ""
    sample: int | None = None

    def require_known(self, where: str, what: str, known: frozenset[str]) -> None:
        """Refuses an option that means nothing for recordings of this kind.

        Raises:
            InputError: one is given.
        """
        given = {name: getattr(self, name) for name in ("columns", "time_unit", "camera", "sample")}
        for name, value in given.items():
            if value not in ((), "", None) and name not in known:
                option = f"--{name.replace('_', '-')}"
                raise InputError(where, f"is {what}, to which {option} does not apply", f"Leave {option} away")


NOTHING = Wanted()


class SeveralCamerasError(InputError):
    """A file holds several cameras, and none was chosen.

    Attributes:
        cameras: all of them, number → name.
    """

    cameras: dict[str, str]


def as_wanted(
    sensor_size: Size | None,
    columns: str | Sequence[str] | None,
    time_unit: str | None,
    camera: str | int | None,
    sample: int | None,
) -> Wanted:
    """The options of ``open_recording``, checked.

    Raises:
        InputError: one has no such form.
    """
    names = tuple(part.strip() for part in (columns.split(",") if isinstance(columns, str) else columns or ()))
    if names and (sorted(set(names) - {UNUSED}) != sorted(FIELDS) or len(names) - names.count(UNUSED) != len(FIELDS)):
        found = f"'{','.join(map(str, names))[:60]}' does not name t, x, y and p once each"
        raise InputError("columns", found, "Give the file's order, as x,y,p,t; '_' stands for a column without use")
    if time_unit is not None and time_unit not in UNITS:
        raise InputError("time_unit", f"{str(time_unit)[:20]!r} is no unit of time here", f"Give {', '.join(UNITS)}")
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int) or sample < 0):
        raise InputError("sample", f"{sample!r} is not a number from 0 on", "Give the number of one sample")
    name = "" if camera is None else camera if isinstance(camera, str) else f"{NUMBER}{camera}"
    return Wanted(sensor_size, names, time_unit or "", name, sample)


def choose_camera(where: str, cameras: dict[str, str], wanted: str) -> str:
    """The number of the camera that is read; ``cameras`` gives the names by number, as the file has them.

    A name is taken whole, or as one part of a path or of words that no other camera has.  "1" is a number unless it is
    in the name of another camera as well, as of "camera_1" where that has the number 0.

    Raises:
        SeveralCamerasError: there are several and none is wanted.
        InputError: none is the wanted one, or one by its number and another by its name.
    """
    shown = [f"{number} ({name[:60]})" if name else number for number, name in cameras.items()]
    listed = ", ".join(shown[:MOST_LISTED]) + (", ..." if len(shown) > MOST_LISTED else "")
    if not wanted and len(cameras) == 1:
        return next(iter(cameras))
    if not wanted:
        found = f"holds events of {len(cameras)} cameras: {listed}"
        error = SeveralCamerasError(where, found, "Choose one with --camera (camera='0')")
        error.cameras = dict(cameras)
        raise error
    lower = {number: name.lower() for number, name in cameras.items()}
    whole = [number for number, name in lower.items() if wanted.lower() == name]
    parts = [number for number, name in lower.items() if wanted.lower() in name.replace("_", "/").split("/")]
    number, named = wanted.removeprefix(NUMBER), whole or parts
    if number in cameras and named not in ([], [number]):
        found = f"camera '{wanted}' is the number of one and in the name of another: {listed}"
        raise InputError(where, found, f"Give {' or '.join(NUMBER + one for one in (number, *named))}")
    fitting = [number] if number in cameras else named
    if len(fitting) != 1:
        state = "fits none" if not fitting else "fits several"
        raise InputError(where, f"camera '{wanted[:60]}' {state} of its cameras: {listed}", "Give one of the numbers")
    return fitting[0]
