"""``nirbridge diff``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nirbridge.cli.common import PATH, json_option, read_graph
from nirbridge.cli.failures import ANSWER_IS_NO
from nirbridge.cli.output import echo, print_json


@click.command()
@click.argument("first", type=PATH, metavar="A.nir")
@click.argument("second", type=PATH, metavar="B.nir")
@json_option
@click.pass_context
def command(ctx: click.Context, first: Path, second: Path, as_json: bool) -> None:
    """Find what differs between two graphs.

    Prints one line for each node, field or edge that differs, and how far values are apart; exits with 1 if there is
    any.  The order of nodes and edges counts: it decides which edge of a cycle is delayed.

    \b
    Example:
      nirbridge diff before.nir after.nir
    """
    from nirbridge.showing import differences

    found = differences(read_graph(first), read_graph(second))
    if as_json:
        print_json({"a": str(first), "b": str(second), "differences": [asdict(difference) for difference in found]})
    else:
        for difference in found:
            echo(str(difference))
        if not found:
            echo(f"{first} and {second}: equal")
    if found:
        ctx.exit(ANSWER_IS_NO)
