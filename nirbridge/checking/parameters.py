"""Rules about the values that nodes hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from nirbridge.checking.by_node import Said, by_node
from nirbridge.ir import (
    TEXT_FIELDS,
    MultiLevelLIF,
    is_coded,
    is_real,
    time_constants,
)
from nirbridge.primitives.fields import NOT_FIELDS
from nirbridge.primitives.sparse import entries

_LARGEST_EXPONENT = 1000


def number_fields(node: nir.NIRNode) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The fields of a node that hold floating-point numbers, as arrays; the entries of a sparse matrix."""
    for name, value in vars(node).items():
        if name in NOT_FIELDS or value is None:
            continue
        array = entries(value)
        if array.dtype.kind in "fc":
            yield name, array


@by_node
def parameters_are_finite(node: nir.NIRNode) -> Said:
    """No parameter holds NaN or infinity."""
    for name, array in number_fields(node):
        finite = np.isfinite(array)
        if not finite.all():
            yield (
                f"{int((~finite).sum())} of {array.size} values of {name} are NaN or infinite",
                "Train or export it again",
            )


@by_node
def parameters_are_real_numbers(node: nir.NIRNode) -> Said:
    """No field that holds numbers holds nothing, text, complex or longer numbers: files can."""
    for name, value in vars(node).items():
        if name in NOT_FIELDS or name in TEXT_FIELDS or (value is None and name == "input_shape"):
            continue
        dtype = entries(value).dtype
        if not is_real(dtype):
            yield f"{name} has dtype {dtype}, expected real numbers of up to 64 bits", "Export the graph again"


@by_node
def phase_weights_are_finite(node: Any) -> Said:
    """The powers of its base that a phase-coded node computes with stay within double precision."""
    if is_coded(node):
        steps = node.phases + getattr(node, "wait", 0) + getattr(node, "first_phase", 0)
        base = max(getattr(node, field) for field in ("base", "base_in", "base_out") if hasattr(node, field))
        if steps * np.log2(base) > _LARGEST_EXPONENT:
            found = f"base {base:g} to the power of {steps} exceeds 2^{_LARGEST_EXPONENT}"
            yield found, "Use fewer phases or a smaller base"


@by_node
def time_constants_are_positive(node: nir.NIRNode) -> Said:
    """Every time constant is above 0 s."""
    for name in time_constants(node):
        smallest = np.min(getattr(node, name))
        if smallest <= 0:
            yield f"{name} is {smallest:g} s, which is not above 0", "Give it in seconds"


@by_node
def delays_are_not_negative(node: nir.NIRNode) -> Said:
    """A delay looks back, never ahead."""
    if type(node) is nir.Delay and np.min(node.delay, initial=0.0) < 0:
        yield f"delay {np.min(node.delay):g} s is negative", "Give it in seconds, at least 0"


@by_node
def lane_thresholds_ascend(node: nir.NIRNode) -> Said:
    """A higher lane has a higher threshold: otherwise a lane below it could never fire."""
    # Compared, not subtracted: integers of few bits would wrap around.
    if type(node) is MultiLevelLIF and not (node.lane_threshold[1:] > node.lane_threshold[:-1]).all():
        yield "lane_threshold does not ascend with the lane", "Sort the lanes by threshold"


PARAMETER_RULES = (
    parameters_are_real_numbers,
    phase_weights_are_finite,
    parameters_are_finite,
    time_constants_are_positive,
    delays_are_not_negative,
    lane_thresholds_ascend,
)
