"""``nirbridge runtimes``."""

from __future__ import annotations

from dataclasses import asdict

import click

from nirbridge.cli.common import json_option
from nirbridge.cli.output import echo_text, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the runtimes, their versions, and what they lack.

    A runtime that cannot be used here stays in the list, with the reason and what to install.

    \b
    Example:
      nirbridge runtimes
    """
    from nirbridge.reports import table
    from nirbridge.runtime import runtimes

    states = runtimes()
    if as_json:
        print_json({name: {"usable": state.usable, **asdict(state)} for name, state in states.items()})
        return
    rows = [
        (name, state.version or "-", "usable" if state.usable else f"not usable: {state.lack}", state.summary)
        for name, state in states.items()
    ]
    echo_text(table(("runtime", "version", "state", "is"), rows))
