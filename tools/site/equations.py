"""LaTeX equations as MathML, which browsers draw by themselves: a page needs no script and no network for them."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

_TEXT = re.compile(r"(\\(?:text|begin|end)\{[^{}]*\}|\\[A-Za-z]+)")
"""What is no name: words in braces of their own, and commands."""
_NAME = re.compile(r"[A-Za-z]{2,}(?:\\?_[A-Za-z]{2,})*")
_MARK = "\u241f"
_MARKED = re.compile(rf"<mtext>{_MARK}([^<]*)</mtext>")


def to_mathml(latex: str, *, block: bool) -> str:
    """An equation as one ``<math>`` element.

    Lines that end in ``\\\\`` are aligned at ``&``, as Sphinx does.  A name of several letters stays one name: LaTeX
    would set each letter as a factor of a product.
    """
    body = "".join(part if place % 2 else _NAME.sub(_marked, part) for place, part in enumerate(_TEXT.split(latex)))
    if "\\\\" in body or "&" in body:
        body = rf"\begin{{align*}}{body}\end{{align*}}"
    mathml = convert(body, display="block" if block else "inline")
    return _MARKED.sub(r'<mi class="name">\1</mi>', mathml)


def _marked(name: re.Match[str]) -> str:
    return rf"\text{{{_MARK}{name[0]}}}".replace(r"\_", "_")
