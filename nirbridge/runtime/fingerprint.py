"""Whether two plans are of the same graph, told by a few characters instead of all of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from nirbridge.ir.once import once
from nirbridge.primitives.sparse import SparseMatrix
from nirbridge.runtime.plan import Plan, PlannedNode

_CHARACTERS = 32
_DERIVED = ("input_type", "output_type", "input_shape", "output_shape", "metadata")
"""Fields that say nothing beyond the shapes of the plan, and metadata, which carry no meaning."""


@once
def fingerprint(plan: Plan) -> str:
    """32 hexadecimal digits of SHA-256 over all that a run depends on.

    That is every node's name, type, fields, edges and shapes, and dt, with which integrators and resets have gone into
    the nodes.  A graph has the same whether it was read from a file or is the one that was written there.
    """
    found = hashlib.sha256()
    for part in _said(plan):
        # With its length, so that no two lists of parts run into the same bytes.
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()[:_CHARACTERS]


def _said(plan: Plan) -> Iterator[bytes]:
    yield from _value((plan.dt, plan.inputs, plan.outputs))
    for planned in plan.nodes:
        yield from _node(planned)


def _node(planned: PlannedNode) -> Iterator[bytes]:
    node = planned.node
    yield from _value((planned.name, type(node).__name__, planned.reset_amount))
    yield from _value((planned.input_shape, planned.output_shape))
    yield from _value(tuple((source.name, source.delayed) for source in planned.sources))
    for field in fields(node):
        if field.name not in _DERIVED:
            yield from _value((field.name, getattr(node, field.name)))


def _value(value: Any) -> Iterator[bytes]:
    """Numbers as what they are, whatever holds them: files give arrays where constructors took tuples."""
    if isinstance(value, SparseMatrix):
        value = (value.shape, value.row, value.column, value.value)
    if value is None or isinstance(value, str):
        yield repr(value).encode()
    elif isinstance(value, (tuple, list)) and not all(isinstance(part, (int, float)) for part in value):
        yield str(len(value)).encode()
        for part in value:
            yield from _value(part)
    else:
        array = np.asarray(value)
        wide = np.ascontiguousarray(array, np.float64 if array.dtype.kind == "f" else np.int64)
        yield f"{wide.dtype.kind}{array.shape}".encode()
        yield wide.tobytes()
