"""What :mod:`nirbridge_norse.fused.passes` does, with Triton on a CUDA device: one kernel for all steps of a block."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from nirbridge.runtime.stepping import Stepping
from nirbridge_norse.fused import triton_is_there
from nirbridge_norse.fused.elsewhere import foreign_pass
from nirbridge_norse.fused.generating import all_steps, pass_name
from nirbridge_norse.neurons.lanes import LaneParameters, MembraneState

Pass = Callable[[Tensor, Any], None]
MakePass = Callable[[Any, tuple[int, ...], int], Pass]

BLOCK = 512
"""Neurons of one program; four to each thread, so that a thread loads 16 bytes of float32 at once."""


def find_step_pass(stepping: Stepping) -> MakePass | None:
    """How to make the pass of a primitive's step; None for one that no kernel can be written for."""
    if not triton_is_there():
        return None
    from nirbridge_norse.fused import triton_steps

    name = pass_name(stepping.step)
    kernel = getattr(triton_steps, name, None)
    if kernel is None or all_steps().get(name, (None,))[0] is not stepping.step:
        kernel = foreign_pass(stepping.step, stepping.state, triton=True)
    return None if kernel is None else partial(_step_pass, kernel)


def _step_pass(kernel: Any, p: Any, features: tuple[int, ...], batch: int) -> Pass:
    parameters = tuple(_each(value, features) for value in p)

    def run(rows: Tensor, state: Any) -> None:
        _launch(kernel, rows, (*state, *parameters), prod(features))

    return run


def lane_pass(p: LaneParameters, features: tuple[int, ...], batch: int) -> Pass:
    """MultiLevelLIF: a search by halves, whatever the lanes."""
    from nirbridge_norse.fused.triton_lanes import run_lanes

    levels, groups = p.lanes.threshold.shape
    own = (_each(value, features) for value in (p.decay, p.gain, p.v_reset, p.lanes.group))
    arrays = (*own, *(table.contiguous() for table in p.lanes[:3]))
    how = {"SUBTRACT": p.reset == "subtract", "AT_LEAST": p.boundary == ">="}
    sizes = {"groups": groups, "LEVELS": levels, "ROUNDS": levels.bit_length()}

    def run(rows: Tensor, state: MembraneState) -> None:
        _launch(run_lanes, rows, (state.v, *arrays), prod(features), **sizes, **how)

    return run


def _each(value: Tensor, features: tuple[int, ...]) -> Tensor:
    """One number for each neuron of a sample."""
    return value.expand(features).contiguous()


def _launch(kernel: Any, rows: Tensor, arrays: tuple[Tensor, ...], period: int, **constants: Any) -> None:
    rows = torch.as_tensor(rows)  # numpy's where a test interprets the kernels on the CPU
    steps, size = rows.shape
    grid = (-(-size // BLOCK),)
    with torch.cuda.device(rows.device) if rows.is_cuda else nullcontext():
        # Without fusion of products and sums, which changes bits.
        kernel[grid](rows, *arrays, steps, size, period, BLOCK=BLOCK, **constants, enable_fp_fusion=False)
