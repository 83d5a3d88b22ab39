"""Writes docs/cli.md from the help of the commands: ``python docs/generate_cli.py``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from nirbridge.cli import COMMANDS, main

TARGET = Path(__file__).with_name("cli.md")
WIDTH = 100
_HEAD = """# The command line

Generated from `nirbridge --help` and `nirbridge COMMAND --help` by `python docs/generate_cli.py`.
Data go to stdout, progress and errors to stderr; output files are written whole or not at all.
"""


def generate() -> str:
    """The page: the overview, then every command whose module is installed."""
    parent = click.Context(main, info_name="nirbridge", terminal_width=WIDTH, max_content_width=WIDTH)
    parts = [_HEAD, _block("nirbridge", main.get_help(parent))]
    for name, (module, _) in COMMANDS.items():
        if find_spec(module) is None:
            continue
        command = main.get_command(parent, name)
        assert command is not None, f"{name} is in the table of commands"
        context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)
        parts.append(_block(f"nirbridge {name}", command.get_help(context)))
    return "\n".join(parts)


def _block(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(generate(), encoding="utf-8")
    click.echo(f"wrote {TARGET}", err=True)
