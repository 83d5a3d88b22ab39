"""Times, lengths of time, factors and axes on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import click

from nirbridge.errors import InputError

T = TypeVar("T")
_UNITS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}
_RATIO = re.compile(r"\d+(\.\d+)?(/[1-9]\d*)?")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")


def parsed(parse: Callable[[str, str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """A callback of an option: what ``parse`` makes of its text, None where it is not given.

    Args:
        parse: gets the text, and the option as --window for its errors; it raises InputError for any other text.
    """
    return lambda _context, param, value: None if value is None else parse(value, param.opts[0])


@parsed
def parse_duration(text: str, option: str) -> int:
    """A length of time such as 10ms, 500us or 0.5s, as whole µs, at least 1."""
    return microseconds(option, text, "a length", 1)


@parsed
def parse_time(text: str, option: str) -> int:
    """A time such as 0s, 10ms or 1.5s, as whole µs."""
    return microseconds(option, text, "a time", 0)


@parsed
def parse_scale(text: str, option: str) -> float:
    """A factor such as 0.5 or 1/255."""
    if not _RATIO.fullmatch(text):
        raise InputError(f"option '{option}'", f"'{text}' is no number and no ratio", "Give it as 0.5 or 1/255")
    number, _, divisor = text.partition("/")
    return float(Fraction(number) / int(divisor or 1))


scale_option = click.option(
    "--scale", default="1", callback=parse_scale, metavar="F", help="Factor on an array, as 1/255; 1 if not given."
)
order_option = click.option(
    "--order",
    type=click.Choice(["nt", "tn"]),
    help="Axes of an array of frames: [N, T, ..] or [T, N, ..]; if not given, tn where only that fits the labels, else "
    "nt.",
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
