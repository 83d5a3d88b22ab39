"""Times, lengths of time, factors and axes on the command line."""

from __future__ import annotations

import re
from fractions import Fraction

import click

from nirbridge.errors import InputError

_UNITS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}
_RATIO = re.compile(r"\d+(\.\d+)?(/[1-9]\d*)?")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")


def parse_duration(_context: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A length of time such as 10ms, 500us or 0.5s, as whole µs, at least 1.

    Raises:
        InputError: it is anything else.
    """
    return None if value is None else microseconds(param.opts[0], value, "a length", 1)


def parse_time(_context: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A time such as 0s, 10ms or 1.5s, as whole µs.

    Raises:
        InputError: it is anything else.
    """
    return None if value is None else microseconds(param.opts[0], value, "a time", 0)


def parse_scale(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """A factor such as 0.5 or 1/255.

    Raises:
        InputError: it is anything else.
    """
    if not _RATIO.fullmatch(value):
        raise InputError("option '--scale'", f"'{value}' is no number and no ratio", "Give it as 0.5 or 1/255")
    number, _, divisor = value.partition("/")
    return float(Fraction(number) / int(divisor or 1))


scale_option = click.option(
    "--scale", default="1", callback=parse_scale, metavar="F", help="Factor on an array, as 1/255."
)


order_option = click.option(
    "--order", type=click.Choice(["nt", "tn"]), help="Axes of an array of frames: [N, T, ..] or [T, N, ..]."
)


def microseconds(option: str, value: str, what: str, least: int) -> int:
    """``value``, which must be ``what``, as whole µs, at least ``least``.

    Raises:
        InputError: it is anything else.
    """
    match = _TIME.fullmatch(value)
    time = Fraction(match[1]) * _UNITS[match[2]] if match else Fraction(-1)
    if time < least or time.denominator != 1:
        found = f"'{value[:40]}' is not {what} of whole microseconds, at least {least}"
        raise InputError(f"option {option}", found, "Give a number and its unit, as 10ms, 500us or 0.5s")
    return int(time)
