"""Rules about the length of a step: what seconds become when time goes in steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10, prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.ir import EventInput, FlatGraph, delay_steps, infer_shapes, label, time_constants, time_step
from nirbridge.primitives.delay import is_whole, steps_asked
from nirbridge.reports import counted

_NAMED = 4
"""Values that a message shows."""
_NOISE = 1e-6
"""Relative difference up to which a time constant counts as one step, or two."""
_MOST_HELD = 2**27
"""Values that a delay line may hold for one sample: 1 GiB in double precision."""


@dataclass(frozen=True)
class Step:
    """How time goes.

    Attributes:
        seconds: length of a step.
        stated: whether the caller or an EventInput says so; else it is the default.
        euler: whether neurons leak by Euler steps, which can overshoot.
    """

    seconds: float
    stated: bool
    euler: bool = True


def step_of(flat: FlatGraph, dt: float | None = None, integrator: str = "euler") -> Step:
    """The step that a run of the graph would take."""
    stated = dt is not None or any(type(node) is EventInput for node in flat.nodes.values())
    return Step(time_step(flat.nodes.values(), dt), stated, integrator == "euler")


def delays_can_be_held(flat: FlatGraph, step: Step) -> list[Problem]:
    """What a delay line keeps, its longest delay for each of its neurons, fits into memory."""
    shapes, _ = infer_shapes(flat)
    problems = []
    for name, delay, where in _delays(flat):
        longest = float(steps_asked(delay, step.seconds).max(initial=0.0))
        neurons = prod(shapes[name].output) if name in shapes else delay.size
        if longest * neurons > _MOST_HELD:
            found = f"its delay of {delay.max():g} s is {longest:g} steps of {step.seconds:g} s for {neurons} neurons"
            limit = f"{found}; at most {_MOST_HELD} values are held"
            problems.append(Problem(where, limit, "NIR counts in seconds: 20 ms is 0.02"))
    return problems


def delays_are_whole_steps(flat: FlatGraph, step: Step) -> list[Problem]:
    """A delay is a whole number of steps; others are rounded, half steps up."""
    return _rounded_delays(flat, step, vanishing=False)


def delays_last_a_step(flat: FlatGraph, step: Step) -> list[Problem]:
    """A delay above 0 does not round to none."""
    return _rounded_delays(flat, step, vanishing=True)


def euler_steps_are_stable(flat: FlatGraph, step: Step) -> list[Problem]:
    """A time constant is at least one step: below, Euler steps overshoot, and below half a step ever further."""
    problems = []
    for where, field, tau in _fastest(flat) if step.euler else ():
        ratio = step.seconds / tau
        if ratio > 1 + _NOISE:
            settles = "Euler steps swing around their goal" if ratio < 2 else "Euler steps do not settle"
            found = f"{field} is {tau:g} s, a step {step.seconds:g} s: at dt/tau = {ratio:.3g} {settles}"
            hint = "Run it with a smaller dt, or integrator 'exact'" if step.stated else _made_for(tau, step)
            problems.append(Problem(where, found, hint))
    return problems


def time_constants_outlast_steps(flat: FlatGraph, step: Step) -> list[Problem]:
    """Where nothing states the step, a time constant is longer than two: files for shorter steps are no rarity."""
    problems = []
    for where, field, tau in () if step.stated else _fastest(flat):
        ratio = step.seconds / tau
        if ratio > (1 - _NOISE) / 2 and not (step.euler and ratio > 1 + _NOISE):
            found = f"{field} is {tau:g} s, and a step takes {step.seconds:g} s, for neither call nor EventInput says"
            problems.append(Problem(where, found, _made_for(tau, step)))
    return problems


def event_inputs_have_one_window(flat: FlatGraph, step: Step) -> list[Problem]:
    """All EventInputs state one window: a step has one length, that of the first where the call does not say."""
    windows = {name: node.window / 1e6 for name, node in flat.nodes.items() if type(node) is EventInput}
    if step.seconds not in windows.values():
        return []
    first = next(name for name, window in windows.items() if window == step.seconds)
    return [
        Problem(
            label(name, flat.nodes[name]),
            f"states a window of {window:g} s, and a step takes {step.seconds:g} s, that of '{first}'",
            f"Give both one window, or --dt {window:g} for its own",
        )
        for name, window in windows.items()
        if window != step.seconds
    ]


TIME_ERRORS = (delays_can_be_held,)
TIME_WARNINGS = (
    delays_are_whole_steps,
    delays_last_a_step,
    euler_steps_are_stable,
    time_constants_outlast_steps,
    event_inputs_have_one_window,
)


def _delays(flat: FlatGraph) -> Iterator[tuple[str, Any, str]]:
    for name, node in flat.nodes.items():
        if type(node) is nir.Delay:
            yield name, np.asarray(node.delay, dtype=np.float64), label(name, node)


def _rounded_delays(flat: FlatGraph, step: Step, vanishing: bool) -> list[Problem]:
    problems = []
    for _, delay, where in _delays(flat):
        asked, taken = steps_asked(delay, step.seconds), delay_steps(delay, step.seconds)
        rounded = ~is_whole(asked) & ((taken == 0) == vanishing)
        if rounded.any():
            pairs = dict(zip(asked[rounded].tolist(), taken[rounded].tolist(), strict=True))
            told = ", ".join(f"{_digits(a)} steps run as {t}" for a, t in list(pairs.items())[:_NAMED])
            more = f" and {len(pairs) - _NAMED} more values" if len(pairs) > _NAMED else ""
            count = f"{int(rounded.sum())} of {counted(delay.size, 'value')} of delay"
            what = "above 0 become 0" if vanishing else "are no whole steps and round, half steps up"
            found = f"{count} {what}, at {step.seconds:g} s a step: {told}{more}"
            problems.append(Problem(where, found, "Give a dt of which the delays are multiples"))
    return problems


def _digits(steps: float) -> str:
    """As many digits as float32 holds, or more where these would hide the fraction."""
    short = f"{steps:.7g}"
    return short if float(short) % 1 else f"{steps:.17g}"


def _fastest(flat: FlatGraph) -> Iterator[tuple[str, str, float]]:
    """Each leaky node with its shortest time constant."""
    for name, node in flat.nodes.items():
        fields = [
            (float(np.min(np.asarray(getattr(node, field), dtype=np.float64), initial=np.inf)), field)
            for field in time_constants(node)
        ]
        if fields and min(fields)[0] > 0:
            tau, field = min(fields)
            yield label(name, node), field, tau


def _made_for(tau: float, step: Step) -> str:
    """The largest power of ten below the step that the time constant spans."""
    power = f"1e{min(floor(log10(tau) + _NOISE), floor(log10(step.seconds) - _NOISE))}"
    return f"Was this file made for dt = {power}? Then give --dt {power}, or dt={power} in Python"
