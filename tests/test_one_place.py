"""One primitive, one place: who asks what a node type is asks its Spec, and keeps no list of types.

A module that names many types is such a list, unless it makes nodes of these very types, or reads them one by one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nirbridge
from nirbridge.primitives import BUILT_IN

ROOT = Path(nirbridge.__file__).parents[1]
MOST = 4
"""Types that a module may name: an end of the graph, and what it is about."""
HOME = ("nirbridge/primitives/", "nirbridge/ir/registry.py", "nirbridge/ir/__init__.py")
MAY_NAME_MORE = {
    "nirbridge/exporting/norse.py": "makes the node of each Norse neuron",
    "nirbridge/importing/netx.py": "makes the nodes of each layer of lava-dl",
    "nirbridge/importing/netx_neurons.py": "makes the nodes of its neurons",
    "nirbridge/converting/emit.py": "makes the nodes of a phase-coded network",
    "nirbridge/expanding/core.py": "has the table from an extension primitive to what stands for it in core NIR",
    "nirbridge/expanding/others.py": "makes what stands for them in core NIR",
    "nirbridge/expanding/fragment.py": "makes the core nodes of which these consist",
    "nirbridge/expanding/lowering/filters.py": "makes cycles of what filters without spikes",
    "nirbridge/expanding/lowering/forms.py": "makes the layers that importers take, one by one",
    "nirbridge/expanding/lowering/levels.py": "makes one LIF of each spiking node",
    "nirbridge/expanding/lowering/scales.py": "works Scales into weights, one kind by another",
    **{
        f"nirbridge/expanding/targets/{name}.py": "says what another platform's importer takes"
        for name in ("nirtorch", "norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spinnaker2")
    },
    "nirbridge/conformance/cases.py": "makes graphs that are there for their wiring",
    "nirbridge/conformance/integer_cases.py": "makes such graphs of integers",
    "nirbridge/conformance/random_graphs.py": "makes inputs, codes and gates around nodes that the Specs draw",
}
OWN = {spec.node.__name__ for spec in BUILT_IN if spec.node.__module__.startswith("nirbridge")}
NIRS = {spec.node.__name__ for spec in BUILT_IN} - OWN
_SOURCES = ("nir.", "nirbridge.ir.", "nirbridge.primitives.")


def _computed(tree: ast.AST) -> Iterator[ast.AST]:
    """All of the code but annotations, which say what fields a function reads and decide nothing."""
    yield tree
    for name, value in ast.iter_fields(tree):
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and name not in ("annotation", "returns"):
                yield from _computed(part)


def named_types(source: str) -> set[str]:
    """The primitives that a module's code names: ``nir.X``, or imported under any name."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name: alias.name
        for found in ast.walk(tree)
        if isinstance(found, ast.ImportFrom) and f"{found.module}.".startswith(_SOURCES)
        for alias in found.names
        if alias.name in OWN | NIRS
    }
    found = set()
    for part in _computed(tree):
        if isinstance(part, ast.Name) and part.id in imported:
            found.add(imported[part.id])
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            found |= {part.attr} & (NIRS if part.value.id == "nir" else OWN)
    return found


def _modules() -> dict[str, set[str]]:
    paths = (path for folder in ("nirbridge", "runtimes", "datasets") for path in (ROOT / folder).rglob("*.py"))
    named = {path.relative_to(ROOT).as_posix(): named_types(path.read_text()) for path in sorted(paths)}
    return {name: types for name, types in named.items() if not name.startswith(HOME)}


def test_no_module_keeps_a_list_of_types() -> None:
    many = {name: sorted(types) for name, types in _modules().items() if len(types) > MOST}
    listed = {name: types for name, types in many.items() if name not in MAY_NAME_MORE}
    assert not listed, f"these ask for node types; let them ask the Spec of a node: {listed}"
    assert MAY_NAME_MORE.keys() <= many.keys(), f"no exceptions any more: {sorted(MAY_NAME_MORE.keys() - many.keys())}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import nir\nkinds = (nir.LIF, nir.Input)", {"LIF", "Input"}),
        ("from nirbridge.ir import Place as PlaceNode\nx = type(n) is PlaceNode", {"Place"}),
        ("from nirbridge import ir\nx = {ir.Product: 1}", {"Product"}),
        ("from nirbridge.quantizing.synapses import Place\nx = Place()", set()),
        ("import nir\ndef f(node: nir.LIF) -> nir.IF:\n    y: nir.LI = g(node)\n    return y", set()),
        ("import nir\nx = nir.NIRGraph", set()),
    ],
)
def test_what_counts_as_a_name(source: str, expected: set[str]) -> None:
    assert named_types(source) == expected
