"""The Triton kernel of the multi-level neuron, by hand: its lanes are searched, as in ``kernels.many_lanes``."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def divided(a, b):
    """a / b in IEEE arithmetic; Triton's own quotient of float32 is off by up to two last bits."""
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def run_lanes(
    data, out, v_at, decay_at, gain_at, v_reset_at, group_at, threshold_at, weight_at, amount_at, steps, size, period,
    groups, LEVELS: tl.constexpr, ROUNDS: tl.constexpr, SUBTRACT: tl.constexpr, AT_LEAST: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Arguments as in :mod:`nirbridge_norse.fused.triton_steps`, with the tables of a ``LaneTable``."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v = tl.load(v_at + n, inside)
    decay = tl.load(decay_at + n % period, inside)
    gain = tl.load(gain_at + n % period, inside)
    v_reset = tl.load(v_reset_at + n % period, inside)
    group = tl.load(group_at + n % period, inside, other=0)
    row, sent = data + n, out + n
    for _ in range(steps):
        u = decay * v + gain * tl.load(row, inside)
        place = group
        for k in tl.static_range(ROUNDS):
            tried = place + (1 << (ROUNDS - 1 - k)) * groups
            there = inside & (tried < (LEVELS + 1) * groups)
            limit = tl.load(threshold_at + tried - groups, there, other=float("inf"))
            passed = (u >= limit) if AT_LEAST else (u > limit)
            place = tl.where(there & passed, tried, place)
        tl.store(sent, tl.load(weight_at + place, inside), inside)
        left = (u - tl.load(amount_at + place, inside)) if SUBTRACT else v_reset
        v = tl.where(place >= groups, left, u)
        row += size
        sent += size
    tl.store(v_at + n, v, inside)
