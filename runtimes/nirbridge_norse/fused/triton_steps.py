"""Kernels over all steps of a neuron for Triton; by ``python -m nirbridge_norse.fused.generating``.

Each takes ``data`` and ``out`` [steps, size], inputs and outputs, which may be the same memory; the states [size],
overwritten; and the parameters [period], of which neuron n has number n % period.  Launched with
``enable_fp_fusion=False``, the bits are those of the primitive's step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nirbridge_norse.fused.triton_lanes import divided  # noqa: F401  few steps divide


@triton.jit
def run_i(
    data,
    out,
    v_at,
    r_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """v += R x, per step; the output is v."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    r_ = tl.load(r_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        r = r_
        v = v + (r * x)
        tl.store(sent, v, inside)
        v_ = v
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_if(
    data,
    out,
    v_at,
    r_at,
    v_threshold_at,
    v_reset_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """v += R x; a spike where v > v_threshold, then v = v_reset."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    v_reset_ = tl.load(v_reset_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        r = r_
        v_threshold = v_threshold_
        v_reset = v_reset_
        v = v + (r * x)
        s = v > v_threshold
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        v_ = tl.where(s, v_reset, v)
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_if_subtracting(
    data,
    out,
    v_at,
    r_at,
    v_threshold_at,
    amount_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    amount_ = tl.load(amount_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        r = r_
        v_threshold = v_threshold_
        amount = amount_
        v = v + (r * x)
        s = v > v_threshold
        either1 = v - amount
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        v_ = tl.where(s, either1, v)
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_li(
    data,
    out,
    v_at,
    dt_over_tau_at,
    v_leak_at,
    r_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """v += dt/tau (v_leak - v + R x); the output is v."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_ = tl.load(dt_over_tau_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        dt_over_tau = dt_over_tau_
        v_leak = v_leak_
        r = r_
        v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
        tl.store(sent, v, inside)
        v_ = v
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_lif(
    data,
    out,
    v_at,
    dt_over_tau_at,
    v_leak_at,
    r_at,
    v_threshold_at,
    v_reset_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """v += dt/tau (v_leak - v + R x); a spike where v > v_threshold, then v = v_reset."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_ = tl.load(dt_over_tau_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    v_reset_ = tl.load(v_reset_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        dt_over_tau = dt_over_tau_
        v_leak = v_leak_
        r = r_
        v_threshold = v_threshold_
        v_reset = v_reset_
        v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
        s = v > v_threshold
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        v_ = tl.where(s, v_reset, v)
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_lif_subtracting(
    data,
    out,
    v_at,
    dt_over_tau_at,
    v_leak_at,
    r_at,
    v_threshold_at,
    amount_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_ = tl.load(dt_over_tau_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    amount_ = tl.load(amount_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        v = v_
        dt_over_tau = dt_over_tau_
        v_leak = v_leak_
        r = r_
        v_threshold = v_threshold_
        amount = amount_
        v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
        s = v > v_threshold
        either1 = v - amount
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        v_ = tl.where(s, either1, v)
        row += size
        sent += size
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_cuba_li(
    data,
    out,
    i_at,
    v_at,
    dt_over_tau_syn_at,
    w_in_at,
    dt_over_tau_mem_at,
    v_leak_at,
    r_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); the output is v."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    i_ = tl.load(i_at + n, inside)
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_syn_ = tl.load(dt_over_tau_syn_at + n % period, inside)
    w_in_ = tl.load(w_in_at + n % period, inside)
    dt_over_tau_mem_ = tl.load(dt_over_tau_mem_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        i = i_
        v = v_
        dt_over_tau_syn = dt_over_tau_syn_
        w_in = w_in_
        dt_over_tau_mem = dt_over_tau_mem_
        v_leak = v_leak_
        r = r_
        i = i + (dt_over_tau_syn * ((w_in * x) - i))
        v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
        tl.store(sent, v, inside)
        i_ = i
        v_ = v
        row += size
        sent += size
    tl.store(i_at + n, i_, inside)
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_cuba_lif(
    data,
    out,
    i_at,
    v_at,
    dt_over_tau_syn_at,
    w_in_at,
    dt_over_tau_mem_at,
    v_leak_at,
    r_at,
    v_threshold_at,
    v_reset_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); above v_threshold a spike, v = v_reset."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    i_ = tl.load(i_at + n, inside)
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_syn_ = tl.load(dt_over_tau_syn_at + n % period, inside)
    w_in_ = tl.load(w_in_at + n % period, inside)
    dt_over_tau_mem_ = tl.load(dt_over_tau_mem_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    v_reset_ = tl.load(v_reset_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        i = i_
        v = v_
        dt_over_tau_syn = dt_over_tau_syn_
        w_in = w_in_
        dt_over_tau_mem = dt_over_tau_mem_
        v_leak = v_leak_
        r = r_
        v_threshold = v_threshold_
        v_reset = v_reset_
        i = i + (dt_over_tau_syn * ((w_in * x) - i))
        v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
        s = v > v_threshold
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        i_ = i
        v_ = tl.where(s, v_reset, v)
        row += size
        sent += size
    tl.store(i_at + n, i_, inside)
    tl.store(v_at + n, v_, inside)


@triton.jit
def run_cuba_lif_subtracting(
    data,
    out,
    i_at,
    v_at,
    dt_over_tau_syn_at,
    w_in_at,
    dt_over_tau_mem_at,
    v_leak_at,
    r_at,
    v_threshold_at,
    amount_at,
    steps,
    size,
    period,
    BLOCK: tl.constexpr,
):
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = tl.full((), 1, data.dtype.element_ty)
    constant2 = tl.full((), 0, data.dtype.element_ty)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    i_ = tl.load(i_at + n, inside)
    v_ = tl.load(v_at + n, inside)
    dt_over_tau_syn_ = tl.load(dt_over_tau_syn_at + n % period, inside)
    w_in_ = tl.load(w_in_at + n % period, inside)
    dt_over_tau_mem_ = tl.load(dt_over_tau_mem_at + n % period, inside)
    v_leak_ = tl.load(v_leak_at + n % period, inside)
    r_ = tl.load(r_at + n % period, inside)
    v_threshold_ = tl.load(v_threshold_at + n % period, inside)
    amount_ = tl.load(amount_at + n % period, inside)
    row, sent = data + n, out + n
    for _ in range(steps):
        x = tl.load(row, inside)
        i = i_
        v = v_
        dt_over_tau_syn = dt_over_tau_syn_
        w_in = w_in_
        dt_over_tau_mem = dt_over_tau_mem_
        v_leak = v_leak_
        r = r_
        v_threshold = v_threshold_
        amount = amount_
        i = i + (dt_over_tau_syn * ((w_in * x) - i))
        v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
        s = v > v_threshold
        either1 = v - amount
        tl.store(sent, tl.where(s, constant1, constant2), inside)
        i_ = i
        v_ = tl.where(s, either1, v)
        row += size
        sent += size
    tl.store(i_at + n, i_, inside)
    tl.store(v_at + n, v_, inside)
