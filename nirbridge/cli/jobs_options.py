"""The options that say who does the work of a command on many pieces."""

from __future__ import annotations

import click

from nirbridge.cli.common import F, with_options
from nirbridge.errors import InputError
from nirbridge.workers import all_cores, check_cluster


def parse_jobs(_context: click.Context, param: click.Parameter, value: str) -> int:
    """A number of processes; 0 and "all" stand for one a core.

    Raises:
        InputError: it is anything else.
    """
    if value in ("0", "all"):
        return all_cores()
    if value.isdecimal():
        return int(value)
    raise InputError(f"option --{param.name}", f"'{value}' is no number of processes", "Give one as 4, or 'all'")


def parse_cluster(_context: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """The place of a cluster.

    Raises:
        InputError: it is neither "local" nor an address.
    """
    check_cluster(value)
    return value


_OPTIONS = (
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


def jobs_options(function: F) -> F:
    """Adds ``jobs``, an int, and ``cluster``, a str or None: the arguments of :func:`nirbridge.workers.crew`."""
    return with_options(_OPTIONS, function)
