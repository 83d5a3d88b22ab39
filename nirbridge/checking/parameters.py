"""Rules about the values that nodes hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.ir import (
    TEXT_FIELDS,
    FlatGraph,
    MultiLevelLIF,
    SparseMatrix,
    is_coded,
    is_real,
    label,
    time_constants,
)

_NOT_PARAMETERS = ("input_type", "output_type", "metadata")
_LARGEST_EXPONENT = 1000


def number_fields(node: nir.NIRNode) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The fields of a node that hold floating-point numbers, as arrays; the entries of a sparse matrix."""
    for name, value in vars(node).items():
        if name in _NOT_PARAMETERS or value is None:
            continue
        array = value.value if isinstance(value, SparseMatrix) else np.asarray(value)
        if array.dtype.kind in "fc":
            yield name, array


def parameters_are_finite(flat: FlatGraph) -> list[Problem]:
    """No parameter holds NaN or infinity."""
    problems = []
    for node_name, node in flat.nodes.items():
        for name, array in number_fields(node):
            bad = ~np.isfinite(array)
            if bad.any():
                count = f"{int(bad.sum())} of {array.size} values"
                problems.append(
                    Problem(
                        label(node_name, node), f"{count} of {name} are NaN or infinite", "Train or export it again"
                    )
                )
    return problems


def parameters_are_real_numbers(flat: FlatGraph) -> list[Problem]:
    """No field that holds numbers holds nothing, text, complex or longer numbers: files can."""
    problems = []
    for node_name, node in flat.nodes.items():
        for name, value in vars(node).items():
            if name in _NOT_PARAMETERS or name in TEXT_FIELDS or (value is None and name == "input_shape"):
                continue
            dtype = (value.value if isinstance(value, SparseMatrix) else np.asarray(value)).dtype
            if not is_real(dtype):
                found = f"{name} has dtype {dtype}, expected real numbers of up to 64 bits"
                problems.append(Problem(label(node_name, node), found, "Export the graph again"))
    return problems


def phase_weights_are_finite(flat: FlatGraph) -> list[Problem]:
    """The powers of its base that a phase-coded node computes with stay within double precision."""
    problems = []
    for name, node in flat.nodes.items():
        if not is_coded(node):
            continue
        steps = node.phases + getattr(node, "wait", 0) + getattr(node, "first_phase", 0)
        base = max(getattr(node, field) for field in ("base", "base_in", "base_out") if hasattr(node, field))
        if steps * np.log2(base) > _LARGEST_EXPONENT:
            found = f"base {base:g} to the power of {steps} exceeds 2^{_LARGEST_EXPONENT}"
            problems.append(Problem(label(name, node), found, "Use fewer phases or a smaller base"))
    return problems


def time_constants_are_positive(flat: FlatGraph) -> list[Problem]:
    """Every time constant is above 0 s."""
    problems = []
    for node_name, node in flat.nodes.items():
        for name in time_constants(node):
            smallest = np.min(getattr(node, name))
            if smallest <= 0:
                found = f"{name} is {smallest:g} s, which is not above 0"
                problems.append(Problem(label(node_name, node), found, "Give it in seconds"))
    return problems


def delays_are_not_negative(flat: FlatGraph) -> list[Problem]:
    """A delay looks back, never ahead."""
    return [
        Problem(label(name, node), f"delay {np.min(node.delay):g} s is negative", "Give it in seconds, at least 0")
        for name, node in flat.nodes.items()
        if type(node) is nir.Delay and np.min(node.delay, initial=0.0) < 0
    ]


def lane_thresholds_ascend(flat: FlatGraph) -> list[Problem]:
    """A higher lane has a higher threshold: otherwise a lane below it could never fire."""
    return [
        Problem(label(name, node), "lane_threshold does not ascend with the lane", "Sort the lanes by threshold")
        for name, node in flat.nodes.items()
        if type(node) is MultiLevelLIF and node.lanes > 1 and not (np.diff(node.lane_threshold, axis=0) > 0).all()
    ]


PARAMETER_RULES = (
    parameters_are_real_numbers,
    phase_weights_are_finite,
    parameters_are_finite,
    time_constants_are_positive,
    delays_are_not_negative,
    lane_thresholds_ascend,
)
