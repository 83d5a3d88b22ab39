"""The blocks of a page that a reader would run, run in order."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from nirbridge.cli import main

_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
"""Code, and the output that a page shows right below it; a block with a title is for the reader alone."""
_FAILS = "# exit code 1"


@dataclass(frozen=True)
class Block:
    """Code of one kind, "python" or "sh", and what it shall print, "" where the page does not say."""

    kind: str
    code: str
    output: str
    where: str


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found[1], found[2], found[3] or "", f"{page.name}, line {line}")


@dataclass
class Reader:
    """Someone who types in what pages say, in the current folder: names live from block to block."""

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def run(self, block: Block) -> None:
        """Runs a block and compares what it prints; ``...`` in a page stands for anything."""
        printed = self._python(block) if block.kind == "python" else "".join(map(_command, _lines(block.code)))
        if block.output:
            assert _matches(block.output, printed), f"{block.where}: expected\n{block.output}\nprinted\n{printed}"

    def _python(self, block: Block) -> str:
        with redirect_stdout(StringIO()) as printed:
            exec(compile(block.code, block.where, "exec"), self.names)
        return printed.getvalue()


def _lines(code: str) -> list[str]:
    return [line for line in code.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def _command(line: str) -> str:
    """Runs ``nirbridge ...`` in this process, which costs a fraction of one of its own."""
    program, *words = shlex.split(line, comments=True)
    assert program == "nirbridge", f"pages run no other program: {line}"
    result = CliRunner().invoke(main, words)
    assert result.exit_code == (1 if _FAILS in line else 0), f"{line}\n{result.output}"
    return result.stdout


def _matches(expected: str, printed: str) -> bool:
    """Equal but for spaces at the ends of lines and empty lines at the end."""
    texts = ("\n".join(map(str.rstrip, text.rstrip().splitlines())) + "\n" for text in (expected, printed))
    return doctest.OutputChecker().check_output(*texts, doctest.ELLIPSIS)
