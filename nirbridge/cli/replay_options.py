"""How fast ``nirbridge stream`` replays a recording."""

from __future__ import annotations

from nirbridge.cli.quantities import parsed
from nirbridge.errors import InputError


@parsed
def parse_speed(text: str, option: str) -> float | str:
    """A factor such as 0.1 or 2, or "max"."""
    try:
        return text if text == "max" else float(text)
    except ValueError as error:
        found = f"'{text}' is neither a factor nor max"
        raise InputError(f"option {option}", found, "Give it as 0.1, 2 or max") from error


def replay(pace: str | None, speed: float | str | None, paced: bool) -> tuple[str | None, float | None]:
    """What ``Stream`` takes as pace and speed; with neither option a recording is ``paced`` or goes at its fastest.

    Raises:
        InputError: both options are given.
    """
    if pace is not None and speed is not None:
        found = f"does not go with --pace {pace}: both say how fast time passes"
        raise InputError("option --speed", found, "Give one of them")
    if isinstance(speed, float):
        return None, speed
    return ("max" if speed == "max" else pace or ("real" if paced else "max")), None
