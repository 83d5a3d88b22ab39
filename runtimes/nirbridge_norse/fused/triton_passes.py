"""All steps of a neuron on a CUDA device in one Triton kernel: what :mod:`nirbridge_norse.fused.passes` does there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from nirbridge.machine_code import triton_is_there
from nirbridge.runtime.stepping import Stepping
from nirbridge_norse.fused.elsewhere import foreign_pass
from nirbridge_norse.fused.generating import all_steps, pass_name
from nirbridge_norse.neurons.lanes import LaneParameters

OnCard = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""``(x [T, ..., *features], state before) -> (outputs, state after)``; arguments stay as they are."""

BLOCK = 512
"""Neurons of one program; four to each thread, so that a thread loads 16 bytes of float32 at once."""


def runs_kernels(device: torch.device) -> bool:
    """Whether they can be used there."""
    return device.type == "cuda" and triton_is_there()


def step_on_card(stepping: Stepping, p: Any) -> OnCard | None:
    """That of a primitive's step; None for one that no kernel can be written for."""
    from nirbridge_norse.fused import triton_steps

    name = pass_name(stepping.step)
    kernel = getattr(triton_steps, name, None)
    if kernel is None or all_steps().get(name, (None,))[0] is not stepping.step:
        kernel = foreign_pass(stepping.step, stepping.state, triton=True)
    return None if kernel is None else _on_card(kernel, tuple(p), ())


def lanes_on_card(p: LaneParameters) -> OnCard:
    """That of MultiLevelLIF: a search by halves, whatever the lanes."""
    from nirbridge_norse.fused.triton_lanes import run_lanes

    levels, groups = p.lanes.threshold.shape
    how = {"SUBTRACT": p.subtract, "AT_LEAST": p.at_least, "groups": groups}
    tables = tuple(table.contiguous() for table in p.lanes[:3])
    own = (p.decay, p.gain, p.v_reset, p.lanes.group)
    return _on_card(run_lanes, own, tables, **how, LEVELS=levels, ROUNDS=levels.bit_length())


def _on_card(kernel: Any, p: tuple[Tensor, ...], tables: tuple[Tensor, ...], **constants: Any) -> OnCard:
    axes = max((value.ndim for value in p), default=0)

    @lru_cache(maxsize=1)
    def one_each(features: tuple[int, ...]) -> tuple[Tensor, ...]:
        """The parameters, one for each neuron of a sample."""
        return tuple(value.expand(features).contiguous() for value in p)

    def run(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        features = tuple(x.shape[x.ndim - axes :])
        x, steps, size = x.contiguous(), len(x), x[0].numel()
        y = torch.empty_like(x)
        after = type(state)(*(value.clone(memory_format=torch.contiguous_format) for value in state))
        arrays = (x, y, *after, *one_each(features), *tables)
        with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
            # Without fusion of products and sums, which changes bits.
            kernel[(-(-size // BLOCK),)](
                *arrays, steps, size, prod(features), BLOCK=BLOCK, **constants, enable_fp_fusion=False
            )
        return y, after

    return run
