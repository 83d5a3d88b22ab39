"""Docstrings as Markdown: a Griffe extension, so that the sources keep what Sphinx and editors read too.

``.. math::`` blocks and ``:math:`` become MathML, roles such as ``:func:`` become links where the reference knows the
name, and what stands indented behind ``::`` becomes a block of code.
"""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))  # Griffe loads this file by its path
from equations import to_mathml

_MATH = re.compile(r"^( *)\.\. math::(.*)\n((?:\1 +\S.*\n|\s*\n)*)", re.MULTILINE)
_LITERAL = re.compile(r"^( *)(\S.*):: *\n\s*\n((?:\1 +\S.*\n|\s*\n)+)", re.MULTILINE)
_INLINE_MATH = re.compile(r":math:`([^`]+)`")
_ROLE = re.compile(r":(?:mod|func|class|meth|data|attr|exc):`(~?)([^`]+)`")
_CODE = re.compile(r"``([^`\n]+)``|`([^`\n]+)`")
_STRESS = re.compile(r"(?<![\w*])\*([a-z]+)\*(?![\w*])")
_OWN_SECTION = re.compile(r"^(Shapes|Options):\n((?: +\S.*\n|\s*\n)+)", re.MULTILINE)
"""Sections that Griffe does not know, for which it would draw a box."""
_SPECIAL = {"<": "&lt;", "*": r"\*"}
"""What prose means as it stands: comparisons, and the stars of shapes and products."""


class _Converter:
    """Puts what is no prose aside, so that the rest can be made safe for Markdown."""

    def __init__(self) -> None:
        self._aside: list[str] = []

    def convert(self, text: str) -> str:
        """The Markdown of a docstring; its Google sections stay for Griffe."""
        text = cleandoc(text) + "\n"
        text = _MATH.sub(self._equation, text)
        text = _LITERAL.sub(self._block, text)
        text = _OWN_SECTION.sub(lambda found: f"{self._put(f'**{found[1]}:**')}\n\n{cleandoc(found[2])}\n\n", text)
        text = _INLINE_MATH.sub(lambda found: self._put(to_mathml(found[1], block=False)), text)
        text = _ROLE.sub(self._link, text)
        text = _CODE.sub(lambda found: self._put(f"`{found[1] or found[2]}`"), text)
        text = _STRESS.sub(lambda found: self._put(found[0]), text)
        for character, meant in _SPECIAL.items():
            text = text.replace(character, meant)
        return re.sub("\x02(\\d+)\x03", lambda found: self._aside[int(found[1])], text).rstrip()

    def _put(self, markdown: str) -> str:
        self._aside.append(markdown)
        return f"\x02{len(self._aside) - 1}\x03"

    def _equation(self, found: re.Match[str]) -> str:
        latex = " ".join(f"{found[2]}\n{found[3]}".split())
        return f'{found[1]}{self._put(f"""<div class="equation">{to_mathml(latex, block=True)}</div>""")}\n\n'

    def _block(self, found: re.Match[str]) -> str:
        lines = ("```text", *cleandoc("\n" + found[3]).splitlines(), "```")
        return f"{found[1]}{found[2]}:\n\n" + "\n".join(found[1] + self._put(line) for line in lines) + "\n\n"

    def _link(self, found: re.Match[str]) -> str:
        name = found[2]
        shown = name.rpartition(".")[2] if found[1] else name
        return self._put(f'<autoref identifier="{name}" optional><code>{shown}</code></autoref>')


def to_markdown(text: str) -> str:
    """A docstring as Markdown."""
    return _Converter().convert(text)


class MarkdownDocstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed, and finds names that a file of the same name hides."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute that has been read."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for each class: what torch asks a module for printing says nothing to a reader."""
        cls.members.pop("extra_repr", None)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when a package has been read, before its imports are followed."""
        _uncover(pkg)


def _uncover(package: griffe.Module) -> dict[str, griffe.Alias]:
    """``from package.run import run`` in a package means the function; Griffe takes the file ``run.py``.

    Returns:
        What was found so, by its path, for those who import it from there.
    """
    found: dict[str, griffe.Alias] = {}
    modules = [member for member in package.members.values() if isinstance(member, griffe.Module)]
    for module in modules:
        found |= _uncover(module)
    hiding = [each for each in modules if each.name in (package.exports or ()) and each.name in each.members]
    for alias in [member for member in package.members.values() if isinstance(member, griffe.Alias)]:
        file = next((each for each in hiding if alias.target_path.startswith(f"{each.path}.")), None)
        if file is not None:
            alias.target = file[alias.target_path[len(file.path) + 1 :]]
        elif alias.target_path in found:
            alias.target = found[alias.target_path]
    for file in hiding:
        found[file.path] = package.members[file.name] = griffe.Alias(file.name, file.members[file.name], parent=package)
    return found
