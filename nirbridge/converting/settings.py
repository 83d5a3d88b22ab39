"""The options of one-spike conversion, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.converting.base import best_base
from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Array
from nirbridge.converting.ranges import ERROR, MARGIN, PAPER
from nirbridge.errors import InputError

NORMS = ("threshold", "weights")
AVERAGES = ("spike", "linear")
CALIBRATIONS = ("auto", PAPER, MARGIN, ERROR)
ROUNDINGS = ("nearest", "gptq")
_MOST_PHASES, _MOST_BITS = 512, 16
_MOST_EXPONENT = 1000
_LEAST_PERCENTILE = 50
_MOST_MARGIN = 100
_MANY_PHASES = 12
"""From which one spike can afford values that calibration data do not show."""
INPUT_BASE = 2.0


@dataclass(frozen=True)
class Settings:
    """How a network is converted.

    Attributes:
        phases: T.
        wait: T_w, steps between a layer's first input phase and its first output phase.
        base: Q of every hidden layer's spikes.
        base_from_data: whether it is to be replaced by the one that fits the data best.
        spikes: of a neuron in a window, at most.
        calibrate: rule of λ: "paper", "margin" or "error"; with the last two, biases keep the means of channels.
        margin: of the largest activation, up to which the code reaches with "margin"; None to let the data decide.
        first_phase: exponent of the first phase.
        rounding: whether thresholds are shifted to the middle between two values.
        bn: whether batch normalisation goes into the "threshold" or the "weights".
        averages: whether averages and aggregations "spike" through neurons of their own or stay "linear".
        weight_bits: bits of the weights, None for floating point.
        weight_rounding: to the "nearest", or by "gptq" so that a layer's sums on the data change least.
        percentile: of a layer's outputs above 0 that λ is; 100 is the largest.
        input_scale: the largest input that the code carries, None for that of the data.
        mean: what the network's training subtracted from the input, per channel.
        std: what it divided by.
    """

    phases: int
    wait: int
    base: float
    base_from_data: bool
    spikes: int
    calibrate: str
    margin: float | None
    first_phase: int
    rounding: bool
    bn: str
    averages: str
    weight_bits: int | None
    weight_rounding: str
    percentile: float
    input_scale: float | None
    mean: Array | None
    std: Array | None

    @property
    def code(self) -> Code:
        """Of the hidden layers' spikes."""
        return Code(self.base, self.phases, self.first_phase, self.rounding, self.spikes)


def make_settings(
    phases: Any = 16,
    wait: Any = None,
    base: Any = "auto",
    spikes: Any = 1,
    calibrate: str = "auto",
    margin: Any = None,
    first_phase: Any = 1,
    rounding: Any = True,
    bn: str = "threshold",
    averages: str = "spike",
    weight_bits: Any = None,
    weight_rounding: str = "nearest",
    percentile: Any = 100.0,
    input_scale: Any = None,
    mean: Any = None,
    std: Any = None,
) -> Settings:
    """The options with their defaults filled in: ``wait`` becomes ``phases``, ``calibrate`` a rule.

    Raises:
        InputError: an option is out of range; one line that names it.
    """
    steps = whole("phases", phases, 1, _MOST_PHASES)
    first = whole("first_phase", first_phase, 0, _MOST_PHASES)
    choices = (
        ("bn", bn, NORMS),
        ("averages", averages, AVERAGES),
        ("calibrate", calibrate, CALIBRATIONS),
        ("weight_rounding", weight_rounding, ROUNDINGS),
    )
    for name, choice, known in choices:
        if not isinstance(choice, str) or choice not in known:
            raise InputError(f"option '{name}'", f"{choice!r} is unknown", f"Known: {', '.join(known)}")
    if weight_bits is None and weight_rounding != "nearest":
        found = f"is {weight_rounding!r}, and weights stay in floating point"
        raise InputError("option 'weight_rounding'", found, "Give weight_bits too, as 6")
    delay = steps if wait is None else whole("wait", wait, 0, steps, "'phases'; waiting that long is exact")
    most = whole("spikes", spikes, 1, steps, "'phases'")
    rule = calibrate
    if calibrate == "auto":
        rule = ERROR if margin is None and most == 1 and steps < _MANY_PHASES else MARGIN
    if margin is not None and rule != MARGIN:
        raise InputError("option 'margin'", f"is not used with calibrate={rule!r}", "Leave one of both away")
    automatic = isinstance(base, str) and base == "auto"
    radix = best_base(steps, first) if automatic else _base(base)
    _require_range(steps + delay + first, radix)
    return Settings(
        phases=steps,
        wait=delay,
        base=radix,
        base_from_data=automatic and rule != PAPER,
        spikes=most,
        calibrate=rule,
        margin=None if margin is None else _number("margin", margin, 1, _MOST_MARGIN, "2.5"),
        first_phase=first,
        rounding=_flag("rounding", rounding),
        bn=bn,
        averages=averages,
        weight_bits=None if weight_bits is None else whole("weight_bits", weight_bits, 2, _MOST_BITS),
        weight_rounding=weight_rounding,
        percentile=_number("percentile", percentile, _LEAST_PERCENTILE, 100, "99.9"),
        input_scale=None if input_scale is None else _number("input_scale", input_scale, 1e-300, 1e300, "1.0"),
        mean=None if mean is None else _channels("mean", mean),
        std=None if std is None else _channels("std", std, positive=True),
    )


def by_channel(value: Array, axes: int) -> Array:
    """One number, or one for each channel, broadcastable to features with ``axes`` axes."""
    return value.reshape(()) if value.size == 1 else value.reshape(-1, *(1,) * (axes - 1))


def _require_range(exponent: int, base: float) -> None:
    """Refuses codes whose potentials leave double precision: they grow to Q^(T + T_w + first_phase)."""
    bits = exponent * math.log2(max(base, INPUT_BASE))
    if bits > _MOST_EXPONENT:
        found = f"'phases', 'wait' and 'first_phase' of base {max(base, INPUT_BASE):g} need 2^{bits:.0f}"
        raise InputError("option 'phases'", f"{found}, above 2^{_MOST_EXPONENT}", "Use fewer phases or a smaller base")


def whole(name: str, value: Any, least: int, most: int, why: str = "the limit") -> int:
    """An option as a whole number within its limits, of which ``why`` tells where the upper one comes from.

    Raises:
        InputError: it is none.
    """
    good = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not good or not least <= value <= most:
        raise InputError(f"option '{name}'", f"{value!r} is not a whole number from {least} to {most}, {why}")
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"option '{name}'", f"{value!r} is neither True nor False")
    return bool(value)


def _base(value: Any) -> float:
    try:
        base = float(value)
    except (TypeError, ValueError):
        base = math.nan
    if not (math.isfinite(base) and base > 1):
        raise InputError("option 'base'", f"{value!r} is neither 'auto' nor a number above 1", "Give for instance 1.3")
    return base


def _number(name: str, value: Any, least: float, most: float, example: str) -> float:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        found = f"{value!r} is not a number from {least:g} to {most:g}"
        raise InputError(f"option '{name}'", found, f"Give for instance {example}")
    return float(value)


def _channels(name: str, value: Any, positive: bool = False) -> Array:
    try:
        numbers = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if not numbers.size or not np.isfinite(numbers).all() or (positive and (numbers <= 0).any()):
        what = "positive numbers" if positive else "numbers"
        raise InputError(f"option '{name}'", f"{value!r} is not one or more {what}", "Give one, or one a channel")
    return numbers
