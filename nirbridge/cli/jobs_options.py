"""Options by which commands on many pieces say who does the work."""

from __future__ import annotations

import click

from nirbridge.cli.common import F, with_options


def jobs_options(function: F) -> F:
    """Stub."""
    return with_options((click.option("--jobs", type=int, default=1), click.option("--cluster")), function)
