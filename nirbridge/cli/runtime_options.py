"""Options that some runtimes know and others refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from nirbridge.cli.common import dt_option, meaning_options, precision_option, together
from nirbridge.cli.output import echo

if TYPE_CHECKING:
    from nirbridge.ir import FlatGraph

_PREFERRED = ("norse", "reference")
"""Runtimes that commands on long data try by themselves, the faster one first."""
NAMES = ("device", "dtype", "exact", "sparse", "mapping", "timeout")
runtime_options = together(
    click.option(
        "--device",
        metavar="NAME",
        help="For runtimes that have devices, as norse: cpu, cuda, cuda:0; cpu if not given.",
    ),
    click.option(
        "--dtype",
        metavar="NAME",
        help="For runtimes that have several, as norse: float32, float64; if not given, float32 where its range does.",
    ),
    click.option(
        "--exact/--no-exact",
        default=None,
        help="For norse on CUDA: plain sums, or cuDNN's faster ones; plain if not given.",
    ),
    click.option(
        "--sparse/--no-sparse",
        default=None,
        help="For norse on a CPU, in precision float: nearly all that convolutions read is 0; by default not.",
    ),
    click.option(
        "--mapping",
        metavar="NAME",
        help="For runtimes that have several, as lava: processes (one a node), fused (one for all); if not given, "
        "fused for streams, else processes.",
    ),
    click.option(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="For runtimes with processes of their own, as lava: how long a call may take; no limit if not given.",
    ),
)
"""An option for each of ``NAMES``; where it is not given it is None, and the runtime chooses."""
calculation_options = together(runtime_options, precision_option, dt_option, meaning_options)
"""Those of a command that calculates: of its runtime, and of what the graph means."""


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given: ``compile`` refuses a name that the runtime does not know, whatever its value."""
    return {name: value for name, value in options.items() if value is not None}


def take_runtime_options(options: dict[str, Any]) -> dict[str, Any]:
    """Takes those of ``NAMES`` out of ``options``; gives the ones that were given."""
    return given({name: options.pop(name) for name in NAMES})


def preferred_runtime(graph: FlatGraph) -> str:
    """The first of ``_PREFERRED`` that is usable and runs the graph; said on stderr, because the user named none."""
    import nirbridge

    states = nirbridge.runtimes()
    for name in _PREFERRED:
        if name in states and states[name].usable and _runs(graph, name):
            echo(f"Runs on '{name}'.", err=True)
            return name
    return _PREFERRED[-1]


def _runs(graph: FlatGraph, runtime: str) -> bool:
    """Whether nothing but warnings stands against it."""
    import nirbridge

    return not any(problem.severity == "error" for problem in nirbridge.check(graph, runtime))
