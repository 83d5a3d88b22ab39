"""Refuses parameters and constants that are no finite numbers, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import nir
import numpy as np
from torch import Tensor, nn

from nirbridge.errors import ExportError, Problem
from nirbridge.ir import SparseMatrix, label

_NEXT_STEP = "Load a checkpoint from before training diverged"


def require_finite(module: nn.Module, nodes: Mapping[str, nir.NIRNode]) -> None:
    """Refuses NaN and infinity in what a network is made of.

    Args:
        module: the network; tensors of modules that no node comes from are left out.
        nodes: what was read from it, named after its modules.

    Raises:
        ExportError: one line for each such parameter or buffer; where all are finite, for each such node.
    """
    problems = list(_of_tensors(module, nodes)) or list(_of_nodes(module, nodes))
    if problems:
        raise ExportError.from_problems(problems)


def _of_tensors(module: nn.Module, nodes: Mapping[str, nir.NIRNode]) -> Iterator[Problem]:
    seen: set[int] = set()
    for kind, tensors in (
        ("parameter", module.named_parameters(remove_duplicate=False)),
        ("buffer", module.named_buffers(remove_duplicate=False)),
    ):
        for path, tensor in tensors:
            owner, _, name = path.rpartition(".")
            if id(tensor) in seen or not any(_related(owner, node) for node in nodes):
                continue
            seen.add(id(tensor))
            bad = _bad(tensor)
            if bad:
                inner = type(module.get_submodule(owner)).__name__
                where = f"module '{owner}' ({inner})" if owner else f"module {inner}"
                yield Problem(where, f"{kind} '{name}' holds {_share(bad, tensor.numel())}", _NEXT_STEP)


def _related(owner: str, node: str) -> bool:
    """Whether a node comes from a module, or from one around it or, as for parametrizations, inside of it."""
    return not owner or node == owner or node.startswith(f"{owner}.") or owner.startswith(f"{node}.")


def _of_nodes(module: nn.Module, nodes: Mapping[str, nir.NIRNode]) -> Iterator[Problem]:
    """What code brings along as constants, or what overflows, as a variance below 0 does."""
    modules = dict(module.named_modules())
    for name, node in nodes.items():
        for place, value in _arrays(node):
            bad = _bad(value)
            if bad:
                inner = modules.get(name)
                where = label(name, node) if inner is None else f"module '{name}' ({type(inner).__name__})"
                found = f"its {place} comes to {_share(bad, value.size)}"
                yield Problem(where, found, "Look at the constants and statistics that it is made of")
                break


def _arrays(node: nir.NIRNode) -> Iterator[tuple[str, Any]]:
    for place in fields(node):
        value = getattr(node, place.name)
        value = value.value if isinstance(value, SparseMatrix) else value
        if isinstance(value, np.ndarray):
            yield place.name, value


def _bad(value: Any) -> int:
    if isinstance(value, Tensor):
        value = value.detach()
        value = value.coalesce().values() if value.is_sparse else value
        return int((~value.isfinite()).sum()) if value.is_floating_point() else 0
    return int((~np.isfinite(value)).sum()) if value.dtype.kind == "f" else 0


def _share(bad: int, size: int) -> str:
    return f"{bad} of {size} values that are NaN or infinite"
