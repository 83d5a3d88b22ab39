"""Node type → a function ``(node, x, v) -> (y, v)`` of one step, x [B, *shape]; v is 0 at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.runtime import Array, LoweringTable

Step = Callable[[Any, Array, Any], tuple[Array, Any]]
LOWERING: LoweringTable[Step] = LoweringTable("tiny")


@LOWERING.register(nir.Input, nir.Output)
def _pass(node: nir.NIRNode, x: Array, v: Any) -> tuple[Array, Any]:
    return x, v


@LOWERING.register(nir.Linear)
def _linear(node: nir.Linear, x: Array, v: Any) -> tuple[Array, Any]:
    return np.matmul(node.weight, x[..., None])[..., 0], v


@LOWERING.register(nir.Affine)
def _affine(node: nir.Affine, x: Array, v: Any) -> tuple[Array, Any]:
    return np.matmul(node.weight, x[..., None])[..., 0] + node.bias, v


@LOWERING.register(nir.Threshold)
def _threshold(node: nir.Threshold, x: Array, v: Any) -> tuple[Array, Any]:
    return (x > node.threshold).astype(np.float64), v


@LOWERING.register(nir.IF)
def _integrate_and_fire(node: nir.IF, x: Array, v: Any) -> tuple[Array, Any]:
    v = v + node.r * x
    spikes = v > node.v_threshold
    return spikes.astype(np.float64), np.where(spikes, node.v_reset, v)
