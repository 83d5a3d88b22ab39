"""``nirbridge.show``: a graph in one call, as text, SVG or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import nir

from nirbridge.runtime import require_option
from nirbridge.showing.describe import Description, describe
from nirbridge.showing.svg import to_svg
from nirbridge.showing.text import to_text

_FORMS: dict[str, Callable[[Description, str], str]] = {
    "text": to_text,
    "svg": lambda description, title: to_svg(description, title or "graph"),
    "json": lambda description, _title: json.dumps(description.to_dict(), indent=2, allow_nan=False),
}


def show(graph: nir.NIRGraph, form: str = "text", title: str = "") -> str:
    """Nodes in the order of execution with shapes, levels and parameters, edges and totals, as the command prints them.

    A broken graph is shown as far as it goes, with "?" for a shape that cannot be told.

    Args:
        graph: the graph.
        form: "text"; "svg", the picture; or "json", the same facts as data.
        title: stands above text and picture.

    Raises:
        InputError: the form is unknown.
    """
    require_option("form", form, tuple(_FORMS))
    return _FORMS[form](describe(graph), title)
