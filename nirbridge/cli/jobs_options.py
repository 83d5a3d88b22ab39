"""The options that say who does the work of a command on many pieces."""

from __future__ import annotations

import click

from nirbridge.cli.common import together
from nirbridge.cli.quantities import parsed
from nirbridge.errors import InputError
from nirbridge.workers import all_cores, check_cluster


@parsed
def parse_jobs(text: str, option: str) -> int:
    """A number of processes; 0 and "all" stand for one a core."""
    if text in ("0", "all"):
        return all_cores()
    if text.isdecimal():
        return int(text)
    raise InputError(f"option {option}", f"'{text}' is no number of processes", "Give one as 4, or 'all'")


@parsed
def parse_cluster(text: str, _option: str) -> str:
    """The place of a cluster: "local" or an address."""
    check_cluster(text)
    return text


jobs_options = together(
    click.option(
        "--jobs",
        metavar="N|all",
        default="1",
        show_default=True,
        callback=parse_jobs,
        help="Processes of one thread each; 'all' (or 0) for one a core. 1 works in this process.",
    ),
    click.option(
        "--cluster",
        metavar="local|ADDRESS",
        callback=parse_cluster,
        help="Work on a Dask cluster: tcp://HOST:8786 of a scheduler that runs, or 'local' for one of --jobs processes "
        "on this machine. Needs the library distributed.",
    ),
)
"""``jobs``, an int, and ``cluster``, a str or None: the arguments of :func:`nirbridge.workers.crew`."""
