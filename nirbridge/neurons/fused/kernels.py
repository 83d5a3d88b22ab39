"""The passes as Triton kernels: a program holds a block of neurons in registers over all steps.

Neuron n of [T, N] has the parameters of group n // inner % groups. What is done to one neuron is that of
:mod:`nirbridge.neurons.fused.steps` and :mod:`~nirbridge.neurons.fused.backward`, in the same order of operations;
launched with ``enable_fp_fusion=False``, levels and membranes have the same bits.
"""

# Triton compiles the annotations that it knows, and no others.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def divided(a, b):
    """a / b in IEEE arithmetic; Triton's own quotient of float32 is off by up to two last bits."""
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def passes(u, weight, theta, STRICT: tl.constexpr):
    """Whether the lane of this weight, or a higher one, fires."""
    return (u > weight * theta) if STRICT else (u >= weight * theta)


@triton.jit
def level_of(
    u, quantum, ONE_HOT: tl.constexpr, LOWEST: tl.constexpr, HIGHEST: tl.constexpr, STRICT: tl.constexpr
):  # fmt: skip
    """The weight of the highest lane that fires, else 0; or the highest k in 0..N with u >= k quantum, else 0."""
    zero, highest = tl.full((), 0, u.dtype), tl.full((), HIGHEST, u.dtype)
    # Never too high, and up to 65536 levels at most one too low: 1 - 2^-20.
    estimate = u * divided(tl.full((), 0.99999904632568359375, u.dtype), quantum)
    if ONE_HOT:
        if u.dtype == tl.float32:
            power = (estimate.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
        else:
            power = (estimate.to(tl.int64, bitcast=True) & 0x7FF0000000000000).to(tl.float64, bitcast=True)
        level = tl.where(passes(u, power + power, quantum, STRICT), power + power, power)
        level = tl.where(level < highest, level, highest)
        level = tl.where(passes(u, tl.full((), LOWEST, u.dtype), quantum, STRICT), level, zero)
    else:
        level = tl.floor(estimate)
        level = tl.where(u >= (level + 1) * quantum, level + 1, level)
        level = tl.where(level < zero, zero, level)
        level = tl.where(level > highest, highest, level)
    return level


@triton.jit
def after(u, level, quantum, HARD: tl.constexpr, V_RESET: tl.constexpr):
    """What a reset leaves of a membrane."""
    return tl.where(level > 0, tl.full((), V_RESET, u.dtype), u) if HARD else u - level * quantum


@triton.jit
def forward(
    x_at, y_at, u_at, v_init_at, decay_at, quantum_at, steps, size, inner, groups,
    GAIN: tl.constexpr, ONE_HOT: tl.constexpr, LOWEST: tl.constexpr, HIGHEST: tl.constexpr, STRICT: tl.constexpr,
    HARD: tl.constexpr, V_RESET: tl.constexpr, SENDS_VALUES: tl.constexpr, KEEPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """u = decay v + gain x; y the level, or its product with the quantum; v what a reset leaves. ``u`` if it KEEPS."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    group = n // inner % groups
    v = tl.load(v_init_at + group, inside)
    decay = tl.load(decay_at + group, inside)
    quantum = tl.load(quantum_at + group, inside, other=1)
    at = n
    for _ in range(steps):
        u = decay * v + GAIN * tl.load(x_at + at, inside)
        level = level_of(u, quantum, ONE_HOT, LOWEST, HIGHEST, STRICT)
        tl.store(y_at + at, level * quantum if SENDS_VALUES else level, inside)
        if KEEPS:
            tl.store(u_at + at, u, inside)
        v = after(u, level, quantum, HARD, V_RESET)
        at += size


@triton.jit
def slope_of(u, given_at, at, rises_at, group, terms, inside, KIND: tl.constexpr):
    """dlevel/du: Σ_k c_k h(u m_k - s_k), h a triangle (KIND 1) or the sigmoid's derivative (2), or as given (0)."""
    if KIND == 0:
        slope = tl.load(given_at + at, inside)
    else:
        slope, zero = tl.full(u.shape, 0, u.dtype), tl.full((), 0, u.dtype)
        for k in range(terms):
            rise = rises_at + (group * terms + k) * 3
            z = tl.abs(u * tl.load(rise + 1, inside) - tl.load(rise + 2, inside))
            weight = tl.load(rise, inside)
            if KIND == 1:
                slope += weight * tl.where(z < 1, 1 - z, zero)
            else:
                e = tl.exp(-z)
                slope += divided(weight * e, (1 + e) * (1 + e))
    return slope


@triton.jit
def backward(
    x_at, grad_at, out_at, given_at, sums_at, v_init_at, decay_at, quantum_at, rises_at, low_at, high_at,
    steps, size, inner, groups, terms,
    GAIN: tl.constexpr, ONE_HOT: tl.constexpr, LOWEST: tl.constexpr, HIGHEST: tl.constexpr, STRICT: tl.constexpr,
    HARD: tl.constexpr, V_RESET: tl.constexpr, SENDS_VALUES: tl.constexpr, STRAIGHT: tl.constexpr,
    CARRIES: tl.constexpr, KIND: tl.constexpr, LEARNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fills ``out`` with the gradient of x; ``sums`` [3, N] get the terms of those of parameters where it LEARNS.

    One-hot, equal levels and STRAIGHT through as the loops of the same names. The membranes are charged once more, into
    ``out``, and read back from the last step to the first.
    """
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    group = n // inner % groups
    v_init = tl.load(v_init_at + group, inside)
    decay = tl.load(decay_at + group, inside)
    quantum = tl.load(quantum_at + group, inside, other=1)
    v, at = v_init, n
    for _ in range(steps):
        u = decay * v + GAIN * tl.load(x_at + at, inside)
        tl.store(out_at + at, u, inside)
        level = level_of(u, quantum, ONE_HOT, LOWEST, HIGHEST, STRICT)
        v = after(u, level, quantum, HARD, V_RESET)
        at += size
    tl.debug_barrier()  # another thread of the block may read what one wrote
    zero = tl.full((), 0, v.dtype)
    later = tl.full(v.shape, 0, v.dtype)
    by_level, by_value, by_decay = later, later, later
    for _ in range(steps):
        at -= size
        u, grad = tl.load(out_at + at, inside), tl.load(grad_at + at, inside)
        level = level_of(u, quantum, ONE_HOT, LOWEST, HIGHEST, STRICT)
        v = after(u, level, quantum, HARD, V_RESET)
        by_decay += later * v
        if STRAIGHT:
            low, high = tl.load(low_at + group, inside), tl.load(high_at + group, inside)
            later = tl.where((u >= low) & (u <= high), grad, later if CARRIES else zero)
        elif ONE_HOT:
            slope = slope_of(u, given_at, at, rises_at, group, terms, inside, KIND)
            by_level += grad * slope * u
            carried = decay * later
            if HARD:
                carried = tl.where(level > 0, zero, carried)
            else:
                by_value += carried * level
            later = grad * slope + carried
        else:
            slope = slope_of(u, given_at, at, rises_at, group, terms, inside, KIND)
            through = (grad - later) * quantum if SENDS_VALUES else grad - later * quantum
            by_level += through * slope * u
            by_value += ((grad - later) if SENDS_VALUES else -later) * level
            later = later + through * slope
        tl.store(out_at + at, GAIN * later, inside)
    if LEARNS:
        tl.store(sums_at + n, by_level, inside)
        tl.store(sums_at + size + n, by_value, inside)
        tl.store(sums_at + 2 * size + n, by_decay + later * v_init, inside)
