"""The command line.

To add a command: a file here with a click command named ``command``, and a row in ``group.COMMANDS``.
"""

from nirbridge.cli.group import COMMANDS, main

__all__ = ["COMMANDS", "main"]
